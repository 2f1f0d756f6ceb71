from __future__ import annotations

import csv
import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.colour_encoder import ColourEncoder
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.errors import OutputError, StoreError, UsageError
from tvsl.methods.checkpoint_io import read_head
from tvsl.methods.tvsl import TVSL
from tvsl.training.config import TrainConfig, recipe
from tvsl.training.fit import train_head
from tvsl.training.modules import HeadTraining
from tvsl.training.pretraining import new_mini_model
from tvsl.training.trainer import WholeCheckpoints

SHORT = {
    "clips": 24,
    "batch": 8,
    "steps": 8,
    "validate_every": 3,
    "validation_scenes": 4,
    "most_sources": 3,
    "learning_rate": 1e-2,
    "hyperparameters": {"token_projectors": "slow"},
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def short(**fields: Any) -> TrainConfig:
    return recipe(**{**SHORT, **fields})


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that the short runs share."""
    return tmp_path_factory.mktemp("tokens") / "store"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tokens: Path) -> Path:
    """A short run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train_head(short(), ColourEncoder(), folder, tokens=tokens)
    return folder


def checkpoint(folder: Path, name: str) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "checkpoints" / name, weights_only=True)
    return state


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(folder: Path, name: str) -> list[float]:
    return [float(row[name]) for row in rows(folder) if row.get(name)]


