from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tvsl.errors import MediaLimitError
from tvsl.media import MediaLimits, Waveform, sound_middle

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
    middle = sound_middle(source, 4.0, RATE)
    assert middle.start == pytest.approx(8.0, abs=1e-3)
    assert middle.duration == pytest.approx(4.0, abs=1e-3)
    np.testing.assert_allclose(middle.samples[::RATE][:4], samples[8 * RATE :: RATE][:4], atol=1e-3)


def test_a_short_sound_comes_whole(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", steps(3))
    assert sound_middle(path, 5.0, RATE).duration == pytest.approx(3.0)
    assert sound_middle(path, 5.0, RATE).start == 0.0


def test_of_a_long_file_only_the_middle_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wav(tmp_path / "long.wav", steps(60))
    monkeypatch.setattr("tvsl.media.middle.load_audio", lambda *_, **__: pytest.fail("all of it"))
    assert sound_middle(path, 5.0, RATE).duration == pytest.approx(5.0, abs=1e-3)


def test_limits_hold(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", steps(20))
    with pytest.raises(MediaLimitError):
        sound_middle(path, 5.0, RATE, MediaLimits(max_duration=10))
