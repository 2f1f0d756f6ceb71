from __future__ import annotations

import numpy as np
import pytest

from tvsl.render.spectrogram import LOWEST, spectrogram_image

RATE = 16_000


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


@pytest.mark.parametrize("hertz", [150, 440, 2000, 6000])
def test_a_tone_is_a_line_at_its_octave(hertz: float) -> None:
    image = spectrogram_image(tone(hertz), RATE, (90, 120), ticks=False)
    assert image.shape == (90, 120, 3)
    row = int(image.astype(int).sum(axis=(1, 2)).argmax())
    expected = 89 - 89 * np.log(hertz / LOWEST) / np.log(RATE / 2 / LOWEST)
    assert abs(row - expected) < 2


def test_time_runs_to_the_right() -> None:
    samples = np.concatenate([tone(500, 0.5) * 0, tone(500, 0.5)])
    image = spectrogram_image(samples, RATE, (60, 100), ticks=False).astype(int).sum(axis=(0, 2))
    assert image[:45].max() < image[55:].min()


def test_silence_and_a_single_sample_can_be_drawn() -> None:
    assert spectrogram_image(tone(500) * 0, RATE, (60, 100)).shape == (60, 100, 3)
    assert spectrogram_image(np.ones(1, np.float32), RATE, (60, 100)).shape == (60, 100, 3)


def test_ticks_are_written_at_the_left() -> None:
    plain, ticked = (spectrogram_image(tone(500), RATE, (84, 200), t) for t in (False, True))
    changed = (plain != ticked).any(axis=(0, 2))
    assert changed[:5].all()
    assert not changed[80:].any()