def assert_same_run(one: Path, other: Path) -> None:
    """The same bits: parameters, optimiser, metrics, the head."""
    for name in ("last.ckpt", "best.ckpt"):
        first, second = checkpoint(one, name), checkpoint(other, name)
        assert first["global_step"] == second["global_step"]
        assert first["validation"] == second["validation"]
        assert first["state_dict"].keys() == second["state_dict"].keys()
        for key, value in first["state_dict"].items():
            assert torch.equal(value, second["state_dict"][key]), key
        states = [state["optimizer_states"][0]["state"] for state in (first, second)]
        for key, moments in states[0].items():
            for moment, value in moments.items():
                assert torch.equal(value, states[1][key][moment]), (key, moment)
        assert first["lr_schedulers"] == second["lr_schedulers"]
    assert rows(one) == rows(other)
    for name in ("config.json", "model.safetensors"):
        assert (one / "head" / name).read_bytes() == (other / "head" / name).read_bytes()


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException) -> Iterator[None]:
    """Let training break off in a step."""
    real = HeadTraining.training_step

    def broken(self: HeadTraining, batch: Any, batch_idx: int) -> Tensor:
        if self.global_step == step:
            raise error
        return real(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(HeadTraining, "training_step", broken)
        yield


# Learning


def test_a_head_learns(tmp_path: Path) -> None:
    config = recipe(
        clips=192,
        batch=32,
        steps=60,
        validate_every=20,
        validation_scenes=24,
        most_sources=1,
        learning_rate=1e-2,
        hyperparameters={
            "token_projectors": "trained",
            "identity_start": False,
            "correspondence_projectors": "both",
            "correspondence_weight": 1.0,
            "query_anchor": 0.0,
            "readout": "text",
        },
    )
    encoder = ColourEncoder()
    told: list[str] = []

    @contextmanager
    def stages(title: str) -> Iterator[Any]:
        told.append(title)
        yield lambda done, total: None

    folder = train_head(config, encoder, tmp_path / "run", stages=stages)
    assert told == ["Encoding clips", "Encoding validation scenes", "Training"]
    assert folder == tmp_path / "run" / "head"
    losses = column(tmp_path / "run", "validation/loss")
    precision = column(tmp_path / "run", "validation/AP")
    scores = column(tmp_path / "run", "validation/score")
    assert losses[-1] < 0.9 * losses[0]
    assert precision[-1] > precision[0] + 10
    class_wise = column(tmp_path / "run", "validation/CAP")
    means = [(one + two) / 2 for one, two in zip(precision, class_wise, strict=True)]
    assert scores == pytest.approx(means)
    best = checkpoint(tmp_path / "run", "best.ckpt")
    assert best["global_step"] == 20 * (1 + scores.index(max(scores)))
    head = read_head(folder).build(encoder)
    for name, value in head.state_dict().items():
        assert torch.equal(value, best["state_dict"][f"method.{name}"])
    notes = read_head(folder).notes
    assert notes["recipe"] == config.model_dump(mode="json")
    assert notes["step"] == best["global_step"]
    assert notes["validation"]["score"] == pytest.approx(max(scores))


def test_every_metric_is_logged(whole: Path) -> None:
    names = ("mcid", "cls", "av", "loss", "AP", "CAP", "score")
    assert {f"validation/{name}" for name in names} <= set(rows(whole)[0])
    assert [int(row["step"]) for row in rows(whole) if row["validation/AP"]] == [2, 5, 7]


def test_the_same_recipe_gives_the_same_bits(whole: Path, tokens: Path, tmp_path: Path) -> None:
    train_head(short(), ColourEncoder(), tmp_path / "run", tokens=tokens)
    assert_same_run(whole, tmp_path / "run")
    train_head(short(seed=1), ColourEncoder(), tmp_path / "other")
    others = checkpoint(tmp_path / "other", "last.ckpt")["state_dict"]
    mine = checkpoint(whole, "last.ckpt")["state_dict"]
    assert any(not torch.equal(value, others[name]) for name, value in mine.items())


@pytest.mark.parametrize(
    ("method", "hyperparameters", "losses"),
    [
        ("lvs", {}, ["contrastive"]),
        ("ez-vsl", {"dimension": 8}, ["contrastive"]),
        ("margin-nce", {"dimension": 8, "margin": -0.1}, ["contrastive"]),
        ("fnac", {"dimension": 8}, ["contrastive", "fns1", "fns2", "tns"]),
        ("alignment", {"dimension": 8}, ["localisation", "alignment"]),
        ("audioclip-finetuned", {"text": True}, ["audio_image", "audio_text", "image_text"]),
        ("wav2clip", {"hidden": 8}, ["mlp_audio_image", "audio_mlp_image"]),
    ],
)
def test_every_contrastive_method_is_trained_by_the_same_command(
    method: str, hyperparameters: dict[str, Any], losses: list[str], tokens: Path, tmp_path: Path
) -> None:
    config = short(method=method, hyperparameters=hyperparameters, steps=4)
    folder = train_head(config, ColourEncoder(), tmp_path / "run", tokens=tokens)
    head = read_head(folder).build(ColourEncoder())
    assert head.name == method
    assert vars(head.config).items() >= hyperparameters.items()
    for name in losses:
        assert len(column(tmp_path / "run", f"validation/{name}")) == 2


def test_tokens_are_encoded_once(tokens: Path, whole: Path, tmp_path: Path) -> None:
    encoder = ColourEncoder()
    train_head(short(steps=1), encoder, tmp_path / "run", tokens=tokens)
    assert encoder.encoded == 4 * (1 + 2 + 3 + 4)  # the panels of the validation scenes
    assert not (tmp_path / "run" / "tokens").exists()


@pytest.mark.slow
def test_the_mini_model_s_kind_with_learned_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    encoder = AudioCLIPEncoder(new_mini_model(), flip_average="turn")
    before = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    fields = {"clips": 8, "batch": 4, "steps": 3, "validate_every": 2, "most_sources": 2}
    config = short(**fields, hyperparameters={"prompt_length": 2, "prompt_classes": 4})
    folder = train_head(config, encoder, tmp_path / "run")
    head = read_head(folder).build(encoder)
    assert head.config.flip_average == "turn"
    assert head.config.image_tokens == "values"
    state = checkpoint(tmp_path / "run", "last.ckpt")["state_dict"]
    assert all(name.startswith("method.") for name in state)
    assert "method.prompts.context" in state
    for name, value in encoder.model.state_dict().items():
        assert torch.equal(value, before[name]), name  # frozen
    again, tokens = tmp_path / "again", tmp_path / "run" / "tokens"
    with failing(monkeypatch, 2, SystemExit()), pytest.raises(SystemExit):
        train_head(config, encoder, again, tokens=tokens)
    train_head(config, encoder, again, resume=True, tokens=tokens)
    assert_same_run(tmp_path / "run", again)


@pytest.mark.parametrize("seed", [20_261_130_120_000, 2**63 - 1])
def test_any_seed_that_a_recipe_allows(seed: int, tmp_path: Path) -> None:
    """A time of day as a seed has as many bits as torch takes, without a step."""
    head = train_head(short(seed=seed, steps=2), ColourEncoder(), tmp_path / "run")
    assert read_head(head).notes["recipe"]["seed"] == seed


# Interruptions


@pytest.mark.parametrize("step", [4, 7], ids=["second epoch", "last step"])
def test_a_resumed_run_ends_with_the_same_bits(
    step: int, whole: Path, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with failing(monkeypatch, step, SystemExit()), pytest.raises(SystemExit):
        train_head(short(), ColourEncoder(), folder, tokens=tokens)
    assert checkpoint(folder, "last.ckpt")["global_step"] == step // 3 * 3
    assert not (folder / "head").exists()
    train_head(short(), ColourEncoder(), folder, resume=True, tokens=tokens)
    assert_same_run(whole, folder)


def test_a_run_can_be_moved_and_resumed_twice(
    whole: Path, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing(monkeypatch, 3, SystemExit()), pytest.raises(SystemExit):
        train_head(short(), ColourEncoder(), tmp_path / "one", tokens=tokens)
    shutil.move(tmp_path / "one", tmp_path / "two")
    with failing(monkeypatch, 6, SystemExit()), pytest.raises(SystemExit):
        train_head(short(), ColourEncoder(), tmp_path / "two", resume=True, tokens=tokens)
    shutil.move(tmp_path / "two", tmp_path / "three")
    train_head(short(), ColourEncoder(), tmp_path / "three", resume=True, tokens=tokens)
    assert_same_run(whole, tmp_path / "three")


def test_a_finished_run_is_only_written_again(whole: Path, tokens: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(folder / "head")
    train_head(short(), ColourEncoder(), folder, resume=True, tokens=tokens)
    assert_same_run(whole, folder)


def test_a_full_disk_leaves_the_last_checkpoint(
    whole: Path, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = WholeCheckpoints.save_checkpoint

    def full(self: WholeCheckpoints, state: Any, path: Any, storage_options: Any = None) -> None:
        if state["global_step"] == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, state, path, storage_options)

    with monkeypatch.context() as patch:
        patch.setattr(WholeCheckpoints, "save_checkpoint", full)
        with pytest.raises(OutputError, match=r"No space left.*resume"):
            train_head(short(), ColourEncoder(), tmp_path / "run", tokens=tokens)
    train_head(short(), ColourEncoder(), tmp_path / "run", resume=True, tokens=tokens)
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_too_little_memory_leaves_the_last_checkpoint(
    error: Exception, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing(monkeypatch, 4, error), pytest.raises(OutputError, match="memory"):
        train_head(short(), ColourEncoder(), tmp_path / "run", tokens=tokens)
    assert checkpoint(tmp_path / "run", "last.ckpt")["global_step"] == 3


# What validation decides


def test_what_is_decided_is_stored_with_the_best_head(whole: Path) -> None:
    stored = read_head(whole / "head")
    decided = stored.notes["calibration"]["hyperparameters"]
    assert set(decided) >= {"readout", "detector", "polarity", "detection_threshold"}
    for name, value in decided.items():
        assert getattr(stored.config, name) == value
    best = checkpoint(whole, "best.ckpt")["state_dict"]
    head = read_head(whole / "head").build(ColourEncoder())
    assert not head.training
    for name, value in head.state_dict().items():
        assert torch.equal(value, best[f"method.{name}"])


# What is refused, before any work


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"method": "text-only", "hyperparameters": {}}, "needs no training"),
        ({"data": "vgg"}, "no data set"),
        ({"hyperparameters": {"image_tokens": "cells"}}, r"'cells'.*'values'"),
        ({"hyperparameters": {"prompt_length": 2}}, "text encoder"),
    ],
)
def test_recipes_that_cannot_be_followed(fields: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        train_head(short(**fields), ColourEncoder(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_is_used_once(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="run in this folder already"):
        train_head(short(), ColourEncoder(), whole)
    with pytest.raises(UsageError, match="no run to resume"):
        train_head(short(), ColourEncoder(), tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("config", "encoder", "says"),
    [
        (short(batch=9), ColourEncoder(), "batch was 8"),
        (short(), ColourEncoder("b" * 64), "encoder was 'aaa"),
    ],
)
def test_another_run_is_not_resumed(
    config: TrainConfig, encoder: ColourEncoder, says: str, whole: Path
) -> None:
    before = (whole / "recipe.json").read_bytes()
    with pytest.raises(UsageError, match=says) as caught:
        train_head(config, encoder, whole, resume=True)
    assert caught.value.path == whole / "recipe.json"
    assert (whole / "recipe.json").read_bytes() == before


def test_a_damaged_recipe_is_said(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "recipe.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        train_head(short(), ColourEncoder(), folder, resume=True)


def test_tokens_of_another_recipe_are_refused(tokens: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="most_sources 3, not 2"):
        train_head(short(most_sources=2), ColourEncoder(), tmp_path / "run", tokens=tokens)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file, not a folder"):
        train_head(short(), ColourEncoder(), tmp_path / "file" / "run")


def test_divergence_is_said(tokens: Path, tmp_path: Path) -> None:
    # A rate that no recipe may have; others diverge later.
    config = short(schedule="constant").model_copy(update={"learning_rate": 1e30})
    with pytest.raises(UsageError, match="not finite"):
        train_head(config, ColourEncoder(), tmp_path / "run", tokens=tokens)


def test_the_recipe_can_be_read(whole: Path) -> None:
    record = json.loads((whole / "recipe.json").read_text())
    assert record["method"] == TVSL.name
    assert record["encoder"] == "a" * 64
