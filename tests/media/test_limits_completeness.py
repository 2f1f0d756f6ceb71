from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from media_makers import chirp, make_sound

from tvsl.errors import UnreadableMediaError
from tvsl.media import load_audio
from tvsl.media.limits import missing_bytes

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


@pytest.mark.parametrize("stated", [0, 36, 0x7FFF_FFFF, 0xFFFF_FFFF])
@pytest.mark.parametrize("magic", [b"RIFF", b"RF64"])
def test_samples_of_a_stated_size_are_missed_whatever_the_file_says_of_itself(
    tmp_path: Path, stated: int, magic: bytes
) -> None:
    """A recorder knew how much sound it had, and not how long the file became."""
    path = write_wav(tmp_path / "sound.wav", 0)
    content = bytearray(path.read_bytes())
    content[4:8] = struct.pack("<I", stated)
    if magic == b"RF64":
        samples = len(content) - 44
        sizes = struct.pack("<4sIQQQI", b"ds64", 28, 0, samples, samples, 0)
        content[:12] = magic + b"\xff" * 4 + b"WAVE" + sizes
        content[-samples - 4 : -samples] = b"\xff" * 4
    path.write_bytes(content)
    assert load_audio(path, RATE).duration == pytest.approx(2.0)
    path.write_bytes(content[:-3000])
    assert missing_bytes(path) == 3000
    with pytest.raises(UnreadableMediaError, match="cut off"):
        load_audio(path, RATE)


@pytest.mark.parametrize("stated", [0, 0x7FFF_F000, 0xFFFF_FFFF])
def test_nothing_is_missed_where_no_size_was_known(tmp_path: Path, stated: int) -> None:
    path = write_wav(tmp_path / "sound.wav", 0)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", stated)
    path.write_bytes(content[:-3000])
    assert load_audio(path, RATE).duration == pytest.approx(2.0 - 3000 / RATE)


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("aiff", "pcm_s16be"),
        ("au", "pcm_s16be"),
        ("caf", "pcm_s16be"),
        ("w64", "pcm_s16le"),
    ],
)
@pytest.mark.parametrize("left", [0.98, 0.6])
def test_cut_files_of_every_kind_that_tells_its_size(
    tmp_path: Path, ending: str, codec: str, left: float
) -> None:
    """As FFmpeg writes them."""
    path = make_sound(tmp_path / f"sound.{ending}", chirp(2, 44_100), 44_100, codec=codec)
    assert missing_bytes(path) == 0
    assert load_audio(path).duration == pytest.approx(2.0)
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    with pytest.raises(UnreadableMediaError, match="cut off"):
        load_audio(path)


@pytest.mark.parametrize("ending", ["au", "caf"])
def test_streams_of_unknown_length_are_heard(tmp_path: Path, ending: str) -> None:
    """Their writers put the largest number there is."""
    path = make_sound(tmp_path / f"sound.{ending}", chirp(1, 8_000), 8_000, codec="pcm_s16be")
    content = bytearray(path.read_bytes())
    if ending == "au":
        content[8:12] = b"\xff" * 4
    else:
        place = content.index(b"data") + 4
        content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    assert missing_bytes(path) == 0
    assert np.abs(load_audio(path, 8_000).samples).max() > 0.4


def test_hostile_chunks_end_soon(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(b"RIFF" + bytes(4) + b"WAVE" + (b"junk" + bytes(4)) * 2**18)
    assert missing_bytes(path) == 0
