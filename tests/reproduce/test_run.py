from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.reproduce.conftest import FEW, MakeBench
from tvsl.errors import OutputError, UsageError
from tvsl.reproduce import train as runs_module
from tvsl.reproduce.experiment import Experiment
from tvsl.reproduce.figures import SHEETS
from tvsl.reproduce.reduced_encoder import ReducedEncoder
from tvsl.reproduce.report import csv_text, json_content, markdown
from tvsl.reproduce.run import (
    Reproduction,
    Selection,
    leave_out,
    reproduce,
    require_feasible,
    select,
)
from tvsl.reproduce.tables import AUDIOCLIP, TABLES, TRIVIAL, TVSL, learned
from tvsl.reproduce.targets import TARGETS

EZ_VSL = learned("EZ-VSL", "ez-vsl", "EZ-VSL")
SMALL = replace(TABLES["table1"], rows=(EZ_VSL, TVSL, AUDIOCLIP, TRIVIAL[1]))
SHEET = replace(SHEETS["figure3"], rows=(EZ_VSL, TVSL))
DROPPED = replace(TABLES["table5"], rows=(TVSL,))


class Told:
    """Record of the progress that was shown."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int | None]] = {}

    @contextmanager
    def __call__(self, title: str, counted: str) -> Iterator[Any]:
        def report(done: int, total: int | None) -> None:
            self.last[title] = (done, total)

        yield report


def made(experiment: Experiment, *tables: Any, sheets: tuple[Any, ...] = ()) -> Reproduction:
    return reproduce(Selection(tables, sheets, False), experiment, Told())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole") / "out"


@pytest.fixture(scope="module")
def found(folder: Path, make_bench: MakeBench) -> Reproduction:
    """Everything from nothing to the end."""
    return made(make_bench(folder), SMALL, DROPPED, sheets=(SHEET,))


def test_a_table_has_a_line_for_every_method_and_source_of_labels(found: Reproduction) -> None:
    table = found.tables[0]
    assert [(line.row, line.labels) for line in table.lines] == [
        ("EZ-VSL", "none"),
        ("T-VSL", "detected"),
        ("T-VSL", "given"),
        ("Encoder's similarity, untrained", "none"),
        ("Centre", "none"),
    ]
    assert table.headers == ("AP", "IoU@0.5", "AUC")
    for line in table.lines:
        trained = line.row in ("EZ-VSL", "T-VSL")
        for value, how in zip(line.values, line.trained, strict=True):
            assert value is not None
            assert len(value.seeds) == (2 if trained else 1)
            assert how.startswith("single sources, 4 at 0.0") is trained
    assert table.lines[0].paper["VGGSound"] == (40.6, 45.1, 47.2)
    assert table.lines[1].paper["MUSIC"] == (88.2, 68.5, 60.1)


def test_a_drop_is_a_share_of_the_first_figure(found: Reproduction) -> None:
    table = found.tables[1]
    assert table.headers[:3] == ("2: CIoU@0.3", "3: CIoU@0.3", "4: CIoU@0.3")
    few, _, many, drop = table.lines[1].values
    assert few is not None
    assert many is not None
    if drop is not None:
        pairs = zip(few.seeds, many.seeds, strict=True)
        shares = [100 * (1 - last / first) for first, last in pairs if first > 0]
        assert drop.seeds == pytest.approx(shares)
    assert table.lines[0].paper["VGGSound"][:3] == (39.6, 35.7, 29.5)


def test_every_choice_has_all_its_candidates(found: Reproduction) -> None:
    learned_units = [choice for choice in found.choices if choice.candidates.curricula]
    assert {len(choice.scores) for choice in learned_units} == {2, 4}
    for choice in learned_units:
        best = max(score for _, score in choice.scores if score is not None)
        assert dict(choice.scores)[choice.chosen] == best  # type: ignore[index]


def test_a_sheet_shows_the_maps_of_every_method(found: Reproduction) -> None:
    (sheet,) = found.sheets
    (case,) = sheet.cases
    assert sheet.methods == ("EZ-VSL", "T-VSL")
    assert case.picture.shape == (112, 224, 3)
    assert case.truth.shape == (2, 112, 224)
    one, two = case.maps
    assert one is not None
    assert two is not None
    assert one.shape == (1, 112, 224)
    assert two.shape == (2, 112, 224)
    assert 0 <= two.min() <= two.max() <= 1


def test_what_is_done_is_not_done_again(
    found: Reproduction, folder: Path, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    for name in ("train", "score_batches"):
        monkeypatch.setattr(runs_module, name, None)
    told = Told()
    selection = Selection((SMALL, DROPPED), (SHEET,), False)
    again = reproduce(selection, make_bench(folder), told)
    assert json_content(again) == json_content(found)
    assert markdown(again) == markdown(found)
    assert csv_text(again) == csv_text(found)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    done, total = told.last["Heads"]
    assert done == total


def test_all_leaves_out_what_the_encoder_has_no_tokens_for(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    experiment = make_bench(tmp_path / "out")
    assert leave_out(select(["all"]), experiment) == (select(["all"]), ())
    other = make_bench(tmp_path / "out")
    whole = torch.eye(experiment.encoder.embedding)
    other.whole_encoder = ReducedEncoder(experiment.encoder, whole)  # not like AudioCLIP
    left, remarks = leave_out(select(["all"]), other)
    assert {table.name for table in left.tables} == set(TABLES) - {"tokens", "table6"}
    assert [name for name in ("table6", "tokens") for text in remarks if name in text] == [
        "table6",
        "tokens",
    ]
    assert leave_out(select(["table2", "twins"]), other) == (select(["table2", "twins"]), ())
    for name in ("tokens", "table6"):
        with pytest.raises(UsageError):
            leave_out(select([name]), other)


def test_another_recipe_is_refused(
    found: Reproduction, folder: Path, make_bench: MakeBench
) -> None:
    with pytest.raises(UsageError, match="steps was 2"):
        made(make_bench(folder, steps=3), SMALL)


def test_a_folder_that_holds_something_else(make_bench: MakeBench, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="holds no reproduction"):
        made(make_bench(tmp_path), SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_conditions_say_how_much_there_is(found: Reproduction) -> None:
    conditions = found.provenance
    assert (conditions.clips, conditions.classes) == (24, 18)
    assert conditions.scenes["duets"] == 3
    assert conditions.warnings == ("Learned rows have 2 seed(s): spreads say little or nothing.",)
    assert conditions.located


@pytest.mark.parametrize("name", TARGETS)
def test_tables_and_figures_are_asked_for_by_name(name: str) -> None:
    selection = select([name])
    found = {one.name for one in (*selection.tables, *selection.sheets)}
    assert found == ({"table1", "table2"} if name == "figure1" else {name})
    assert selection.bars is (name == "figure1")


def test_all_is_everything_in_order() -> None:
    selection = select(["twins", "all"])
    assert [one.name for one in (*selection.tables, *selection.sheets)] == [
        name for name in TARGETS if name != "figure1"
    ]
    assert selection.bars
    with pytest.raises(UsageError, match="no table or figure 'table8'"):
        select(["table1", "table8"])


_ALONE = """
import sys
from pathlib import Path
import torch
from tests.reproduce.test_run import SMALL, made
from tvsl.reproduce.experiment import Experiment, ExperimentConfig
from tvsl.reproduce.specs import reproduce_config
torch.set_num_threads(1)
config = reproduce_config("synthetic", "quick", **{fields!r})
settings = ExperimentConfig(config, sys.argv[1], "synthetic", {{}}, Path(sys.argv[2]), "cpu")
made(Experiment(settings), SMALL)
"""


@pytest.mark.slow
def test_a_kill_loses_only_what_is_in_work(
    found: Reproduction, model: Path, make_bench: MakeBench, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    code = _ALONE.format(fields=FEW)
    process = subprocess.Popen([sys.executable, "-c", code, str(model), str(folder)])
    runs = folder / "runs"
    limit = time.monotonic() + 300
    while len(list(runs.glob("*.json"))) < 2 and time.monotonic() < limit:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*.json")}
    assert len(before) >= 2
    resumed = made(make_bench(folder), SMALL)
    assert json_content(resumed)["tables"][0] == json_content(found)["tables"][0]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(runs.glob("*.json"))) > len(before)
    assert not list(folder.rglob("*.part"))


def test_a_reproduction_on_few_directions_goes_on_with_the_same(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    small = replace(SMALL, rows=(AUDIOCLIP,))
    experiment = make_bench(tmp_path / "out", directions=16)
    first = made(experiment, small)
    assert experiment.encoder.embedding == 16
    assert all(scenes.tokens.size == 16 for scenes in experiment.validation())
    again = make_bench(tmp_path / "out", directions=16)
    assert json_content(made(again, small)) == json_content(first)
    assert again.encoder.fingerprint == experiment.encoder.fingerprint
    with pytest.raises(UsageError, match="directions was 16"):
        made(make_bench(tmp_path / "out"), small)


def test_what_has_no_scenes_at_all_is_refused_at_once(
    make_bench: MakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_bench(tmp_path / "out")
    kind = type(experiment.benchmark)
    monkeypatch.setattr(kind, "lacks", lambda _, one: "no files" if one.split == "test" else None)
    for selection in (Selection((SMALL, DROPPED), (), False), Selection((), (SHEET,), False)):
        with pytest.raises(UsageError, match="no files"):
            reproduce(selection, experiment, Told())
    assert not (tmp_path / "out").exists()
    only_single = lambda _, one: None if one.condition.sources == 1 else "few"  # noqa: E731
    monkeypatch.setattr(kind, "lacks", only_single)
    require_feasible(experiment, Selection((SMALL, DROPPED), (), False))
