from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from tests.cli.running import run, run_alone, written
from tvsl.audioclip.checkpoint import save_audioclip
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.methods.checkpoint_io import read_head
from tvsl.training import fit
from tvsl.training.pretraining import new_mini_model

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = ("--clips", "8", "--batch", "4", "--steps", "2", "--most-sources", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained mini model."""
    torch.manual_seed(0)
    return save_audioclip(new_mini_model().freeze(), tmp_path_factory.mktemp("model") / "mini")


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation as short as training."""
    real = fit.validation_scenes
    monkeypatch.setattr(
        fit, "validation_scenes", lambda encoder, data, _, told: real(encoder, data, 4, told)
    )


def test_a_head_from_the_command_line(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ("--seed", "0", "--hyperparameter", "token_projectors=slow", "--option", "twins=0.5")
    ran = run("train", "--data", "synthetic", "--model", model, "-o", out, *SHORT, *options)
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"The head is in {out / 'head'}: validation AP ")
    assert "at step 2" in ran.out
    for title in ("Encoding clips: 8 of 8", "Encoding validation scenes: 16 of 16", "Training: 2"):
        assert title in ran.err
    for name in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics.csv", "recipe.json"):
        assert (out / name).is_file()
    head = read_head(out / "head").build(AudioCLIPEncoder(load_audioclip(model)))
    assert head.config.token_projectors == "slow"  # type: ignore[attr-defined]
    recipe = read_head(out / "head").notes["recipe"]
    assert recipe["data_options"] == {"twins": 0.5}


def test_a_run_is_resumed_as_it_was_started(model: Path, tmp_path: Path) -> None:
    start = ("train", "--model", model, "-o", tmp_path / "run", *SHORT, "--flip-average", "turn")
    assert run(*start).code == 0
    again = run(*start)
    assert again.code == 1
    assert "run in this folder already" in again.err
    other = run(*start, "--resume", "--seed", "1")
    assert other.code == 2
    assert "seed was 0" in other.err
    resumed = run("train", "--model", model, "-o", tmp_path / "run", "--resume")
    assert resumed.code == 0, resumed.err
    assert read_head(tmp_path / "run" / "head").config.flip_average == "turn"


@pytest.mark.slow
def test_presets_bring_their_recipe(model: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    for number, preset in enumerate(("paper", "tvsl")):
        out = tmp_path / preset
        options = ("--clips", 4, "--steps", 1, "--most-sources", 1, "--tokens", tokens)
        ran = run("train", "--preset", preset, "--model", model, "-o", out, *options)
        assert ran.code == 0, ran.err
        record = json.loads((out / "recipe.json").read_text())
        assert record["batch"] == (256, 128)[number]
        assert record["schedule"] == ("constant", "cosine")[number]
    assert not (tmp_path / "tvsl" / "tokens").exists()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--data", "vgg"), 2, "no data set 'vgg'"),
        (("--method", "best"), 2, "no method 'best'"),
        (("--method", "text-only"), 2, "needs no training"),
        (("--method", "ez-vsl", "--preset", "paper"), 2, "no presets"),
        (("--preset", "printed"), 2, "no preset 'printed'"),
        (("--hyperparameter", "stages"), 2, "NAME=VALUE"),
        (("--hyperparameter", "stages=3"), 2, "'stages'"),
        (("--hyperparameter", "image_tokens=grids"), 2, "'image_tokens'"),
        (("--option", "twins=two"), 2, "'twins'"),
        (("--epochs", "0"), 2, "'epochs'"),
        (("--learning-rate", "nan"), 2, "--learning-rate"),
        (("--resume",), 2, "no run to resume"),
        (("--device", "tpu9"), 2, "no device 'tpu9'"),
        (("--most-sources", "9"), 2, "most-sources"),
        (("--clips", "1"), 2, "as many, and there are 1"),
    ],
)
def test_wrong_usage(
    options: tuple[str, ...], code: int, says: str, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    ran = run("train", "--model", model, "-o", out, *options)
    assert ran.code == code
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--option", "twins=two"), "'twins'"),
        (("--hyperparameter", "stages=3"), "'stages'"),
        (("--method", "text-only"), "needs no training"),
        (("--clips", "2", "--most-sources", "3"), "as many, and there are"),
    ],
)
def test_what_can_be_known_is_said_before_a_model_is_loaded(
    options: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvsl.loading.load_encoder", None)
    ran = run("train", "-o", tmp_path / "run", *options)
    assert ran.code == 2
    assert says in ran.err
    assert not (tmp_path / "run").exists()


def test_a_store_for_something_else_leaves_no_run(model: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    options = ("--model", model, "--tokens", tokens)
    assert run("train", *options, "-o", tmp_path / "one", *SHORT).code == 0
    before = written(tokens)
    ran = run("train", *options, "-o", tmp_path / "two", *SHORT, "--seed", "7")
    assert ran.code == 1
    assert not (tmp_path / "two").exists()
    assert written(tokens) == before


def test_one_of_several_processes_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        ran = run("train", "--data", "nothing", "-o", tmp_path / "run")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.count("\n") == (1 if rank == "0" else 0)
        assert ("nothing" in ran.err) == (rank == "0")
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_under_torchrun(count: int, model: Path, tmp_path: Path) -> None:
    start = (sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={count}")
    program = (*start, "--standalone", "-m", "tvsl", "train", "--model", str(model))
    ran = run_alone("-o", tmp_path / "run", *SHORT, program=program)
    assert ran.code == 0, ran.err
    assert ran.out.count("The head is in") == 1
    assert (tmp_path / "run" / "head").is_dir()


def test_what_a_data_set_does_not_use_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = [("Not used", "3 clips of other classes.")]
    monkeypatch.setattr("tvsl.data.base.DataSet.notes", property(lambda _: notes))
    ran = run("train", "--model", tmp_path / "nothing", "-o", tmp_path / "run")
    assert "Not used: 3 clips of other classes." in ran.err


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    ran = run("train", "--model", tmp_path / "nothing", "-o", tmp_path / "run")
    assert ran.code == 1
    assert str(tmp_path / "nothing") in ran.err
    assert not (tmp_path / "run").exists()


def test_help_names_the_options() -> None:
    told = run("train", "--help").out
    for option in (
        "--preset",
        "--tokens",
        "--most-sources",
        "--resume",
        "--hyperparameter",
        "--model",
    ):
        assert option in told
