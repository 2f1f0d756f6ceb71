from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.small_model import CLASSES, random_head, scene, tone, world_model
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.errors import OutputError, TvslError, UsageError, WeightsError
from tvsl.methods import METHODS
from tvsl.methods.base import Method, MethodConfig, Supervision
from tvsl.methods.checkpoint_io import read_head, save_head
from tvsl.methods.tvsl import TVSL, ReleasedConfig, ReleasedTVSL, TVSLConfig
from tvsl.tokens import Queries, Tokens, Vocabulary

FILES = {"config.json", "model.safetensors", "README.md", "tvsl.json"}


@pytest.fixture(scope="module")
def encoder() -> AudioCLIPEncoder:
    return AudioCLIPEncoder(world_model())


@pytest.fixture
def folder(encoder: AudioCLIPEncoder, tmp_path: Path) -> Path:
    head = random_head(polarity=-1, detection_threshold=0.25, readout="sum", flip_average="turn")
    return save_head(head, encoder, tmp_path / "head", notes={"steps": 12, "data": "synthetic"})


class ScaledConfig(MethodConfig):
    """Of a method that others will add."""

    start: float = Field(1.0, gt=0)


class Scaled(Method):
    """A method with a parameter, a buffer and an integer, written as others would."""

    name: ClassVar[str] = "scaled"
    config_type: ClassVar[type[MethodConfig]] = ScaledConfig
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = False
    config: ScaledConfig

    def __init__(self, config: ScaledConfig) -> None:
        super().__init__(config)
        self.scale = nn.Parameter(torch.full((config.embedding,), config.start))
        self.norm = nn.BatchNorm1d(config.embedding)

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        return {}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        return (self.norm(tokens.visual[queries.clip].transpose(1, 2)).mT @ self.scale).view(
            -1, *tokens.grid
        )


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS._added, "scaled", Scaled)


def encoded(encoder: AudioCLIPEncoder) -> tuple[Tokens, Queries, Vocabulary]:
    frames = encoder.prepare(scene())[None]
    tokens = encoder.encode(frames, torch.from_numpy(tone(0.5))[None])
    return tokens, Queries.from_lists([range(len(CLASSES))]), encoder.vocabulary(CLASSES)


def assert_same(first: Method, second: Method, encoder: AudioCLIPEncoder) -> None:
    assert type(first) is type(second)
    states = first.state_dict(), second.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    tokens, queries, vocabulary = encoded(encoder)
    with torch.no_grad():
        maps = [head.eval().maps(tokens, queries, vocabulary) for head in (first, second)]
        scores = [head.detect(tokens, vocabulary) for head in (first, second)]
    torch.testing.assert_close(*maps, rtol=0, atol=0)
    if scores[0] is not None:
        torch.testing.assert_close(*scores, rtol=0, atol=0)


# Writing and reading


def test_the_files_hold_what_they_should(folder: Path, encoder: AudioCLIPEncoder) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    record = json.loads((folder / "config.json").read_text())
    assert record["format"] == 1
    assert record["method"] == "tvsl"
    assert record["encoder_sha256"] == encoder.fingerprint
    assert record["notes"] == {"steps": 12, "data": "synthetic"}
    decided = {
        "polarity": -1,
        "detection_threshold": 0.25,
        "readout": "sum",
        "flip_average": "turn",
        "image_tokens": "values",  # the encoder's own, from now on by name
    }
    assert {name: record["config"][name] for name in decided} == decided
    stored = load_file(folder / "model.safetensors")
    state = random_head().state_dict()
    assert stored.keys() == state.keys()
    assert all(torch.equal(value, stored[name]) for name, value in state.items())
    assert encoder.fingerprint in (folder / "README.md").read_text()


