"""The door for pickled masks: 60 hostile programs, 150 mutated and 100 random ones.

Every one ends in a mask or in an error of this package, within a second and without memory to
speak of, and nothing that a program names is ever called.
"""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.bounds import bounded_reading
from tvsl.data.pickled_masks import read_pickled_mask
from tvsl.errors import MediaError

MASK = np.array([[0, 1, 0], [2, 0, 255]], dtype=np.uint8)
PLAIN = [pickle.dumps(MASK, protocol) for protocol in range(6)]
MOST_MEMORY = 8 << 20


def read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with bounded_reading(path, MediaError, seconds=1.0, longest=1000):
        assert read_pickled_mask(path).dtype == np.bool_


# (2^n)-fold nesting of tuples by few bytes, by copies and by what is remembered.
COPIED = b"N" + b"2\x86" * 60
REMEMBERED = b"N" + b"q\x00h\x00\x86" * 60
TEXT = b"X\x02\x00\x00\x00u1"
DTYPE = b"cnumpy\ndtype\n"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"


def state(shape: bytes, kind: bytes, order: bytes, content: bytes) -> bytes:
    return ARRAY + b"(K\x01" + shape + kind + order + content + b"tb."


def made(
    kind: bytes = TEXT + b"\x89\x88\x87R(K\x03C\x01|NNNJ\xff\xff\xff\xffK\xffK\x00tb",
) -> bytes:
    return DTYPE + kind


HOSTILE: dict[str, bytes] = {}
for how, bomb in {"copied": COPIED, "remembered": REMEMBERED}.items():
    HOSTILE |= {
        f"{how} alone": bomb + b".",
        f"{how} as key": b"}" + bomb + b"Ns.",
        f"{how} as keys": b"}(" + bomb + b"Nu.",
        f"{how} in a set": b"\x8f(" + bomb + b"\x90.",
        f"{how} in a frozenset": b"(" + bomb + b"\x91.",
        f"{how} in a list": b"](" + bomb + b"e.",
        f"{how} as type": DTYPE + bomb + b"\x85R.",
        f"{how} as state of a type": DTYPE + TEXT + b"\x85R" + bomb + b"b.",
        f"{how} in the state of a type": DTYPE + TEXT + b"\x85R(K\x03" + bomb + b"tb.",
        f"{how} as encoding": b"c_codecs\nencode\n" + TEXT + bomb + b"\x86R.",
        f"{how} as encoded": b"c_codecs\nencode\n" + bomb + b"X\x06\x00\x00\x00latin1\x86R.",
        f"{how} as arguments": b"c_codecs\nencode\n" + bomb + b"R.",
        f"{how} as what is called": bomb + b")R.",
        f"{how} as name": bomb + TEXT + b"\x93.",
        f"{how} as module": TEXT + bomb + b"\x93.",
        f"{how} as kind of array": ARRAY[:-15] + bomb + b"\x85R.",
        f"{how} as state": ARRAY + bomb + b"b.",
        f"{how} as shape": state(bomb, made(), b"\x89", b"C\x01a"),
        f"{how} as size": state(bomb + b"\x85", made(), b"\x89", b"C\x01a"),
        f"{how} as dtype": state(b"K\x01K\x01\x86", bomb, b"\x89", b"C\x01a"),
        f"{how} as order": state(b"K\x01K\x01\x86", made(), bomb, b"C\x01a"),
        f"{how} as content": state(b"K\x01K\x01\x86", made(), b"\x89", bomb),
    }
