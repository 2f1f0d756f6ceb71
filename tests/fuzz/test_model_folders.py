"""Folders of models and heads by strangers, 110 cases: a model, or one clear error.

Configs with one field out of range, of another type or nested without end; tokenizers that are
none; files that are missing, swapped or devices; and good configs changed by a seeded generator.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.fuzz.bounds import bounded_loading
from tests.small_model import random_head, write_bundle
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.errors import WeightsError
from tvsl.methods.checkpoint_io import read_head

HUGE = 10**9
NAMES = ("config.json", "model.safetensors", "tokenizer.json", "head/config.json")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "m", random_head())


@pytest.fixture(scope="module")
def encoder(bundle: Path) -> AudioCLIPEncoder:
    return AudioCLIPEncoder(load_audioclip(bundle))


def load(folder: Path, encoder: AudioCLIPEncoder) -> None:
    """Load the model and its head; the head on the encoder that is good."""
    load_audioclip(folder)
    read_head(folder / "head").build(encoder)


def settled(folder: Path, encoder: AudioCLIPEncoder) -> WeightsError | None:
    """Load a folder within bounds; gives the error, if there is one."""
    with bounded_loading(folder, 300 << 10) as errors:
        load(folder, encoder)
    return errors[0] if errors else None


def put(name: str, *keys: str, value: Any) -> Callable[[Path], None]:
    """A change of one entry of a JSON file."""

    def change(folder: Path) -> None:
        path = folder / name
        content = inner = json.loads(path.read_text())
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        path.write_text(json.dumps(content))

    return change


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: void(folder.joinpath(name).write_bytes(data))


def void(_: object) -> None:
    return None


def retyped(name: str, dtype: torch.dtype) -> Callable[[Path], None]:
    """All floating-point tensors of a file in another type."""

    def change(folder: Path) -> None:
        tensors = load_file(folder / name)
        save_file({k: v.to(dtype) if v.is_floating_point() else v for k, v in tensors.items()},
                  folder / name)  # fmt: skip

    return change


def device(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero")

    return change


def pipe(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def circle(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")


C, H, T = "config.json", "head/config.json", "tokenizer.json"
DEEP = "[" * 100_000
HOSTILE: dict[str, Callable[[Path], None]] = {
    "layers": put(C, "text", "layers", value=HUGE),
    "many layers": put(C, "text", "layers", value=64),
    "vocabulary": put(C, "text", "vocabulary", value=999_999),
    "text width": put(C, "text", "width", value=16_384),
    "text heads": put(C, "text", "heads", value=3),
    "context": put(C, "text", "context", value=HUGE),
    "blocks": put(C, "image", "blocks", value=[HUGE] * 4),
    "many blocks": put(C, "image", "blocks", value=[64] * 4),
    "no blocks": put(C, "image", "blocks", value=[0, 1, 1, 1]),
    "three stages": put(C, "image", "blocks", value=[1, 1, 1]),
    "strides": put(C, "image", "strides", value=[0, 2, 2, 2]),
    "negative strides": put(C, "image", "strides", value=[-2, 2, 2, 2]),
    "all strides": put(C, "image", "strides", value=[0, 0, 0, 0]),
    "resolution": put(C, "image", "resolution", value=HUGE * 32),
    "image heads": put(C, "image", "heads", value=7),
    "filters": put(C, "audio", "filter_length", value=2**40),
    "hop": put(C, "audio", "hop_length", value=0),
    "short hop": put(C, "audio", "hop_length", value=1),
    "groups": put(C, "audio", "groups", value=3),
    "kind": put(C, "audio", "kind", value="wav2vec"),
    "no kind": put(C, "audio", value={}),
    "embedding": put(C, "embedding", value=HUGE),
    "float embedding": put(C, "embedding", value=32.5),
    "text embedding": put(C, "embedding", value="x" * 99_999),
    "true embedding": put(C, "embedding", value=[]),
    "scale": put(C, "waveform_scale", value=float("inf")),
    "scale nan": put(C, "waveform_scale", value=float("nan")),
    "long number": text(C, '{"embedding": 1%s}' % ("0" * 9999)),
    "many digits": text(C, '{"embedding": 1%s}' % ("0" * 999)),
    "classes twice": put(C, "classes", value=["Red star", "red  STAR"]),
    "class of a surrogate": text(C, '{"classes": ["\\ud800"]}'),
    "a long class": put(C, "classes", value=["a" * 99_999]),
    "many classes": put(C, "classes", value=[f"c{n}" for n in range(30_001)]),
    "tokens": put(C, "image_tokens", value="best"),
    "unknown field": put(C, "x\x1b[2J\u202e" * 40, value=1),
    "brackets": text(C, DEEP),
    "objects": text(C, '{"a":' * 100_000),
    "nested": text(C, '{"image": ' + "[" * 900 + "]" * 900 + "}"),
    "no text": text(C, b"\xff\xfe{}"),
    "number": text(C, "3"),
    "large": text(C, " " * (1 << 24) + "{}"),
    "device": device(C),
    "pipe": pipe(C),
    "circle": circle,
    "tensors device": device("model.safetensors"),
    "tensors pipe": pipe("model.safetensors"),
    "tensors brackets": text("model.safetensors", b"\xa0\x86\x01" + bytes(5) + DEEP.encode()),
    "tensors endless": text("model.safetensors", b"\xff" * 64),
    "int8": retyped("model.safetensors", torch.int8),
    "bool": retyped("model.safetensors", torch.bool),
    "complex": retyped("model.safetensors", torch.complex64),
    "float8": retyped("model.safetensors", torch.float8_e4m3fn),
    "head int8": retyped("head/model.safetensors", torch.int8),
    "head complex": retyped("head/model.safetensors", torch.complex64),
    "tokenizer brackets": text(T, DEEP),
    "tokenizer list": text(T, "[]"),
    "tokenizer empty": text(T, "{}"),
    "tokenizer type": put(T, "model", "type", value="Unigram"),
    "tokenizer type list": put(T, "model", "type", value=["BPE"]),
    "tokenizer no merges": put(T, "model", "type", value="BPE"),
    "tokenizer ids": put(T, "model", "vocab", "red", value=2**70),
    "tokenizer id text": put(T, "model", "vocab", "red", value="1"),
    "tokenizer more": put(T, "model", "vocab", "more", value=10),
    "tokenizer none": put(T, "model", "vocab", value=None),
    "tokenizer device": device(T),
    "tokenizer large": text(T, " " * (1 << 24) + "{}"),
    "head format": put(H, "format", value=2),
    "head format text": put(H, "format", value="1" * 9999),
    "head method": put(H, "method", value="best\x1b[2J" * 99),
    "head method other": put(H, "method", value="ez-vsl"),
    "head embedding": put(H, "config", "embedding", value=HUGE),
    "head large": put(H, "config", "embedding", value=16_384),
    "head exponent": put(H, "config", "exponent", value=float("inf")),
    "head threshold": put(H, "config", "detection_threshold", value=float("nan")),
    "head prompts": put(H, "config", "prompt_length", value=HUGE),
    "head notes": put(H, "notes", value=[]),
    "head nested": text(H, '{"method": "tvsl", "format": 1, "notes": ' + '{"a":' * 900 + "1"
                        + "}" * 901),
    "head brackets": text(H, DEEP),
    "head null": text(H, "null"),
}  # fmt: skip


@pytest.fixture
def folder(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "m"))


def test_the_good_folder_is_good(folder: Path, encoder: AudioCLIPEncoder) -> None:
    assert settled(folder, encoder) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_folders(name: str, folder: Path, encoder: AudioCLIPEncoder) -> None:
    HOSTILE[name](folder)
    assert settled(folder, encoder) is not None


@pytest.mark.parametrize(
    ("method", "sizes"),
    [
        ("avgn", {"depth": 32, "dimension": 16_384, "classes": ["a", "b"]}),
        ("coarse-to-fine", {"hidden": 16_384, "dimension": 16_384, "classes": ["a", "b"]}),
        ("mix-and-localize", {"dimension": 16_384, "embedding": 16_384}),
        ("wav2clip", {"hidden": 16_384}),
        ("dsol", {"classes": [f"class {n}" for n in range(5_000)], "dimension": 16_384}),
        ("tvsl-released", {"hidden": 16_384}),
    ],
)
def test_a_large_head_is_refused_before_it_is_built(
    method: str, sizes: dict[str, Any], folder: Path, encoder: AudioCLIPEncoder
) -> None:
    put(H, "method", value=method)(folder)
    put(H, "config", value={"image_tokens": "values", **sizes})(folder)
    said = settled(folder, encoder)
    assert said is not None
    assert "config.json describes" in str(said) or "tokens" in str(said)


@pytest.mark.parametrize("seed", range(24))
def test_changed_folders(seed: int, folder: Path, encoder: AudioCLIPEncoder) -> None:
    generator = np.random.default_rng(seed)
    path = folder / NAMES[seed % len(NAMES)]
    content = bytearray(path.read_bytes())
    for _ in range(int(generator.integers(1, 5))):
        place = int(generator.integers(min(len(content), 3000)))
        kind = int(generator.integers(3))
        if kind == 0:
            content[place] = int(generator.integers(256))
        elif kind == 1:
            del content[place : place + int(generator.integers(1, 30))]
        else:
            content[place:place] = generator.bytes(int(generator.integers(1, 9)))
    path.write_bytes(bytes(content))
    settled(folder, encoder)
