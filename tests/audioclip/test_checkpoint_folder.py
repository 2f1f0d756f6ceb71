from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.audioclip.conftest import SMALL
from tests.shared_files import shared
from tests.small_model import CLASSES, WORLD, world_model
from tvsl.audioclip.checkpoint import save_audioclip
from tvsl.audioclip.config import AudioCLIPConfig, ModulationAudioEncoderConfig
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import clip_tokenizer
from tvsl.errors import OutputError, TvslError, UsageError, VocabularyError, WeightsError

FILES = {"config.json", "model.safetensors", "tokenizer.json", "README.md", "tvsl.json"}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVSL_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def model() -> AudioCLIP:
    return world_model()


@pytest.fixture
def folder(model: AudioCLIP, tmp_path: Path) -> Path:
    return save_audioclip(model, tmp_path / "model")


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def fingerprint(model: AudioCLIP) -> str:
    return AudioCLIPEncoder(model).fingerprint


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# Writing


def test_the_files_hold_what_they_should(folder: Path, model: AudioCLIP) -> None:
    assert names(folder) == FILES
    assert AudioCLIPConfig(**json.loads((folder / "config.json").read_text())) == WORLD
    stored = load_file(folder / "model.safetensors")
    state = model.state_dict()
    assert stored.keys() == state.keys()
    for name, value in state.items():
        kind = np.float16 if value.is_floating_point() else np.int64
        assert stored[name].dtype == kind
        np.testing.assert_array_equal(stored[name], value.numpy().astype(kind), err_msg=name)
    card = (folder / "README.md").read_text()
    assert f"{sum(value.numel() for value in model.parameters()):,} parameters" in card
    assert "red star, blue star" in card


def test_float32_keeps_every_bit(model: AudioCLIP, tmp_path: Path) -> None:
    save_audioclip(model, str(tmp_path / "exact"), dtype=torch.float32)
    loaded = load_audioclip(tmp_path / "exact")
    assert fingerprint(loaded) == fingerprint(model)
    torch.testing.assert_close(loaded.encode_text(CLASSES), model.encode_text(CLASSES))


def test_half_precision_is_stable_once_rounded(
    folder: Path, model: AudioCLIP, tmp_path: Path
) -> None:
    loaded = load_audioclip(folder)
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    assert fingerprint(loaded) != fingerprint(model)  # the values were rounded
    for dtype in (torch.float16, torch.float32):
        again = load_audioclip(save_audioclip(loaded, tmp_path / str(dtype), dtype))
        assert fingerprint(again) == fingerprint(loaded)
    assert content(tmp_path / "torch.float16") == content(folder)


def test_the_fingerprint_does_not_depend_on_the_classes(model: AudioCLIP, tmp_path: Path) -> None:
    save_audioclip(model, tmp_path / "a")
    loaded = load_audioclip(tmp_path / "a")
    loaded.config = loaded.config.model_copy(update={"classes": ("blue star",)})
    other = load_audioclip(save_audioclip(loaded, tmp_path / "b"))
    assert other.config.classes == ("blue star",)
    assert fingerprint(other) == fingerprint(load_audioclip(tmp_path / "a"))
    other.config = other.config.model_copy(update={"waveform_scale": 2.0})
    assert fingerprint(other) != fingerprint(loaded)


def test_a_card_of_one_s_own(model: AudioCLIP, tmp_path: Path) -> None:
    save_audioclip(model, tmp_path / "m", card="# mini\nMeasured: 93.\n")
    assert (tmp_path / "m" / "README.md").read_text() == "# mini\nMeasured: 93.\n"


def test_a_folder_that_is_not_empty_is_refused(folder: Path, model: AudioCLIP) -> None:
    before = content(folder)
    with pytest.raises(OutputError, match="not empty"):
        save_audioclip(world_model(seed=1), folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(OutputError, match=str(folder)):
        save_audioclip(model, folder)
    assert content(folder).keys() == before.keys() - {"model.safetensors"}


def test_force_replaces_the_model_and_nothing_else(folder: Path) -> None:
    (folder / "head").mkdir()
    (folder / "head" / "README.md").write_text("a head that is still to come")
    (folder / "notes.txt").write_text("mine")
    other = world_model(seed=1)
    other.tokenizer = None
    other.config = other.config.model_copy(update={"classes": ()})
    save_audioclip(other, folder, force=True)
    assert names(folder) == FILES - {"tokenizer.json"} | {"head", "head/README.md", "notes.txt"}
    np.testing.assert_array_equal(
        load_file(folder / "model.safetensors")["ln_final.bias"],
        other.state_dict()["ln_final.bias"].half().numpy(),
    )


def test_a_failure_leaves_everything_as_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tvsl.audioclip.checkpoint.write_tensors", full)
    for target in (folder, tmp_path / "new"):
        with pytest.raises(OutputError, match="No space left"):
            save_audioclip(world_model(seed=1), target, force=True)
    assert content(folder) == before
    assert {path.name for path in tmp_path.iterdir()} <= {"model", "home"}


@pytest.mark.parametrize("value", [1e5, -1e5, torch.nan, torch.inf])
def test_what_half_precision_cannot_hold_is_refused(value: float, tmp_path: Path) -> None:
    model = world_model()
    model.state_dict()["visual.bn1.running_var"][0] = value
    with pytest.raises(OutputError, match=r"visual\.bn1\.running_var.*float16.*float32"):
        save_audioclip(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    if abs(value) == 1e5:
        save_audioclip(model, tmp_path / "m", dtype=torch.float32)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.int8])
