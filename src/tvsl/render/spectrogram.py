"""Spectrograms: time to the right, pitch upwards in octaves, loudness as heat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tvsl.render.colors import Color, RGBImage, heat_colors
from tvsl.render.fonts import font_of_size

LOWEST = 70.0
_WINDOW = 0.04
_RANGE = 55.0
_TICKS = (100.0, 300.0, 1000.0, 3000.0)
_TICK_TEXT = 10
_TICK_COLOR: Color = (255, 255, 255)


def spectrogram_image(
    samples: NDArray[np.float32], rate: int, size: tuple[int, int], ticks: bool = True
) -> RGBImage:
    """Draw the spectrogram of a sound.

    Args:
        samples: Mono waveform, (n,), n at least 1.
        rate: Samples per second.
        size: Height and width of the image in pixels.
        ticks: Whether a few frequencies are written at the left edge.

    Returns:
        The image, (H, W, 3), uint8: 70 Hz to half the rate from bottom to top, the loudest
        55 dB of the sound from cold to hot.
    """
    height, width = size
    levels = 10 * np.log10(_power(samples, rate, width) + 1e-12)
    pitches = np.geomspace(LOWEST, rate / 2, height)  # of every row, from the lowest up
    bins = pitches * (levels.shape[0] - 1) / (rate / 2)
    low = np.minimum(bins.astype(np.intp), levels.shape[0] - 2)
    rest = (bins - low)[:, None]
    rows = levels[low] * (1 - rest) + levels[low + 1] * rest
    heat = np.clip(1 + (rows - rows.max()) / _RANGE, 0, 1).astype(np.float32)
    image = heat_colors(heat[::-1])
    return _with_ticks(image, pitches) if ticks else image


def _power(samples: NDArray[np.float32], rate: int, columns: int) -> NDArray[np.float64]:
    """Power at every frequency around the middle of every column, (bins, columns)."""
    length = round(_WINDOW * rate)
    # A longer transform than the window: more bins for the rows at low pitch.
    size = 4 * 2 ** (length - 1).bit_length()
    padded = np.pad(samples.astype(np.float64), length // 2 + 1)
    starts = ((np.arange(columns) + 0.5) * len(samples) / columns).astype(np.intp)
    pieces = padded[starts[:, None] + np.arange(length)] * np.hanning(length)
    power: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(pieces, size))).T
    return power


def _with_ticks(image: RGBImage, pitches: NDArray[np.float64]) -> RGBImage:
    drawn = Image.fromarray(image)
    draw = ImageDraw.Draw(drawn, "RGBA")
    font = font_of_size(_TICK_TEXT)
    for hertz in _TICKS:
        row = len(pitches) - 1 - int(np.searchsorted(pitches, hertz))
        if _TICK_TEXT / 2 < row < len(pitches) - _TICK_TEXT / 2:
            draw.line((0, row, 4, row), fill=(*_TICK_COLOR, 220))
            name = f"{hertz / 1000:g} kHz" if hertz >= 1000 else f"{hertz:g} Hz"
            draw.text(
                (7, row),
                name,
                fill=(*_TICK_COLOR, 230),
                font=font,
                anchor="lm",
                stroke_width=1,
                stroke_fill=(0, 0, 0, 150),
            )
    return np.array(drawn)
