from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.everyday.made_model import PIECES, SPACE, made_tokenizer
from tests.small_model import scene, tone, write_bundle
from tvsl import Localizer
from tvsl.audioclip.encoder import load_audioclip
from tvsl.errors import VocabularyError, WeightsError
from tvsl.everyday import EverydayEncoder
from tvsl.everyday.encoder import load
from tvsl.everyday.model_file import EverydayNetworks, dequantized, folder_fingerprint, quantized
from tvsl.loading import check_classes, load_encoder
from tvsl.loading import load as load_with_head
from tvsl.media import Waveform
from tvsl.methods.cosine import CosineMethod


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """A copy whose files may be replaced; the large one is a link."""
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "model.safetensors").symlink_to(model / "model.safetensors")
    for name in ("config.json", "tokenizer.json", "PROVENANCE.json"):
        shutil.copyfile(model / name, folder / name)
    return folder


@pytest.mark.parametrize("shape", [(64, 64), (70, 80), (16, 32, 3, 3), (4096, 1)])
def test_rounding_is_at_most_half_a_step(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.logspace(-3, 2, shape[0]).view(-1, *[1] * (len(shape) - 1))
    value = torch.randn(shape, generator=generator) * rows
    value[1] = 0
    stored = quantized({"w": value})
    assert stored["w"].dtype == torch.int8
    assert stored["w.scale"].shape == (shape[0],)
    back = dequantized(stored)
    assert set(back) == {"w"}
    steps = value.flatten(1).abs().amax(dim=1) / 127
    error = (back["w"] - value).flatten(1).abs().amax(dim=1)
    assert (error <= steps / 2 * 1.001).all()
    assert not back["w"][1].any()


def test_small_tensors_are_exact() -> None:
    tensors = {"bias": torch.randn(9000), "small": torch.randn(63, 65), "one": torch.randn(1)}
    stored = quantized(tensors)
    assert set(stored) == set(tensors)
    for name, value in dequantized(stored).items():
        assert torch.equal(value, tensors[name])


def test_a_name_like_a_scale_is_a_tensor_where_it_stands_alone() -> None:
    assert set(dequantized({"norm.scale": torch.ones(3)})) == {"norm.scale"}


def test_round_trip(networks: EverydayNetworks, model: Path) -> None:
    found = load(model)
    assert isinstance(found, EverydayEncoder)
    assert found.networks.space.config == SPACE
    assert found.tokenizer.get_vocab_size() == len(PIECES)
    assert {path.name for path in model.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "NOTICE",
        "PROVENANCE.json",
        "tvsl.json",
    }
    state = networks.state_dict()
    for name, value in found.networks.state_dict().items():
        assert value.dtype == torch.float32
        assert value.shape == state[name].shape
        step = state[name].abs().max() / 127
        assert (value - state[name]).abs().max() <= step * 0.501, name
    torch.testing.assert_close(found.networks.hearing.mel, networks.hearing.mel)
    torch.testing.assert_close(found.networks.hearing.window, networks.hearing.window)


def test_the_fingerprint_is_that_of_the_content(model: Path, copy: Path) -> None:
    first = load(model).fingerprint
    assert len(first) == 64
    assert load(copy).fingerprint == first
    rewritten(copy, lambda tensors: tensors["classifier.bias"].add_(1))
    assert load(copy).fingerprint != first


def test_the_file_is_a_fourth(model: Path, networks: EverydayNetworks) -> None:
    numbers = sum(value.numel() for value in networks.state_dict().values())
    assert (model / "model.safetensors").stat().st_size < 1.1 * numbers


def rewritten(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    path.unlink()
    save_file(tensors, path)


def reconfigured(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refused(folder: Path, file: str) -> WeightsError:
    """The error of a folder, which names the file at fault."""
    with pytest.raises(WeightsError) as caught:
        load(folder)
    assert caught.value.path == folder / file
    assert file in str(caught.value)
    return caught.value


@pytest.mark.parametrize("size", [0, 7, 100, 2_000_000])
def test_truncated_tensors(copy: Path, size: int) -> None:
    path = copy / "model.safetensors"
    content = path.read_bytes()[:size]
    path.unlink()
    path.write_bytes(content)
    refused(copy, "model.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("classifier.bias"),
        lambda tensors: tensors.pop("classifier.weight.scale"),
        lambda tensors: tensors.update(extra=torch.zeros(3)),
        lambda tensors: tensors.update({"classifier.bias": torch.zeros(3)}),
        lambda tensors: tensors.update({"classifier.weight.scale": torch.ones(3)}),
        lambda tensors: tensors.update({"classifier.weight.scale": torch.ones(1000, 2)}),
        lambda tensors: tensors.update({"classifier.weight.scale": torch.tensor(1.0)}),
        lambda tensors: tensors.update(
            {"classifier.weight.scale": torch.ones(1000, dtype=torch.int32)}
        ),
        lambda tensors: tensors.update({"classifier.bias": torch.zeros(1000, dtype=torch.int32)}),
        lambda tensors: tensors["classifier.bias"].fill_(float("nan")),
        lambda tensors: tensors["classifier.weight.scale"].fill_(float("inf")),
    ],
    ids=[
        "one lacks",
        "a scale lacks",
        "one too many",
        "another shape",
        "a short scale",
        "a matrix of scales",
        "a scalar scale",
        "whole scales",
        "another type",
        "not a number",
        "an endless scale",
    ],
)
def test_tensors_of_another_model(
    copy: Path, change: Callable[[dict[str, torch.Tensor]], object]
) -> None:
    rewritten(copy, change)
    refused(copy, "model.safetensors")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"encoder": "everyday"}'])
def test_a_damaged_config(copy: Path, text: str) -> None:
    (copy / "config.json").write_text(text)
    refused(copy, "config.json")


@pytest.mark.parametrize(
    "values",
    [
        {"encoder": "audioclip"},
        {"pieces": 0},
        {"pieces": 10**9},
        {"pieces": "many"},
        {"space": {"meaning": -1}},
        {"space": {"temperature": 0}},
        {"space": {"meaning": 10**9}},
        {"embedding": 17},
    ],
)
def test_a_config_out_of_range(copy: Path, values: dict[str, Any]) -> None:
    reconfigured(copy, **values)
    refused(copy, "config.json")


def test_a_config_of_other_sizes(copy: Path) -> None:
    reconfigured(copy, space={**SPACE.model_dump(), "meaning": 7}, embedding=SPACE.embedding + 1)
    refused(copy, "model.safetensors")


def retokenized(folder: Path, content: bytes) -> None:
    """Write a tokenizer as that of the weights."""
    (folder / "tokenizer.json").write_bytes(content)
    origin = {"tokenizer_sha256": hashlib.sha256(content).hexdigest()}
    (folder / "PROVENANCE.json").write_text(json.dumps(origin))


@pytest.mark.parametrize("text", ["", "{}", "no tokenizer", "[1]"])
def test_a_damaged_tokenizer(copy: Path, text: str) -> None:
    retokenized(copy, text.encode())
    refused(copy, "tokenizer.json")


def test_a_tokenizer_of_another_size(copy: Path) -> None:
    retokenized(copy, made_tokenizer(PIECES[:-1]).to_str().encode())
    assert "word pieces" in refused(copy, "tokenizer.json").problem


def test_a_tokenizer_of_other_words(copy: Path) -> None:
    swapped = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bark", "dog", *PIECES[7:])
    assert sorted(swapped) == sorted(PIECES)
    (copy / "tokenizer.json").write_text(made_tokenizer(swapped).to_str())
    assert "SHA-256" in refused(copy, "tokenizer.json").problem
    with pytest.raises(WeightsError):
        folder_fingerprint(copy)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"tokenizer_sha256": "7"}'])
