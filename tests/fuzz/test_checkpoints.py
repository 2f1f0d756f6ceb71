"""Checkpoints of strangers, 90 cases: whatever the file holds, a state dict or one clear error.

Half of the cases are built by hand (pickles that never end, foreign types, wrong containers), the
others are good files with bytes changed, cut off or put in by a seeded generator.
"""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save as to_safetensors

from tests.fuzz.bounds import bounded_loading
from tests.small_model import SMALL
from tvsl.audioclip.checkpoint import CONFIG_KEY, build, read_state
from tvsl.audioclip.model import AudioCLIP
from tvsl.errors import WeightsError

TINY = {"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(3), "n": torch.tensor(1)}
HEADER = {CONFIG_KEY: SMALL.model_dump_json(), "format": "pt"}


class RunsCode:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


def saved(content: object, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def with_pickle(program: bytes, packed: bool = False) -> bytes:
    """A checkpoint of torch whose list of tensors is another program."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(TINY))) as good, zipfile.ZipFile(stream, "w") as bad:
        for entry in good.infolist():
            content = good.read(entry)
            if entry.filename.endswith("/data.pkl"):
                content = program
            how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            bad.writestr(entry.filename, content, how)
    return stream.getvalue()


def doubling(times: int, last: bytes) -> bytes:
    """A pickle of a pair of the same pair of the same pair …, and what is done with it."""
    pairs = b"".join(b"h%ch%c\x86q%c0" % (n, n, n + 1) for n in range(times))
    return b"\x80\x02)q\x000" + pairs + last.replace(b"TOP", b"h%c" % times)


def nested(opening: bytes, times: int, closing: bytes) -> bytes:
    return b"\x80\x02" + opening * times + closing * times + b"."


def safetensors(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def mapping(key: str, value: object) -> bytes:
    return to_safetensors({"a": torch.zeros(1)}, {key: str(value)})


HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "code.pt": lambda mark: saved({"a": RunsCode(mark)}),
    "code-legacy.pt": lambda mark: saved({"a": RunsCode(mark)}, legacy=True),
    "code-bare.pt": lambda mark: pickle.dumps(RunsCode(mark), 2),
    "system.pt": lambda _: with_pickle(b"cos\nsystem\nX\x02\x00\x00\x00id\x85R."),
    "eval.pt": lambda _: with_pickle(b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R."),
    "getattr.pt": lambda _: with_pickle(b"\x80\x02cbuiltins\ngetattr\n)R."),
    "hash-for-ever.pt": lambda _: with_pickle(doubling(90, b"}TOPNs.")),
    "hash-for-ever-legacy.pt": lambda _: doubling(90, b"}TOPNs."),
    "set-for-ever.pt": lambda _: with_pickle(doubling(90, b"cbuiltins\nset\n]TOPa\x85R.")),
    "show-for-ever.pt": lambda _: with_pickle(doubling(90, b"TOP.")),
    "module.pt": lambda _: saved(torch.nn.Linear(2, 2)),
    "deep-lists.pt": lambda _: with_pickle(nested(b"]", 100_000, b"a")[:-1] + b"."),
    "deep-tuples.pt": lambda _: with_pickle(b"\x80\x02)" + b"\x85" * 100_000 + b"}\x8c\x01a0."),
    "deep-key.pt": lambda _: with_pickle(b"\x80\x02})" + b"\x85" * 100_000 + b"Ns."),
    "memo.pt": lambda _: with_pickle(b"\x80\x02]r\xff\xff\xff\xff."),
    "memo-unknown.pt": lambda _: with_pickle(b"\x80\x02h\x63."),
    "no-stop.pt": lambda _: with_pickle(b"\x80\x02]]]]"),
    "only-stop.pt": lambda _: with_pickle(b"."),
    "stack.pt": lambda _: with_pickle(b"\x80\x02aaaa."),
    "marks.pt": lambda _: with_pickle(b"\x80\x02ttttt."),
    "bytearray.pt": lambda _: with_pickle(b"\x80\x02cbuiltins\nbytearray\n\x8a\x06" + b"\xff" * 5
                                          + b"\x0f\x85R."),
    "long-text.pt": lambda _: with_pickle(b"\x80\x02X\xff\xff\xff\x7fabc."),
    "protocol.pt": lambda _: with_pickle(b"\x80\xff]."),
    "huge-view.pt": lambda _: saved({"a": torch.zeros(1).expand(10**6, 10**6)}),
    "packed.pt": lambda _: with_pickle(pickle.dumps({}, 2), packed=True),
    "bomb.pt": lambda _: with_pickle(b"\x80\x02]" + b"0" * (1 << 22) + b".", packed=True),
    "long-pickle.pt": lambda _: with_pickle(b"\x80\x02" + b"]0" * (1 << 22) + b"]."),
    "complex.pt": lambda _: saved({"a": torch.zeros(2, dtype=torch.complex64)}),
    "sparse.pt": lambda _: saved({"a": torch.eye(3).to_sparse()}),
    "meta.pt": lambda _: saved({"a": torch.zeros(10**6, 10**6, device="meta")}),
    "int8.pt": lambda _: saved({"a": torch.ones(2, dtype=torch.int8)}),
    "numbers.pt": lambda _: saved({"a": 3, "b": [1, 2]}),
    "text.pt": lambda _: b"hello, this is no checkpoint" * 99,
    "html.pt": lambda _: b"<!DOCTYPE html><html><title>404</title></html>",
    "zip.pt": lambda _: with_pickle(b"")[:100],
    "lfs.pt": lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "npz.pt": lambda _: numpy_archive(),
    "zeros.pt": lambda _: bytes(4096),
    "empty-header.safetensors": lambda _: safetensors(b""),
    "brackets.safetensors": lambda _: safetensors(b"[" * 100_000),
    "objects.safetensors": lambda _: safetensors(b'{"a":' * 100_000),
    "endless-header.safetensors": lambda _: struct.pack("<Q", 2**63) + b"{}",
    "long-header.safetensors": lambda _: struct.pack("<Q", 99_000_000) + b"{}",
    "no-object.safetensors": lambda _: safetensors(b"[1, 2]"),
    "offsets.safetensors": lambda _: safetensors(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9999]}}', bytes(8)),
    "overlap.safetensors": lambda _: safetensors(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
    "negative.safetensors": lambda _: safetensors(
        b'{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}', bytes(8)),
    "huge-shape.safetensors": lambda _: safetensors(
        b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}', bytes(8)),
    "empty-shape.safetensors": lambda _: safetensors(
        b'{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}'),
    "type.safetensors": lambda _: safetensors(
        b'{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
    "complex.safetensors": lambda _: to_safetensors({"a": torch.zeros(1, dtype=torch.complex64)}),
    "no-sizes.safetensors": lambda _: to_safetensors({"a": torch.zeros(1)}),
    "sizes-brackets.safetensors": lambda _: mapping(CONFIG_KEY, "[" * 100_000),
    "sizes-none.safetensors": lambda _: mapping(CONFIG_KEY, None),
    "sizes-huge.safetensors": lambda _: mapping(CONFIG_KEY, '{"text": {"layers": 1000000000}}'),
    "sizes-digits.safetensors": lambda _: mapping(CONFIG_KEY, '{"embedding": 1%s}' % ("0" * 9999)),
    "sizes-only.safetensors": lambda _: mapping(CONFIG_KEY, SMALL.model_dump_json()),
    "zip.safetensors": lambda _: saved(TINY),
}  # fmt: skip


def numpy_archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3))
    return stream.getvalue()


def settled(path: Path) -> None:
    with bounded_loading(path, 500 << 10), warnings.catch_warnings():
        warnings.simplefilter("error")
        build(*read_state(path), path)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_checkpoints(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(HOSTILE[name](tmp_path / "mark"))
    settled(path)
    with pytest.raises(WeightsError):
        build(*read_state(path), path)
    assert not (tmp_path / "mark").exists()


@pytest.fixture(scope="module")
def good() -> dict[str, bytes]:
    torch.manual_seed(0)
    state = {name: value.clone() for name, value in AudioCLIP(SMALL).state_dict().items()}
    return {
        ".pt": saved(TINY),
        ".legacy.pt": saved(TINY, legacy=True),
        ".safetensors": to_safetensors(TINY, HEADER),
        ".whole.safetensors": to_safetensors(state, HEADER),
    }


def test_the_good_files_are_good(good: dict[str, bytes], tmp_path: Path) -> None:
    for suffix in (".pt", ".legacy.pt", ".safetensors"):
        path = tmp_path / f"m{suffix}"
        path.write_bytes(good[suffix])
        assert read_state(path)[0].keys() == TINY.keys()
    path = tmp_path / "m.whole.safetensors"
    path.write_bytes(good[".whole.safetensors"])
    build(*read_state(path), path)


@pytest.mark.parametrize("seed", range(32))
def test_changed_checkpoints(seed: int, good: dict[str, bytes], tmp_path: Path) -> None:
    generator = np.random.default_rng(seed)
    suffix = list(good)[seed % len(good)]
    content = bytearray(good[suffix])
    # The headers are where a change matters; the numbers behind them are only numbers.
    reach = min(len(content), 1200)
    for _ in range(int(generator.integers(1, 6))):
        place = int(generator.integers(min(reach, len(content))))
        kind = int(generator.integers(4))
        if kind == 0:
            content[place] = int(generator.integers(256))
        elif kind == 1:
            del content[place : place + int(generator.integers(1, 40))]
        elif kind == 2:
            content[place:place] = generator.bytes(int(generator.integers(1, 20)))
        else:
            del content[max(1, len(content) - int(generator.integers(1, 900))) :]
    path = tmp_path / f"m{suffix}"
    path.write_bytes(bytes(content))
    settled(path)
