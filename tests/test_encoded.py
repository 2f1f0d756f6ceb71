from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.small_model import RATE, random_head, scene, tone, write_bundle
from tvsl import Localizer
from tvsl.encoded import Encoded
from tvsl.errors import OutputError, SilentAudioError, StoreError, UsageError
from tvsl.utils.model_folder import write_tensors

LABELS = ["red star", "blue ring"]


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> Localizer:
    bundle = write_bundle(tmp_path_factory.mktemp("model") / "world", random_head())
    return Localizer.from_pretrained(bundle, device="cpu")


def encoded(localizer: Localizer) -> Encoded:
    return replace(localizer.encode(scene(), (tone(), RATE)), time=1.5, still=True)


def test_what_is_saved_answers_the_same(localizer: Localizer, tmp_path: Path) -> None:
    one = encoded(localizer)
    path = one.save(tmp_path / "one.safetensors")
    again = Encoded.load(path)
    assert again.tokens is not None
    assert one.tokens is not None
    assert torch.equal(again.tokens.visual, one.tokens.visual)
    assert (again.size, again.time, again.still) == ((60, 80), 1.5, True)
    assert localizer.localize_encoded(again, LABELS) == localizer.localize_encoded(one, LABELS)
    assert repr(again) == repr(one)
    assert len(repr(one)) < 100
    with safe_open(path, framework="np") as file:  # as the library itself reads it
        assert set(file.keys()) == {"audio", "image", "sound", "visual"}
    with pytest.raises(OutputError, match="exists"):
        one.save(path)
    assert one.save(path, force=True).read_bytes() == path.read_bytes()


def test_silence_is_saved_too(localizer: Localizer, tmp_path: Path) -> None:
    silent = Encoded(None, (4, 6), 2.0, None, silence="nothing sounds here")
    again = Encoded.load(silent.save(tmp_path / "silent.safetensors"))
    assert again.tokens is None
    assert "silent" in repr(again)
    found = localizer.localize_encoded(again, LABELS)
    assert (found.sources, found.notices) == ((), ("nothing sounds here",))
    with pytest.raises(SilentAudioError):
        again.require_tokens()


def test_another_encoder_is_refused(localizer: Localizer, tmp_path: Path) -> None:
    other = Localizer.from_pretrained(write_bundle(tmp_path / "b", random_head(), seed=1))
    with pytest.raises(UsageError, match="another encoder"):
        other.localize_encoded(encoded(localizer), LABELS)


def test_other_files_are_refused(localizer: Localizer, tmp_path: Path) -> None:
    path = encoded(localizer).save(tmp_path / "one.safetensors")
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    record = json.loads(header["__metadata__"]["tvsl_encoded"])
    tensors = {name: torch.zeros(1, 2, 3) for name in ("audio", "visual")}
    tensors |= {name: torch.zeros(1, 3) for name in ("image", "sound")}

    def written(changes: dict[str, object], tensors: dict[str, torch.Tensor]) -> Path:
        text = json.dumps({**record, "grid": [1, 2], **changes})
        write_tensors(tensors, path, {"format": "pt", "tvsl_encoded": text})
        return path

    assert Encoded.load(written({}, tensors)).size == (60, 80)
    for changes, given, says in (
        ({"size": [0, 4]}, tensors, "no encoded"),
        ({"panels": 5}, tensors, "panels"),
        ({"grid": [3, 3]}, tensors, "grid"),
        ({"more": 1}, tensors, "no encoded"),
        ({}, {"audio": tensors["audio"]}, "no encoded"),
        ({}, {**tensors, "image": torch.full((1, 3), np.inf)}, "not finite"),
    ):
        with pytest.raises(StoreError, match=says) as caught:
            Encoded.load(written(changes, given))
        assert caught.value.path == path
    for content in (b"", whole[: len(whole) // 2], b"PK" + whole):
        path.write_bytes(content)
        with pytest.raises(StoreError):
            Encoded.load(path)
    write_tensors(tensors, path)
    with pytest.raises(StoreError, match="no encoded"):
        Encoded.load(path)
    with pytest.raises(StoreError, match="no such file"):
        Encoded.load(tmp_path / "absent")
