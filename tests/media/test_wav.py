"""WAV files of every depth and header, written byte by byte; values are known beforehand."""

import struct

import numpy as np
import pytest

from tvsl.errors import MediaError, TvslError, UnreadableMediaError
from tvsl.media import load_audio

RATE = 44_100
# One value of each size and sign, the ends of the range too; a second of them.
VALUES = np.tile(np.array([0.0, 0.5, -0.5, 0.25, -1.0, 0.75, -0.125, 0.0625]), RATE // 8)
PCM, FLOATS, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
GUID_TAIL = bytes.fromhex("00000000 1000 8000 00aa00389b71")


def integers(bits, stored=None):
    """Samples as integers of a depth, in the high bits of ``stored`` ones."""
    stored = stored or (bits + 7) // 8 * 8
    numbers = np.clip(np.rint(VALUES * 2 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    numbers = numbers.astype(np.int64) << (stored - bits)
    if stored == 8:
        return bytes((numbers + 128).astype(np.uint8))
    return b"".join(int(one).to_bytes(stored // 8, "little", signed=True) for one in numbers)


def head(tag, bits, size, channels=1):
    return struct.pack("<HHIIHH", tag, channels, RATE, RATE * size, size, bits)


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def wav(fmt, data, *between, before=b""):
    body = b"WAVE" + before + chunk(b"fmt ", fmt) + b"".join(between) + chunk(b"data", data)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def heard(tmp_path, content):
    path = tmp_path / "made.wav"
    path.write_bytes(content)
    return load_audio(path).samples


@pytest.mark.parametrize(
    ("bits", "stored"), [(8, 8), (12, 16), (16, 16), (20, 24), (24, 24), (32, 32)]
)
@pytest.mark.parametrize("extensible", [False, True])
def test_integers_of_every_depth(tmp_path, bits, stored, extensible):
    size = stored // 8
    if extensible:
        fmt = head(EXTENSIBLE, stored, size) + struct.pack("<HHIH", 22, bits, 4, PCM) + GUID_TAIL
    else:
        fmt = head(PCM, bits, size)
    samples = heard(tmp_path, wav(fmt, integers(bits, stored)))
    assert samples.size == VALUES.size
    assert np.abs(samples - VALUES).max() <= 2.0 ** (1 - bits)


@pytest.mark.parametrize(("kind", "size"), [("<f4", 4), ("<f8", 8)])
@pytest.mark.parametrize("extensible", [False, True])
def test_floats(tmp_path, kind, size, extensible):
    if extensible:
        fmt = head(EXTENSIBLE, 8 * size, size)
        fmt += struct.pack("<HHIH", 22, 8 * size, 4, FLOATS) + GUID_TAIL
    else:
        fmt = head(FLOATS, 8 * size, size)
    samples = heard(tmp_path, wav(fmt, VALUES.astype(kind).tobytes()))
    assert np.array_equal(samples, VALUES.astype(np.float32))


def mu_law(code):
    code ^= 0xFF
    size = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return -size if code & 0x80 else size


def a_law(code):
    code ^= 0x55
    place, size = code >> 4 & 7, (code & 15) << 4
    size = size + 8 if place == 0 else size + 0x108 << (place - 1)
    return size if code & 0x80 else -size


@pytest.mark.parametrize(("tag", "law"), [(MULAW, mu_law), (ALAW, a_law)])
def test_companded_samples(tmp_path, tag, law):
    """ITU-T G.711, by its formula: all 256 codes."""
    samples = heard(tmp_path, wav(head(tag, 8, 1), bytes(range(256)) * 20))
    truth = np.array([law(code) for code in range(256)] * 20) / 32768
    assert np.abs(samples - truth).max() < 1e-6


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_files_of_64_bit_sizes(tmp_path, magic):
    data = integers(16)
    sizes = struct.pack("<QQQI", 0, len(data), VALUES.size, 0)
    body = b"WAVE" + chunk(b"ds64", sizes) + chunk(b"fmt ", head(PCM, 16, 2))
    body += b"data" + b"\xff" * 4 + data
    content = magic + b"\xff" * 4 + body
    samples = heard(tmp_path, content)
    assert np.abs(samples - VALUES).max() <= 2.0**-15
    whole = content.replace(sizes, struct.pack("<QQQI", len(body), len(data), VALUES.size, 0))
    assert np.array_equal(heard(tmp_path, whole), samples)
    with pytest.raises(UnreadableMediaError, match="cut off"):
        heard(tmp_path, whole[: len(whole) // 2])


@pytest.mark.parametrize("riff", [0, 36, 0xFFFF_FFFF, 0x7FFF_FFFF])
@pytest.mark.parametrize("stated", [0, 0xFFFF_FFFF, 0x7FFF_FF00])
def test_sizes_that_a_writer_to_a_pipe_did_not_know(tmp_path, riff, stated):
    body = b"WAVE" + chunk(b"fmt ", head(PCM, 16, 2)) + b"data" + struct.pack("<I", stated)
    samples = heard(tmp_path, b"RIFF" + struct.pack("<I", riff) + body + integers(16))
    assert samples.size == VALUES.size
    assert np.abs(samples - VALUES).max() <= 2.0**-15


@pytest.mark.parametrize("padded", [True, False])
def test_odd_chunks(tmp_path, padded):
    note = chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 5) + b"test\0\0")
    odd = chunk(b"junk", b"abc")
    content = wav(head(PCM, 8, 1), integers(8)[:-1], odd, note, before=chunk(b"bext", b"x" * 603))
    if not padded:  # the byte behind odd samples, counted and missing
        content = content[:-1]
    samples = heard(tmp_path, content)
    assert samples.size == VALUES.size - 1
    assert np.abs(samples - VALUES[:-1]).max() <= 2.0**-7


def test_what_follows_the_samples_is_not_heard(tmp_path):
    content = wav(head(PCM, 16, 2), integers(16)) + chunk(b"LIST", b"INFO" + b"\x7f" * 4000)
    assert heard(tmp_path, content).size == VALUES.size


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_an_error(tmp_path, share):
    content = wav(head(PCM, 16, 2), integers(16))
    with pytest.raises(UnreadableMediaError, match="cut off"):
        heard(tmp_path, content[: int(share * len(content))])


@pytest.mark.parametrize(
    ("fmt", "data"),
    [
        (head(PCM, 0, 2), b"\0" * 4000),
        (head(PCM, 16, 2, channels=0), b"\0" * 4000),
        (head(PCM, 16, 2, channels=65_535), b"\0" * 4000),
        (head(PCM, 77, 10), b"\0" * 4000),
        (head(0x4321, 16, 2), b"\0" * 4000),
        (head(PCM, 16, 2), b""),
        (head(EXTENSIBLE, 16, 2) + struct.pack("<HHI", 22, 16, 4) + b"\1" * 16, b"\0" * 4000),
        (b"", b"\0" * 4000),
    ],
)
def test_headers_that_make_no_sense(tmp_path, fmt, data):
    with pytest.raises((MediaError, TvslError)) as caught:
        heard(tmp_path, wav(fmt, data))
    assert caught.value.remedy
