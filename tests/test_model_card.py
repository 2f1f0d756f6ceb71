"""On the exported world `tvsl evaluate` gives the mini model the figures of its card."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks.mini_model import reach

from tests.cli.running import run
from tvsl.data import find_data
from tvsl.data.base import DataSet
from tvsl.evaluation.batch import encode_scenes
from tvsl.evaluation.evaluator import EvaluatedModels, Evaluator, load_models
from tvsl.evaluation.predict import evaluation_config
from tvsl.evaluation.results import Evaluation
from tvsl.evaluation.stored_results import write_samples
from tvsl.models import embedded_folder
from tvsl.synthetic.world import World

HEAD = "tvsl (own head)"
KINDS = {1: ("single", ("AP", "IoU@0.3", "IoU@0.5", "AUC")),
         2: ("duet", ("CAP", "CIoU@0.3", "CIoU@0.5", "AUC"))}  # fmt: skip


@pytest.fixture(scope="module")
def mini() -> EvaluatedModels:
    return load_models("mini", device="cpu")


def evaluated(models: EvaluatedModels, data: DataSet, folder: Path) -> Evaluation:
    measured = Evaluator(models, data, evaluation_config(), folder)
    measured.run()
    return measured.summarize()


def exported(folder: Path, sources: int, count: int) -> DataSet:
    ran = run("synthetic", "export", folder, "--scenes", str(count), "--sources", str(sources))
    assert ran.code == 0, ran.err
    return find_data("folder", root=folder)


def printed(evaluation: Evaluation, names: tuple[str, ...]) -> list[str]:
    """The figures of a row of the card: with labels given, then with detected ones."""
    given, detected = (
        next(
            row.scores.values
            for row in evaluation.rows
            if (row.name, row.scores.label_source) == (HEAD, labels)
        )
        for labels in ("given", "detected")
    )
    (detection,) = evaluation.detection
    numbers = [given[name] for name in names] + [detected[name] for name in names[:3]]
    return [f"{100 * number:.1f}" for number in (*numbers, detection.mean_average_precision)]


@pytest.mark.slow
@pytest.mark.parametrize(("sources", "count"), [(1, 36), (2, 24)])
def test_files_give_what_the_world_and_its_rows_give(
    sources: int, count: int, mini: EvaluatedModels, tmp_path: Path
) -> None:
    _, names = KINDS[sources]
    sets = (
        exported(tmp_path / "world", sources, count),
        find_data("synthetic", sources=sources, count=count),
    )
    found = []
    for number, data in enumerate(sets):
        evaluation = evaluated(mini, data, tmp_path / f"{number}")
        write_samples(evaluation, tmp_path / f"{number}.csv")
        found.append(evaluation)
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()
    assert printed(found[0], names) == printed(found[1], names)
    scenes = encode_scenes(mini.encoder, World("test"), sources, count)
    reached = reach(mini.methods[0].method, scenes)
    assert reached["detected"] is not None
    assert reached["detection"] is not None
    given = [reached["given"][name] for name in names]
    detected = [reached["detected"][name] for name in names[:3]]
    expected = [f"{number:.1f}" for number in (*given, *detected, reached["detection"])]
    assert printed(found[0], names) == expected


@pytest.mark.slow
@pytest.mark.parametrize("sources", KINDS)
def test_the_figures_are_those_of_the_card(
    sources: int, mini: EvaluatedModels, tmp_path: Path
) -> None:
    title, names = KINDS[sources]
    card = (embedded_folder("mini") / "README.md").read_text(encoding="utf-8")
    (row, *_) = re.findall(rf"^\| {title} \|(.*)\|$", card, re.MULTILINE)  # boxes come first
    cells = [cell.strip() for cell in row.split("|")]
    evaluation = evaluated(mini, exported(tmp_path / "world", sources, 500), tmp_path / "out")
    # All but the one in the middle, which tells an object from its silent twin.
    assert printed(evaluation, names) == cells[:4] + cells[5:]
