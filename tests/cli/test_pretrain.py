from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Ran, run, run_alone
from tvsl.audioclip.encoder import load_audioclip
from tvsl.synthetic.vocabulary import CLASSES
from tvsl.training.config import Terms

SHORT = ("--steps", "1", "--batch", "2", "--clips", "3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    folder = tmp_path_factory.mktemp("pretrain") / "run"
    return folder, run_alone("pretrain", "-o", folder, *SHORT)


def test_one_command_makes_a_model(trained: tuple[Path, Ran]) -> None:
    folder, ran = trained
    assert (ran.code, ran.out) == (0, f"The model is in {folder / 'model'}.\n")
    lines = ran.err.splitlines()
    assert lines == ["Making clips: 3 of 3", "Pre-training: 1 of 1"]
    assert load_audioclip(folder / "model").config.classes == CLASSES["all"]
    assert "validation/loss" in (folder / "metrics.csv").read_text()


def test_a_run_that_is_there_is_kept(trained: tuple[Path, Ran]) -> None:
    folder, _ = trained
    ran = run("pretrain", "-o", folder, *SHORT)
    assert ran.code == 1
    assert "already" in ran.err
    ran = run("pretrain", "-o", folder, *SHORT, "--resume", "--seed", "3")
    assert ran.code == 2
    assert "another recipe" in ran.err
    ran = run("pretrain", "-o", folder, *SHORT, "--resume")
    assert (ran.code, ran.out) == (0, f"The model is in {folder / 'model'}.\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--without", "sound"), "terms.sound"),
        (("--without", "sound", "--without", "image_text"), "terms.sound"),
        (
            tuple(part for name in Terms.model_fields for part in ("--without", name)),
            "a term must be left",
        ),
        (("--resume",), "no run to resume"),
        (("--steps", "0"), "--steps"),
        (("--batch", "1"), "--batch"),
        (("--clips", "-1"), "--clips"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    ran = run("pretrain", "-o", tmp_path / "run", *arguments)
    assert ran.code == 2
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "run").exists()


def test_it_needs_a_folder() -> None:
    ran = run("pretrain", *SHORT)
    assert ran.code == 2
    assert "--output" in ran.err


def test_help_names_the_terms() -> None:
    ran = run("pretrain", "--help")
    assert ran.code == 0
    for name in Terms.model_fields:
        assert name in "".join(ran.out.split("\n")).replace(" ", "")
