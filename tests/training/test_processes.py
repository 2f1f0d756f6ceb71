"""Training by several processes: the same head as by one, and runs that others go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.group import in_processes, slurm
from tests.training.colour_encoder import ColourEncoder
from tests.training.test_fit import checkpoint, column, failing, rows, short
from tests.training.test_fit_methods import SMALL
from tvsl.encoder import LogitScales
from tvsl.errors import OutputError
from tvsl.methods import METHODS
from tvsl.methods.base import Untrained
from tvsl.training.fit import train_head
from tvsl.utils.processes import processes

pytestmark = [pytest.mark.processes, pytest.mark.slow]

TRAINED = [name for name in METHODS if not issubclass(METHODS[name], Untrained)]
Runs = dict[str, dict[str, Any]]
RECIPES: Runs = {
    "tvsl": {},
}
TORN = "torn"
EVERY: Runs = {
    name: {
        "method": name,
        "hyperparameters": {**SMALL.get(name, {}), "image_tokens": "values"},
        "validation_scenes": 2,
        "most_sources": 2,
        "steps": 6,
        "learning_rate": 1e-4,
    }
    for name in TRAINED
}


class ScaledEncoder(ColourEncoder):
    """An encoder with the logit scales that ``tvsl-released`` takes over."""

    logit_scales = LogitScales(10.0, 8.0, 12.0)


def train_all(folder: Path, runs: Runs) -> list[str]:
    """Train heads, in the group if there is one; what was wrong with a second start."""
    told = []
    with processes() as team:
        for name, fields in runs.items():
            train_head(short(**fields), ScaledEncoder(), folder / name, tokens=folder / "tokens")
        try:
            with processes() as same:
                assert same is team
            if team.leads:
                train_head(short(), ScaledEncoder(), folder / next(iter(runs)))
        except OutputError as error:
            told.append(error.problem)
        return told


WITHOUT_EFFECT = frozenset(
    f"method.{name}.bias"
    for name in (
        # A softmax takes no notice of what is added to all of its values, nor does a LayerNorm. The
        # gradient is rounding alone, which Adam scales up to whole steps.
        *(f"group_{side}.blocks.0.attention.key" for side in ("image", "audio")),
        *(f"group_{side}.ask.attention.key" for side in ("image", "audio")),
        *(f"group_{side}.assign.query" for side in ("image", "audio")),
        *(f"group_{side}.mix_tokens.2" for side in ("image", "audio")),
    )
)
"""Biases of AVGN on which nothing that it gives depends."""


def assert_same_head(one: Path, other: Path, within: float) -> None:
    mine, others = (checkpoint(folder, "last.ckpt")["state_dict"] for folder in (one, other))
    assert mine.keys() == others.keys()
    apart = {name: float((mine[name] - others[name]).abs().max()) for name in mine}
    apart = {name: value for name, value in apart.items() if name not in WITHOUT_EFFECT}
    assert {name: value for name, value in apart.items() if value > within} == {}
    for name in ("validation/score", "train/loss"):
        assert column(one, name) == pytest.approx(column(other, name), rel=1e-4)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("alone")
    train_all(folder, RECIPES)
    return folder


def train_and_resume(folder: Path, runs: Runs) -> list[str]:
    """Train heads, and go on with a run that one process began."""
    with processes():
        told = train_all(folder, runs)
        train_head(short(), ScaledEncoder(), folder / TORN, True, tokens=folder / "tokens")
    return told


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str]]]:
    """The head that two tasks of SLURM have trained."""
    folder = tmp_path_factory.mktemp("two")
    with (
        pytest.MonkeyPatch.context() as patch,
        failing(patch, 5, SystemExit()),
        pytest.raises(SystemExit),
    ):
        train_head(short(), ScaledEncoder(), folder / TORN, tokens=folder / "own")
    return folder, in_processes(2, folder, train_and_resume, folder, RECIPES, starter=slurm)


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_train_the_same_head(
    name: str, alone: Path, by_two: tuple[Path, list[list[str]]]
) -> None:
    assert_same_head(alone / name, by_two[0] / name, 1e-5)
    assert (by_two[0] / name / "head").is_dir()
    assert len(rows(by_two[0] / name)) == len(rows(alone / name))


def test_two_processes_go_on_where_one_was_interrupted(
    alone: Path, by_two: tuple[Path, list[list[str]]]
) -> None:
    assert_same_head(alone / "tvsl", by_two[0] / TORN, 1e-5)


def test_tokens_are_those_of_one_process(alone: Path, by_two: tuple[Path, list[list[str]]]) -> None:
    files = sorted(path.name for path in (alone / "tokens").glob("*.safetensors"))
    assert files
    for name in files:
        one, two = ((folder / "tokens" / name).read_bytes() for folder in (alone, by_two[0]))
        assert one == two


def test_a_folder_with_a_run_is_refused(by_two: tuple[Path, list[list[str]]]) -> None:
    assert "There is a run in this folder already." in by_two[1][0]


@pytest.mark.parametrize("count", [2, 4])
def test_every_method_is_trained_by_several_as_by_one(count: int, tmp_path: Path) -> None:
    one, others = tmp_path / "one", tmp_path / "others"
    for folder in (one, others):
        folder.mkdir()
    train_all(one, EVERY)
    in_processes(count, others, train_all, others, EVERY)
    for name in EVERY:
        assert_same_head(one / name, others / name, 1e-5)