def test_a_damaged_provenance(copy: Path, text: str) -> None:
    (copy / "PROVENANCE.json").write_text(text)
    refused(copy, "PROVENANCE.json")


@pytest.mark.parametrize("file", ["PROVENANCE.json", "tokenizer.json"])
def test_a_tokenizer_that_cannot_be_checked(copy: Path, file: str) -> None:
    (copy / file).unlink()
    refused(copy, file)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_file_that_lacks(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(WeightsError) as caught:
        load(copy)
    assert file in str(caught.value)


def test_a_folder_of_another_kind(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "audioclip")
    refused(folder, "config.json")
    with pytest.raises(WeightsError):
        load(tmp_path / "nothing")
    with pytest.raises(WeightsError):
        load(folder / "config.json")


def test_an_audioclip_loader_refuses_it(model: Path) -> None:
    with pytest.raises(WeightsError):
        load_audioclip(model)


def test_loading_by_path(model: Path) -> None:
    loaded = load_with_head(model, device="cpu")
    assert isinstance(loaded.encoder, EverydayEncoder)
    assert loaded.name == "made-up/tvsl"
    assert loaded.method.config.embedding == SPACE.embedding
    check_classes(model, ["dog", "anything in words"])
    encoder = load_encoder(model, CosineMethod.config_type(), "cpu")
    assert encoder.fingerprint == loaded.encoder.fingerprint


def test_a_localizer_by_path(model: Path) -> None:
    localizer = Localizer.from_pretrained(model, device="cpu")
    sound = Waveform(tone(rate=16_000), 16_000)
    found = localizer.localize(scene(), sound, labels=["dog", "car horn"])
    assert [source.label for source in found.sources] == ["dog", "car horn"]
    assert all(source.heatmap.shape == (60, 80) for source in found.sources)
    assert all(np.isfinite(source.heatmap).all() for source in found.sources)
    with pytest.raises(VocabularyError):
        localizer.localize(scene(), sound, labels=["犬"])


def test_files_are_copied_as_they_are(model: Path, tmp_path: Path) -> None:
    encoder = load(model)
    encoder.save(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {path.name for path in model.iterdir()}
    for name in names:
        assert (tmp_path / name).read_bytes() == (model / name).read_bytes()
    assert folder_fingerprint(tmp_path) == encoder.fingerprint


def test_changed_files_are_not_copied(copy: Path, tmp_path: Path) -> None:
    encoder = load(copy)
    rewritten(copy, lambda tensors: tensors["classifier.bias"].add_(1))
    with pytest.raises(WeightsError) as caught:
        encoder.save(tmp_path)
    assert caught.value.path == copy
    assert not (tmp_path / "config.json").exists()


def test_a_changed_tokenizer_is_not_copied(copy: Path, tmp_path: Path) -> None:
    encoder = load(copy)
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(WeightsError) as caught:
        encoder.save(tmp_path)
    assert caught.value.path == copy / "tokenizer.json"
    assert not (tmp_path / "config.json").exists()


def test_an_encoder_of_no_folder_is_not_copied(encoder: EverydayEncoder, tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        encoder.save(tmp_path)


def test_a_saved_localizer_is_the_same(model: Path, tmp_path: Path) -> None:
    first = Localizer.from_pretrained(model, device="cpu")
    first.save_pretrained(tmp_path / "saved")
    second = Localizer.from_pretrained(tmp_path / "saved", device="cpu")
    sound = Waveform(tone(rate=16_000), 16_000)
    one, other = (each.localize(scene(), sound, labels=["dog"]) for each in (first, second))
    np.testing.assert_array_equal(one.sources[0].heatmap, other.sources[0].heatmap)
    assert one.sources[0].score == other.sources[0].score
