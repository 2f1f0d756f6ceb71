from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tvsl.errors import UnreadableMediaError
from tvsl.media import load_audio

RATE = 8_000


def write_wav(path: Path, promised_too_much: int) -> Path:
    """Two seconds of 8-bit PCM whose header promises some bytes more than there are."""
    samples = bytes(range(0, 250)) * 64
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE, 1, 8)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body) + promised_too_much) + body)
    return path


def test_a_pad_byte_that_was_counted_but_not_written_is_not_missed(tmp_path: Path) -> None:
    for counted in (0, 1):
        path = write_wav(tmp_path / "sound.wav", counted)
        assert load_audio(path, RATE).duration == pytest.approx(2.0)


def test_more_than_that_is_missed(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMediaError, match="cut off"):
        load_audio(write_wav(tmp_path / "sound.wav", 100), RATE)
