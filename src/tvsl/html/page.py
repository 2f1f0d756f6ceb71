"""Values that several pages show; images, heat-maps and sounds as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tvsl.boxes import min_max, upscale
from tvsl.html.rendering import Values
from tvsl.localization import SoundSource
from tvsl.media.writing import wav_bytes
from tvsl.render.colors import Color, RGBImage, color_layer, half_height_line, outline
from tvsl.render.spectrogram import LOWEST, spectrogram_image

if TYPE_CHECKING:
    from tvsl.evaluation.results import TextTable


_FINE = 224
_LINE_SHARE = 160


def png_uri(image: RGBImage) -> str:
    """Encode an image (H, W, 3) as a data URI, PNG."""
    return _pillow_uri(Image.fromarray(image))


def jpeg_uri(image: RGBImage, quality: int = 88) -> str:
    """Encode an image as a data URI, JPEG: a fifth of the size of a PNG, not without loss.

    Args:
        image: (H, W, 3).
        quality: From 1 to 95; higher is better.
    """
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="JPEG", quality=quality)
    return _uri("image/jpeg", content.getvalue())


def outline_uri(region: NDArray[np.bool_]) -> str:
    """Draw the outline of a region (H, W) as a PNG: a white line in a dark casing, all else clear.

    It is as large as the region, or twice as high and wide where that is lower than 224 pixels.
    """
    scale = _layer_scale(len(region))
    scaled = region.repeat(scale, axis=0).repeat(scale, axis=1)
    width = _line_width(len(scaled))
    line = outline(scaled, width)
    casing = outline(scaled & ~line, -(-width // 2)) | outline(~scaled, -(-width // 2))
    image = Image.fromarray(line.astype(np.uint8) + 2 * casing.astype(np.uint8))
    image.putpalette(bytes((0, 0, 0, 255, 255, 255, 0, 0, 0)))
    return _pillow_uri(image, transparency=bytes((0, 255, 190)))


def heat_uri(source: SoundSource, color: Color) -> str:
    """Draw a source's map in one colour, more opaque where it is hotter.

    A line runs around what is at least half as hot as the hottest place.

    Args:
        source: The source.
        color: Its colour.

    Returns:
        The data URI of a PNG, as large as the source's picture, or twice as high and wide where
        that is lower than 224 pixels.
    """
    height, width = source.size
    scale = _layer_scale(height)
    heat = min_max(upscale(source.grid, (scale * height, scale * width)))
    opacity = np.rint(255 * color_layer([heat], [color], 1.0)[3]).astype(np.uint8)
    opacity[half_height_line(heat, _line_width(len(heat)))] = 255
    image = Image.fromarray(opacity)
    # All entries of the palette are one colour, and each is as opaque as its number says.
    image.putpalette(bytes(color) * 256)
    return _pillow_uri(image, transparency=bytes(range(256)))


def sound_uri(samples: NDArray[np.int16], rate: int) -> str:
    """Encode a mono sound as a data URI, WAV.

    Args:
        samples: The sound, (n,).
        rate: Samples per second.
    """
    return _uri("audio/wav", wav_bytes(samples, rate))


def video_uri(path: Path) -> str:
    """Encode an mp4 file as a data URI."""
    return _uri("video/mp4", path.read_bytes())


def _layer_scale(height: int) -> int:
    """Factor by which layers of low pictures are larger, so that their lines are smooth."""
    return 1 if height >= _FINE else 2


def _line_width(height: int) -> int:
    """Pixels of a line that is still seen where a high layer is shown small."""
    return max(1, round(height / _LINE_SHARE))


def _pillow_uri(image: Image.Image, transparency: bytes | None = None) -> str:
    content = io.BytesIO()
    image.save(content, format="PNG", optimize=True, transparency=transparency)
    return _uri("image/png", content.getvalue())


def _uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


_SPECTROGRAM = (96, 360)


def table_values(table: TextTable, best: Collection[tuple[int, str]] = ()) -> Values:
    """A table of texts, for the macro ``results``.

    Args:
        table: The table.
        best: Row, from 0, and column title of each cell that stands out.

    Returns:
        The title, and the headers and cells of the columns with their style classes.
    """
    # Here: the page of a clip needs neither tables nor the metrics, which take seconds to import.
    from tvsl.evaluation.results import PAPER_HEADER

    classes = [
        "" if column < table.words else "number of-paper" if header == PAPER_HEADER else "number"
        for column, header in enumerate(table.headers)
    ]
    rows = [
        [
            {"text": text, "class": classes[column], "best": (row, table.headers[column]) in best}
            for column, text in enumerate(texts)
        ]
        for row, texts in enumerate(table.rows)
    ]
    columns = list(zip(table.headers, classes, strict=True))
    return {"title": table.title, "columns": columns, "rows": rows}


def sound_values(
    waveform: NDArray[np.float32], samples: NDArray[np.int16], rate: int, name: str
) -> Values:
    """A sound with its spectrogram, for the macro ``sound_figure``.

    Args:
        waveform: What is drawn, mono, (n,).
        samples: What is played, (n,).
        rate: Samples per second of both.
        name: What it is.

    Returns:
        Name, data URIs of sound and spectrogram, and the ranges of time and pitch in words.
    """
    return {
        "name": name,
        "uri": sound_uri(samples, rate),
        "spectrogram": png_uri(spectrogram_image(waveform, rate, _SPECTROGRAM)),
        "seconds": f"{len(waveform) / rate:.2f}",
        "pitch": f"{LOWEST:.0f} Hz to {rate / 2000:.0f} kHz",
    }


def distinct_maps(maps: Mapping[str, SoundSource]) -> list[tuple[str, SoundSource]]:
    """The different maps of one true source, each once, under all its sources of labels."""
    found: list[tuple[str, SoundSource]] = []
    for labels, source in maps.items():
        for place, (others, other) in enumerate(found):
            if np.array_equal(other.grid, source.grid):
                found[place] = (f"{others} {labels}", other)
                break
        else:
            found.append((labels, source))
    return found