def test_other_types_are_not_stored(dtype: torch.dtype, model: AudioCLIP, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="float16"):
        save_audioclip(model, tmp_path / "m", dtype)
    assert not (tmp_path / "m").exists()


def test_classes_must_be_expressible(tmp_path: Path) -> None:
    model = world_model()
    model.config = model.config.model_copy(update={"classes": ("red star", "green dog")})
    with pytest.raises(VocabularyError, match="'green', 'dog'"):
        save_audioclip(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_place_that_cannot_be_written(model: AudioCLIP, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "inner"):
        with pytest.raises(OutputError, match="file"):
            save_audioclip(model, target, force=True)
    assert (tmp_path / "file").read_text() == "mine"


# Loading


def test_what_is_loaded_is_whole_and_frozen(folder: Path, model: AudioCLIP) -> None:
    loaded = load_audioclip(str(folder))
    assert loaded.config == model.config
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    near = loaded.encode_text(CLASSES)
    torch.testing.assert_close(near, model.encode_text(CLASSES), rtol=0.01, atol=0.01)
    with pytest.raises(VocabularyError, match="'dog'"):
        loaded.encode_text(["dog"])
    assert load_audioclip(folder, waveform_scale=1.0).config.waveform_scale == 1.0


def test_the_small_audio_network_travels_too(tmp_path: Path) -> None:
    audio = ModulationAudioEncoderConfig(bands=16, frames=16, modulations=4, widths=(4, 4, 8, 8))
    model = AudioCLIP(SMALL.model_copy(update={"audio": audio})).freeze()
    loaded = load_audioclip(save_audioclip(model, tmp_path / "m", torch.float32))
    assert loaded.config.audio == audio
    sound = torch.randn(1, 4000)
    torch.testing.assert_close(loaded.encode_audio(sound), model.encode_audio(sound))


def test_without_a_tokenizer_only_texts_are_missing(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    loaded = load_audioclip(folder)
    assert loaded.encode_image(torch.zeros(1, 3, 224, 224)).shape == (1, 32)
    with pytest.raises(VocabularyError, match=r"tokenizer\.json"):
        loaded.encode_text(["red star"])


def test_clip_s_tokenizer_is_found_beside_the_weights(tmp_path: Path) -> None:
    text = AudioCLIPConfig().text.model_copy(update={"width": 8, "layers": 1, "heads": 1})
    model = AudioCLIP(SMALL.model_copy(update={"text": text})).freeze()
    folder = save_audioclip(model, tmp_path / "m")
    assert load_audioclip(folder).tokenizer is None
    vocabulary = shared("clip", "bpe_simple_vocab_16e6.txt.gz")
    (folder / vocabulary.name).write_bytes(vocabulary.read_bytes())
    assert load_audioclip(folder).encode_text(["dog barking"]).shape == (1, 16)
    model.tokenizer = clip_tokenizer(vocabulary)
    own = load_audioclip(save_audioclip(model, tmp_path / "own"))
    assert own.require_tokenizer()(["dog"]).tolist() == model.tokenizer(["dog"]).tolist()


def _edit(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def _tensors(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "file", "says"),
    [
        (lambda f: (f / "config.json").unlink(), "", "lacks config.json"),
        (lambda f: (f / "model.safetensors").unlink(), "", "lacks model.safetensors"),
        (lambda f: (f / "config.json").write_text(""), "config.json", "damaged"),
        (lambda f: (f / "config.json").write_text("[" * 99_999), "config.json", "damaged"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe{}"), "config.json", "damaged"),
        (lambda f: (f / "config.json").write_text("[1]"), "config.json", "no JSON object"),
        (lambda f: _edit(f, colour="red"), "config.json", "'colour'"),
        (lambda f: _edit(f, embedding=-1), "config.json", "'embedding'"),
        (lambda f: _edit(f, classes=["a", "a"]), "config.json", "'classes'"),
        (lambda f: _edit(f, method="tvsl"), "", "head"),
        (lambda f: _edit(f, embedding=48), "model.safetensors", "has shape"),
        (
            lambda f: _edit(f, text={**WORLD.text.model_dump(), "heads": 5}),
            "config.json",
            "'text': heads must divide width",
        ),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "model.safetensors", "damaged"),
        (lambda f: (f / "model.safetensors").write_bytes(b"PK" * 99), "model.safetensors", "dam"),
        (lambda f: _tensors(f, lambda t: t.pop("ln_final.bias")), "model.safetensors", "1 tensors"),
        (lambda f: _tensors(f, lambda t: t["ln_final.bias"].fill(np.nan)), "", "not finite"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer.json", "damaged"),
    ],
)
def test_damaged_folders_are_refused(
    damage: Callable[[Path], object], file: str, says: str, folder: Path
) -> None:
    damage(folder)
    with pytest.raises(WeightsError) as caught:
        load_audioclip(folder)
    assert str(folder / file) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(WeightsError, match=str(path)):
        load_audioclip(folder)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(TvslError, match=r"lacks config\.json"):
        load_audioclip(tmp_path / "m")
