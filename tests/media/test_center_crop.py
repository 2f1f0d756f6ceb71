from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tvsl.errors import MediaLimitError
from tvsl.media import MediaLimits, Waveform, crop_center, sound_event

RATE = 8_000


def steps(seconds: int) -> np.ndarray:
    """Each second another level, so that a sample tells when it was."""
    return np.repeat(np.linspace(-0.9, 0.9, seconds, dtype=np.float32), RATE)


def write_wav(path: Path, samples: np.ndarray) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_f32le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = RATE
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("kind", ["file", "waveform", "array"])
def test_a_long_sound_is_cut_to_its_middle(kind: str, tmp_path: Path) -> None:
    samples = steps(20)
    source = {
        "file": write_wav(tmp_path / "long.wav", samples),
        "waveform": Waveform(samples, RATE),
        "array": (samples, RATE),
    }[kind]
    middle = crop_center(source, 4.0, RATE)
    assert middle.start == pytest.approx(8.0, abs=1e-3)
    assert middle.duration == pytest.approx(4.0, abs=1e-3)
    np.testing.assert_allclose(middle.samples[::RATE][:4], samples[8 * RATE :: RATE][:4], atol=1e-3)


def test_a_short_sound_comes_whole(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", steps(3))
    assert crop_center(path, 5.0, RATE).duration == pytest.approx(3.0)
    assert crop_center(path, 5.0, RATE).start == 0.0


def test_of_a_long_file_only_the_middle_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wav(tmp_path / "long.wav", steps(60))
    monkeypatch.setattr(
        "tvsl.media.center_crop.load_audio", lambda *_, **__: pytest.fail("all of it")
    )
    assert crop_center(path, 5.0, RATE).duration == pytest.approx(5.0, abs=1e-3)


def test_limits_hold(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", steps(20))
    with pytest.raises(MediaLimitError):
        crop_center(path, 5.0, RATE, MediaLimits(max_duration=10))


# The sound at a moment


def bursts(*stretches: tuple[float, float], seconds: float = 20.0) -> np.ndarray:
    """Silence in which a level of 0.5, up and down, is heard in some stretches."""
    samples = np.zeros(round(seconds * RATE), np.float32)
    for begin, end in stretches:
        part = samples[round(begin * RATE) : round(end * RATE)]
        part[0::2], part[1::2] = 0.5, -0.5
    return samples


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (3.0, (0.5, 5.5)),  # the whole window
        (0.5, (0.0, 5.0)),  # shifted inwards where the file begins
        (6.0, (3.5, 6.1)),  # what sounds from 8 s on is another sound
        (6.5, None),
        (7.0, None),  # the window hears two sounds, each a second away
        (8.2, (8.0, 10.7)),
        (12.2, (9.7, 12.3)),
        (12.9, None),
        (15.0, (14.9, 15.5)),  # two pips with a short pause
        (19.9, None),
    ],
)
def test_what_is_heard_at_a_moment(
    tmp_path: Path, moment: float, expected: tuple[float, float] | None
) -> None:
    samples = bursts((0, 6.1), (8, 12.3), (14.9, 15.1), (15.4, 15.5))
    path = write_wav(tmp_path / "two.wav", samples)
    heard = sound_event(path, moment, 5.0, 0.5, RATE)
    if expected is None:
        assert heard is None
        return
    assert heard is not None
    assert (heard.start, heard.start + heard.duration) == pytest.approx(expected, abs=0.02)
    # Nothing is made up: each sample is the file's own.
    first = round(heard.start * RATE)
    np.testing.assert_allclose(heard.samples, samples[first : first + len(heard.samples)])


def test_at_the_end_of_the_sound_the_window_is_shifted_inwards(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", bursts((0, 8), seconds=8))
    heard = sound_event(path, 7.5, 5.0, 0.5, RATE)
    assert heard is not None
    assert (heard.start, heard.duration) == pytest.approx((3.0, 5.0), abs=1e-3)
    assert sound_event(path, 8.5, 5.0, 0.5, RATE) is None
    assert sound_event(path, 60.0, 5.0, 0.5, RATE) is None


def test_a_constant_offset_is_no_sound_at_any_moment(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "offset.wav", bursts((3, 4), seconds=12) / 2 + 0.25)
    assert sound_event(path, 8.0, 5.0, 0.5, RATE) is None
    assert sound_event(path, 0.5, 5.0, 0.5, RATE) is None
    assert sound_event(path, 11.9, 5.0, 0.5, RATE) is None
    heard = sound_event(path, 3.5, 5.0, 0.5, RATE)
    assert heard is not None
    assert (heard.start, heard.duration) == pytest.approx((3.0, 1.0), abs=0.12)
    assert heard.samples.mean() == pytest.approx(0.25, abs=1e-3)  # as it is in the file
