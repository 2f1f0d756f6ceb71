from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.audioclip.conftest import SMALL
from tests.shared_files import shared
from tvsl.audioclip.checkpoint import CONFIG_KEY, build, convert, read_state
from tvsl.audioclip.config import AudioCLIPConfig
from tvsl.audioclip.encoder import load_audioclip
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import find_clip_tokenizer
from tvsl.errors import OutputError, VocabularyError, WeightsError
from tvsl.models import PUBLIC_FILES, fetch, sha256_of, verify

HEADER = {CONFIG_KEY: SMALL.model_dump_json()}


@pytest.fixture
def small_file(small_model: AudioCLIP, tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_file(
        {name: value.clone() for name, value in small_model.state_dict().items()}, path, HEADER
    )
    return path


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TVSL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class RunsCode:
    """A pickle that would leave a mark if it were unpickled carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


def test_safetensors_load_strictly_and_frozen(small_file: Path, small_model: AudioCLIP) -> None:
    loaded = load_audioclip(small_file)
    assert loaded.config == SMALL
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(loaded.encode_image(images), small_model.encode_image(images))
    assert load_audioclip(small_file, waveform_scale=1.0).config.waveform_scale == 1.0


def test_vocabulary_is_found_beside_the_checkpoint_then_in_the_cache(
    tmp_path: Path, empty_cache: Path
) -> None:
    checkpoint, clip = tmp_path / "model" / "some.pt", AudioCLIPConfig().text
    checkpoint.parent.mkdir()
    vocabulary = shared("clip", "bpe_simple_vocab_16e6.txt.gz")
    assert find_clip_tokenizer(clip, checkpoint) is None
    cached = PUBLIC_FILES["clip-vocabulary"].path
    assert empty_cache in cached.parents
    cached.parent.mkdir(parents=True)
    shutil.copy(vocabulary, cached)
    assert find_clip_tokenizer(clip, checkpoint) is not None
    assert find_clip_tokenizer(clip) is not None
    assert find_clip_tokenizer(SMALL.text, checkpoint) is None  # has another vocabulary
    beside = checkpoint.with_name(vocabulary.name)
    beside.write_bytes(b"something else")
    with pytest.raises(WeightsError, match=str(beside)):
        find_clip_tokenizer(clip, checkpoint)


def test_official_format_at_full_size(full_model: AudioCLIP, full_checkpoint: Path) -> None:
    loaded = load_audioclip(full_checkpoint)
    assert loaded.config.waveform_scale == 32768.0
    assert loaded.tokenizer is not None
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, full_model.state_dict()[name], rtol=0, atol=0, msg=name)


def broken_files(folder: Path) -> dict[str, Path]:
    """One file of each kind that must be refused."""
    files = {name: folder / name for name in (
        "empty.pt", "text.pt", "truncated.pt", "pickle.pt", "list.pt", "numbers.pt", "script.pt",
        "zip.pt", "truncated.safetensors", "no-config.safetensors", "bad-config.safetensors",
        "code.pt", "garbage.pt",
    )}  # fmt: skip
    files["empty.pt"].touch()
    files["text.pt"].write_text("hello")
    torch.save({"a": torch.zeros(1000)}, files["truncated.pt"])
    files["truncated.pt"].write_bytes(files["truncated.pt"].read_bytes()[:2000])
    files["pickle.pt"].write_bytes(pickle.dumps(RunsCode(folder / "mark")))
    torch.save([torch.zeros(1)], files["list.pt"])
    torch.save({"epoch": 3}, files["numbers.pt"])
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), files["script.pt"])
    with zipfile.ZipFile(files["zip.pt"], "w") as archive:
        archive.writestr("readme.txt", "no checkpoint")
    save_file({"a": torch.zeros(9)}, files["no-config.safetensors"])
    save_file(
        {"a": torch.zeros(9)},
        files["bad-config.safetensors"],
        {CONFIG_KEY: json.dumps({"embedding": -1})},
    )
    whole = files["no-config.safetensors"].read_bytes()
    files["truncated.safetensors"].write_bytes(whole[:-8])
    files["garbage.pt"].write_text("this is no video at all" * 20)
    torch.save({"state": RunsCode(folder / "mark")}, files["code.pt"])
    return files


@pytest.mark.parametrize("name", [
    "empty.pt", "text.pt", "truncated.pt", "pickle.pt", "list.pt", "numbers.pt", "script.pt",
    "zip.pt", "truncated.safetensors", "no-config.safetensors", "bad-config.safetensors", "code.pt",
    "garbage.pt",
])  # fmt: skip
def test_broken_or_malicious_files_are_refused(name: str, tmp_path: Path) -> None:
    path = broken_files(tmp_path)[name]
    with pytest.raises(WeightsError) as caught:
        load_audioclip(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("ln_final.bias"), "1 tensors missing, 0 unknown"),
        (lambda state: state.update(more=torch.zeros(1)), "0 tensors missing, 1 unknown"),
        (lambda state: state.update({"ln_final.bias": torch.zeros(3)}), "has shape"),
        (lambda state: state["ln_final.bias"].fill_(torch.nan), "not finite"),
    ],
)
def test_checkpoints_of_another_model(change, message, small_model: AudioCLIP) -> None:  # type: ignore[no-untyped-def]
    state = {name: value.clone() for name, value in small_model.state_dict().items()}
    change(state)
    with pytest.raises(WeightsError, match=message):
        build(state, SMALL, Path("some.pt"))


def wrapped(state: dict[str, torch.Tensor], form: str) -> object:
    """Wrap a state dict as training scripts do."""
    prefixed = {f"module.{name}": value for name, value in state.items()}
    optimizer = {"state": {0: {"step": torch.tensor(3)}}, "param_groups": [{"lr": 0.1}]}
    return {
        "plain": state,
        "ordered": OrderedDict(state),
        "model": {"model": state, "optimizer": optimizer, "epoch": 3},
        "state_dict": {"state_dict": state, "hyper_parameters": {"lr": 0.1}},
        "another name": {"net": state, "epoch": 3},
        "beside averages": {"model": state, "ema": dict(state)},
        "twice": {"model": {"state_dict": prefixed}, "args": None},
        "module.": prefixed,
        "module.module.": {f"module.{name}": value for name, value in prefixed.items()},
        "model.": {"state_dict": {f"model.{name}": value for name, value in state.items()}},
        "compiled": {f"_orig_mod.{name}": value for name, value in state.items()},
        "parameters": {name: torch.nn.Parameter(v, False) for name, v in state.items()},
    }[form]


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("form", [
    "plain", "ordered", "model", "state_dict", "another name", "beside averages", "twice",
    "module.", "module.module.", "model.", "compiled", "parameters",
])  # fmt: skip
def test_the_state_dict_is_found(
    form: str, legacy: bool, small_model: AudioCLIP, tmp_path: Path
) -> None:
    state = dict(small_model.state_dict())
    path = tmp_path / "small.pt"
    torch.save(wrapped(state, form), path, _use_new_zipfile_serialization=not legacy)
    found, _ = read_state(path)
    assert found.keys() == state.keys()
    for name, value in state.items():
        torch.testing.assert_close(found[name].data, value, rtol=0, atol=0)
    assert build(found, SMALL, path).config == SMALL


def test_a_prefix_in_safetensors_too(small_model: AudioCLIP, tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in small_model.state_dict().items()}
    save_file(state, tmp_path / "small.safetensors", HEADER)
    assert load_audioclip(tmp_path / "small.safetensors").config == SMALL


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"epoch": 3, "model": {}}, "no state dict: it holds 'epoch', 'model'"),
        ({"one": {"a": torch.zeros(1)}, "two": {"a": torch.zeros(1)}}, "several.*'one', 'two'"),
        ([torch.zeros(1)], "no state dict"),
        (torch.zeros(3), "no state dict"),
        ({}, "no state dict"),
        ({3: torch.zeros(1)}, "no state dict: it holds 3"),
    ],
)
def test_what_is_no_state_dict_is_named(content: object, says: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=says):
        read_state(tmp_path / "x.pt")


def test_a_torchscript_file_is_called_so(tmp_path: Path) -> None:
    path = broken_files(tmp_path)["script.pt"]
    with pytest.raises(WeightsError, match="TorchScript"):
        load_audioclip(path)


def test_half_precision_is_read_as_float32(small_model: AudioCLIP) -> None:
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in small_model.state_dict().items()
    }
    assert build(state, SMALL, Path("some.pt")).visual.conv1.weight.dtype == torch.float32


def test_names_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such checkpoint"):
        load_audioclip(tmp_path / "absent.pt")


def test_convert_keeps_every_value(small_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "copy.safetensors"
    convert(small_file, target)
    before, config = read_state(small_file)
    after, same = read_state(target)
    assert config == same
    assert before.keys() == after.keys()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0)
    with pytest.raises(OutputError, match="exists"):
        convert(small_file, target)
    convert(small_file, target, force=True)
    with pytest.raises(OutputError, match=r"\.safetensors"):
        convert(small_file, tmp_path / "copy.pt")
    assert not list(tmp_path.rglob("*.part"))


def test_verify_tells_a_changed_file(tmp_path: Path) -> None:
    vocabulary = shared("clip", "bpe_simple_vocab_16e6.txt.gz")
    entry = PUBLIC_FILES["clip-vocabulary"]
    verify(vocabulary, entry)
    assert sha256_of(vocabulary) == entry.sha256
    assert vocabulary.stat().st_size == entry.size
    changed = tmp_path / entry.file
    changed.write_bytes(vocabulary.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="differs"):
        verify(changed, entry)


def test_offline_fetch_says_what_to_do_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    entry = PUBLIC_FILES["clip-vocabulary"]
    with pytest.raises(WeightsError) as caught:
        fetch("audioclip")
    for needed in (entry, PUBLIC_FILES["audioclip"]):
        assert needed.url in str(caught.value)
        assert str(needed.path) in str(caught.value)
        assert not needed.path.exists()


@pytest.mark.parametrize("name", ["clip", "esresnext", "clip-vocabulary"])
def test_public_files_that_are_no_model_are_not_fetched_as_one(name: str) -> None:
    with pytest.raises(WeightsError, match="no AudioCLIP model"):
        load_audioclip(name)


def test_a_model_finds_the_vocabulary_in_the_cache_by_itself() -> None:
    text = AudioCLIPConfig().text.model_copy(update={"width": 8, "layers": 1, "heads": 1})
    model = AudioCLIP(SMALL.model_copy(update={"text": text})).freeze()
    with pytest.raises(VocabularyError, match="weights fetch clip-vocabulary"):
        model.encode_text(["dog barking"])
    cached = PUBLIC_FILES["clip-vocabulary"].path
    cached.parent.mkdir(parents=True)
    shutil.copy(shared("clip", cached.name), cached)
    ids = torch.tensor([[49_406, 1929, 32_676, 49_407]])
    torch.testing.assert_close(model.encode_text(["dog barking"]), model.encode_text(ids))