def test_what_is_loaded_does_the_same(folder: Path, encoder: AudioCLIPEncoder) -> None:
    loaded = read_head(str(folder)).build(encoder)
    assert not loaded.training
    assert loaded.polarity == -1
    assert loaded.config.detection_threshold == 0.25
    assert loaded.config.flip_average == "turn"
    assert_same(loaded, random_head(readout="sum"), encoder)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize(
    "head",
    [
        lambda encoder: TVSL(TVSLConfig(embedding=32, token_projectors="trained", stages=1)),
        lambda encoder: TVSL(TVSLConfig(embedding=32, prompt_length=3), encoder.text_encoder),
        lambda encoder: TVSL(TVSLConfig(embedding=32, correspondence=False, fusion_layers=1)),
        lambda encoder: Scaled(ScaledConfig(embedding=32, start=0.5)),
    ],
    ids=["one stage", "prompts", "ablated", "another method"],
)
@pytest.mark.usefixtures("scaled")
def test_every_method_is_kept_by_the_same_code(
    head: Callable[[AudioCLIPEncoder], Method], encoder: AudioCLIPEncoder, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    built = head(encoder)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    save_head(built, encoder, tmp_path / "h")
    torch.manual_seed(6)
    assert_same(read_head(tmp_path / "h").build(encoder), built, encoder)


def test_the_released_method_too(tmp_path: Path) -> None:
    encoder = AudioCLIPEncoder(world_model(), image_tokens="released")
    head = ReleasedTVSL(ReleasedConfig(embedding=32, hidden=8))
    save_head(head, encoder, tmp_path / "h")
    loaded = read_head(tmp_path / "h").build(encoder)
    assert loaded.polarity == -1
    assert_same(loaded, head, encoder)


def test_double_precision_is_stored_as_float32(encoder: AudioCLIPEncoder, tmp_path: Path) -> None:
    save_head(random_head().double(), encoder, tmp_path / "h")
    kinds = {value.dtype for value in load_file(tmp_path / "h" / "model.safetensors").values()}
    assert kinds == {torch.float32}


def test_loading_does_not_touch_the_random_numbers(folder: Path, encoder: AudioCLIPEncoder) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    read_head(folder).build(encoder)
    assert torch.equal(torch.rand(3), expected)


def test_what_a_head_says_is_read_without_its_encoder(folder: Path) -> None:
    stored = read_head(folder)
    assert stored.method is TVSL
    assert stored.config.polarity == -1
    assert stored.notes == {"steps": 12, "data": "synthetic"}


def test_a_folder_that_is_not_empty_is_refused(folder: Path, encoder: AudioCLIPEncoder) -> None:
    before = (folder / "model.safetensors").read_bytes()
    other = random_head(seed=9)
    with pytest.raises(OutputError, match="not empty"):
        save_head(other, encoder, folder)
    assert (folder / "model.safetensors").read_bytes() == before
    (folder / "log.csv").write_text("mine")
    save_head(other, encoder, folder, card="mine", force=True)
    assert {path.name for path in folder.iterdir()} == FILES | {"log.csv"}
    assert (folder / "README.md").read_text() == "mine"
    assert_same(read_head(folder).build(encoder), other, encoder)


# What is refused


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_a_diverged_head_is_not_saved(
    value: float, encoder: AudioCLIPEncoder, tmp_path: Path
) -> None:
    head = random_head()
    next(head.parameters()).data[0] = value
    with pytest.raises(OutputError, match="not finite"):
        save_head(head, encoder, tmp_path / "h")
    assert not (tmp_path / "h").exists()


def test_a_method_that_could_not_be_loaded_is_not_saved(
    encoder: AudioCLIPEncoder, tmp_path: Path
) -> None:
    class Mine(TVSL):
        """Has its parent's name."""

    for head in (Scaled(ScaledConfig(embedding=32)), Mine(TVSLConfig(embedding=32))):
        with pytest.raises(UsageError, match=r"tvsl\.register"):
            save_head(head, encoder, tmp_path / "h")
    assert not (tmp_path / "h").exists()


def test_a_head_for_other_tokens_is_neither_saved_nor_loaded(
    folder: Path, encoder: AudioCLIPEncoder, tmp_path: Path
) -> None:
    cells = AudioCLIPEncoder(world_model(), image_tokens="cells")
    assert cells.fingerprint == encoder.fingerprint
    with pytest.raises(WeightsError, match=r"'values'.*'cells'"):
        read_head(folder).build(cells)
    head = TVSL(TVSLConfig(embedding=32, image_tokens="cells"))
    with pytest.raises(UsageError, match=r"'cells'.*'values'"):
        save_head(head, encoder, tmp_path / "h")
    save_head(head, cells, tmp_path / "h")
    assert read_head(tmp_path / "h").build(cells).config.image_tokens == "cells"


@pytest.mark.parametrize(
    "other",
    [
        lambda: world_model(seed=1),
        lambda: _with(waveform_scale=1.0),
    ],
    ids=["weights", "loudness"],
)
def test_a_head_for_another_encoder_is_refused(other: Callable[[], Any], folder: Path) -> None:
    another = AudioCLIPEncoder(other())
    with pytest.raises(WeightsError, match="another encoder") as caught:
        read_head(folder).build(another)
    assert caught.value.path == folder / "config.json"
    assert another.fingerprint[:12] in str(caught.value)
    assert "trained on" in caught.value.remedy


def _with(**fields: Any) -> Any:
    model = world_model()
    model.config = model.config.model_copy(update=fields)
    return model


def _edit(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def _set_fields(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    record = json.loads(path.read_text())
    record["config"].update(fields)
    path.write_text(json.dumps(record))


def _tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


CONFIG, TENSORS = "config.json", "model.safetensors"


@pytest.mark.parametrize(
    ("damage", "file", "says"),
    [
        (lambda f: (f / CONFIG).unlink(), "", "lacks config.json"),
        (lambda f: (f / TENSORS).unlink(), "", "lacks model.safetensors"),
        (lambda f: (f / CONFIG).write_text("{"), CONFIG, "damaged"),
        (lambda f: (f / CONFIG).write_text("{}"), CONFIG, "describes no head"),
        (lambda f: (f / CONFIG).write_text("null"), CONFIG, "no JSON object"),
        (lambda f: _edit(f, format=2), CONFIG, "format 2, this tvsl reads 1. Update tvsl."),
        (lambda f: _edit(f, format=None), CONFIG, "format nothing"),
        (lambda f: _edit(f, method="best"), CONFIG, "no method 'best'. Methods: tvsl, "),
        (lambda f: _edit(f, method=["tvsl"]), CONFIG, "'method'"),
        (lambda f: _edit(f, encoder_sha256="abc"), CONFIG, "'encoder_sha256'"),
        (lambda f: _edit(f, encoder_sha256="0" * 64), CONFIG, "another encoder"),
        (lambda f: _edit(f, config=7), CONFIG, "'config'"),
        (lambda f: _edit(f, more=1), CONFIG, "'more'"),
        (lambda f: _set_fields(f, readout="best"), CONFIG, "'readout'"),
        (lambda f: _set_fields(f, colour=1), CONFIG, "'colour'"),
        (lambda f: _set_fields(f, polarity=3), CONFIG, "'polarity'"),
        (
            lambda f: _set_fields(f, stages=1, audio_conditioning=False, image_conditioning=False),
            CONFIG,
            "one-stage",
        ),
        (lambda f: _set_fields(f, embedding=16), TENSORS, "has shape"),
        (lambda f: _set_fields(f, fusion_layers=1), TENSORS, "unknown"),
        (lambda f: _set_fields(f, correspondence=False), TENSORS, "unknown"),
        (lambda f: (f / TENSORS).write_bytes(b""), TENSORS, "damaged"),
        (lambda f: (f / TENSORS).write_bytes(b"\x80\x04\x95" * 9), TENSORS, "damaged"),
        (lambda f: torch.save(random_head().state_dict(), f / TENSORS), TENSORS, "damaged"),
        (lambda f: _truncate(f / TENSORS), TENSORS, "damaged"),
        (lambda f: _tensors(f, lambda t: t.popitem()), TENSORS, "1 tensors missing"),
        (lambda f: _tensors(f, lambda t: t.update(x=torch.ones(1))), TENSORS, "1 unknown"),
        (
            lambda f: _tensors(f, lambda t: next(iter(t.values())).fill_(torch.nan)),
            TENSORS,
            "not finite",
        ),
    ],
)
def test_damaged_heads_are_refused(
    damage: Callable[[Path], object],
    file: str,
    says: str,
    folder: Path,
    encoder: AudioCLIPEncoder,
) -> None:
    damage(folder)
    with pytest.raises(WeightsError) as caught:
        read_head(folder).build(encoder)
    assert str(folder / file) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_a_head_s_prompts_need_a_text_encoder(
    encoder: AudioCLIPEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = TVSL(TVSLConfig(embedding=32, prompt_length=2), encoder.text_encoder)
    save_head(head, encoder, tmp_path / "h")
    monkeypatch.setattr(AudioCLIPEncoder, "text_encoder", None)
    with pytest.raises(WeightsError, match="text encoder"):
        read_head(tmp_path / "h").build(encoder)


@pytest.mark.parametrize("name", ["absent", "file", "empty"])
def test_what_is_no_folder_of_a_head(name: str, encoder: AudioCLIPEncoder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TvslError, match=str(tmp_path / name)):
        read_head(tmp_path / name).build(encoder)