HOSTILE |= {
    "far memory": b"Nr\xff\xff\xff\xee.",
    "far memory in text": b"Np4000000000\n.",
    "negative memory": b"Np-1\n.",
    "far recall": b"j\xff\xff\xff\xff.",
    "no memory": b"g7\n.",
    "long memory": b"Np" + b"9" * 5000 + b"\n.",
    "long text": b"X\xff\xff\xff\xffa.",
    "longer text": b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.",
    "long bytes": b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffa.",
    "long frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
    "long number": b"\x8b\xff\xff\xff\x7f1.",
    "many digits": b"L" + b"9" * 100_000 + b"L\n.",
    "large sizes": state(b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", made(), b"\x89", b"C\x01a"),
    "negative sizes": state(b"J\xff\xff\xff\xffK\x02\x86", made(), b"\x89", b"C\x01a"),
    "true as size": state(b"\x88\x88\x86", made(), b"\x89", b"C\x01a"),
    "many axes": state(b"(" + b"K\x01" * 60 + b"t", made(), b"\x89", b"C\x01a"),
    "short content": state(b"K\x02K\x02\x86", made(), b"\x89", b"C\x01a"),
    "persistent": b"Pmask\n.",
    "extension": b"\x82\x01.",
    "instance": b"(ios\nsystem\n.",
    "object": b"(cos\nsystem\no.",
    "new object": b"cnumpy\nndarray\n(K\x02K\x02t\x81.",
    "out of band": b"\x80\x05\x97\x98.",
    "pop": b"N0.",
    "no stop": b"N" * 100,
    "type again": made()[:-1] * 30 + b".",
    "state again": ARRAY + b"(K\x01K\x01K\x01\x86" + made() + b"\x89C\x01atq\x00bh\x00b.",
    "no bytes": state(b"K\x01K\x01\x86", made(), b"\x89", b"X\x03\x00\x00\x00\xe2\x82\xac"),
    "float of 1": state(b"K\x01K\x01\x86", DTYPE + b"X\x02\x00\x00\x00f1\x85R", b"\x89", b"C\x01a"),
}


def test_there_are_enough_programs() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_programs_end_at_once(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mask"
    read(path, content)
    tracemalloc.start()
    try:
        with pytest.raises(MediaError):
            read_pickled_mask(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(PLAIN), st.data())
def test_mutated_programs(tmp_path: Path, plain: bytes, data: st.DataObject) -> None:
    content = bytearray(plain)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=4) | st.sampled_from([b"2", b"(", b"t", b"R", b"b"]))
        content[at : at + data.draw(st.integers(0, 3))] = piece
        content = content or bytearray(b".")
    read(tmp_path / "mask", bytes(content))


INSTRUCTIONS = [bytes([code]) for code in b"().0125BCIJKLMNRSTUVX]}abcdeghijlopqrstu"] + [
    bytes([code]) for code in range(0x80, 0x99)
]
PIECES = [b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"c_codecs\nencode\n", TEXT, b"K\x01", b"q\x00"]
PIECES += [ARRAY, made(), b"cos\nsystem\n", b"I01\n", struct.pack("<I", 1 << 31)]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(INSTRUCTIONS + PIECES), min_size=1, max_size=150))
def test_random_programs(tmp_path: Path, pieces: list[bytes]) -> None:
    read(tmp_path / "mask", b"".join(pieces) + b".")


def test_all_that_numpy_writes_is_read(tmp_path: Path) -> None:
    """Against NumPy's own reader."""
    rng = np.random.default_rng(0)
    types = ("?", "u1", "i1", "<u2", ">i2", "<i4", ">u4", "<i8", "<f2", ">f4", "<f8")
    for kind, protocol, turned in product(types, range(6), (False, True)):
        drawn = rng.integers(0, 3, (3, 5)).astype(kind)
        array = np.asfortranarray(drawn) if turned else drawn
        content = pickle.dumps(array, protocol)
        (tmp_path / "mask").write_bytes(content)
        expected = pickle.loads(content) != 0  # noqa: S301  (written a line above)
        np.testing.assert_array_equal(read_pickled_mask(tmp_path / "mask"), expected)


def test_nothing_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []
    monkeypatch.setattr(os, "system", called.append)
    monkeypatch.setattr(np, "dtype", called.append)
    for module, name in (("os", "system"), ("numpy", "dtype"), ("numpy", "load")):
        names = f"c{module}\n{name}\n".encode()
        for call in (b"X\x02\x00\x00\x00u2\x85R.", b")\x81.", b"(X\x01\x00\x00\x00ao."):
            (tmp_path / "mask").write_bytes(names + call)
            with pytest.raises(MediaError):
                read_pickled_mask(tmp_path / "mask")
    assert not called
