from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.cli.running import run, written
from tests.reproduce.real_clips import write_real_clips
from tests.reproduce.test_benchmark_files import write_folder
from tvsl.audioclip.checkpoint import save_audioclip
from tvsl.reproduce import run as run_module
from tvsl.reproduce.tables import AUDIOCLIP, TABLES, TRIVIAL, TVSL, learned, on_half
from tvsl.reproduce.targets import CSV, MARKDOWN, PAGE, RESULTS
from tvsl.training.pretraining import new_mini_model

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = (learned("EZ-VSL", "ez-vsl", "EZ-VSL"), TVSL, AUDIOCLIP, TRIVIAL[0])
FEW = ("clips=12", "steps=1", "batches=[4]", "validation_scenes=2", "test_scenes=2", "seeds=1")
SHORT = tuple(part for one in (*FEW, "learning_rates=[1e-3]") for part in ("--set", one))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained mini model."""
    torch.manual_seed(0)
    return save_audioclip(new_mini_model().freeze(), tmp_path_factory.mktemp("model") / "mini")


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    halved = tuple(on_half(row) for row in ROWS)
    small = {
        name: replace(spec, rows=halved if name == "table4" else ROWS)
        for name, spec in TABLES.items()
    }
    monkeypatch.setattr(run_module, "TABLES", small)


@pytest.mark.usefixtures("few_rows")
def test_a_table_from_the_command_line(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("reproduce", "table1", "-o", out, "--model", model, "--processes", 1, *SHORT)
    ran = run(*command, "--scale", "quick")
    assert ran.code == 0, ran.err
    for title in ("Encoding clips: 12 of 12", "Encoding scenes: ", "Heads: "):
        assert title in ran.err
    assert "Learned rows have 1 seed(s)" in ran.out
    assert f"Open {out / PAGE} in a browser." in ran.out
    assert {PAGE, MARKDOWN, CSV, RESULTS} <= written(out)
    assert "<h2>Table 1: Single sources</h2>" in (out / PAGE).read_text()
    assert "| EZ-VSL | no labels |" in (out / MARKDOWN).read_text()
    with (out / CSV).open(newline="") as stream:
        assert {row["table"] for row in csv.DictReader(stream)} == {"table1"}
    results = json.loads((out / RESULTS).read_text())
    assert [line["row"] for line in results["tables"][0]["lines"]] == [
        "EZ-VSL",
        "T-VSL",
        "T-VSL",
        "Encoder's similarity, untrained",
        "Whole frame",
    ]
    again = run(*command, "--scale", "quick")
    assert again.code == 0
    assert again.out == ran.out
    assert json.loads((out / RESULTS).read_text()) == results
    other = run(*command)
    assert other.code == 2
    assert "holds another reproduction" in other.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("table8",), 2, "no table or figure 'table8'"),
        (("table1", "--scale", "slow"), 2, "'slow'"),
        (("table1", "--set", "steps"), 2, "NAME=VALUE"),
        (("table1", "--set", "step=3"), 2, "'step'"),
        (("table1", "--data", "vggsound-single"), 2, "Give --root"),
        (("table1", "--option", "twins=1"), 2, "cannot be chosen for tables: 'twins'"),
        (("table1", "--device", "tpu9"), 2, "no device 'tpu9'"),
        (("table1", "--processes", "0"), 2, "processes"),
        ((), 2, "TABLE"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...], code: int, says: str, model: Path, tmp_path: Path
) -> None:
    ran = run("reproduce", *arguments, "-o", tmp_path / "out", "--model", model)
    assert ran.code == code
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_what_is_not_there(model: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    ran = run("reproduce", "table1", "-o", tmp_path / "out", "--model", nothing, "--processes", 1)
    assert ran.code == 1
    assert str(nothing) in ran.err
    options = ("--data", "folder", "--root", nothing, "--model", model)
    ran = run("reproduce", "table1", "-o", tmp_path / "out", *options)
    assert ran.code == 1
    assert str(nothing) in ran.err
    assert not (tmp_path / "out").exists()


def test_a_folder_whose_items_are_all_tested(model: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", (None,), 1)
    options = ("--data", "folder", "--root", root, "--model", model)
    ran = run("reproduce", "table1", "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert "No clip is left for validation." in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("few_rows")
def test_a_folder_from_the_command_line(model: Path, tmp_path: Path) -> None:
    root, out = write_folder(tmp_path / "data", ("train", "test"), 2), tmp_path / "out"
    options = ("--data", "folder", "--root", root, "--option", "side=56", "--option", "window=1")
    steps = ("--scale", "quick", "--set", "steps=1", "--set", "batches=[2]", "--processes", 1)
    ran = run("reproduce", "table1", "table4", "-o", out, "--model", model, *options, *steps)
    assert ran.code == 0, ran.err
    assert "not the public AudioCLIP's" in ran.out
    results = json.loads((out / RESULTS).read_text())
    single, unseen = results["tables"]
    for line in single["lines"]:
        assert all(value is not None for value in line["mean"])
    assert unseen["columns"]
    assert results["expectations"]["items"] == []
    curricula = [one["candidates"][0]["curriculum"] for one in results["choices"]]
    assert {curriculum["half"] for curriculum in curricula if curriculum is not None} == {
        False,
        True,
    }


def test_help_names_the_options() -> None:
    told = run("reproduce", "--help").out
    for option in ("--data", "--root", "--option", "--set", "--scale", "--processes", "figure3"):
        assert option in told


@pytest.mark.slow
def test_all_of_it_on_the_world(tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = run("reproduce", "all", "-o", out, "--scale", "quick", "--processes", 1, *SHORT)
    assert ran.code == 0, ran.err
    results = json.loads((out / RESULTS).read_text())
    assert [table["name"] for table in results["tables"]] == list(TABLES)
    assert len(results["expectations"]["items"]) == 14
    for table in results["tables"]:
        assert table["left_out"] == {}
        empty = {
            line["row"]
            for line in table["lines"]
            if not any(value is not None for value in line["mean"])
        }
        # Heads that are bound to classes.
        unable = {"table4": {"CoarsetoFine", "DSOL", "AVGN"}}
        assert empty == unable.get(table["name"], set())
    assert "was trained on 18 classes" in (out / MARKDOWN).read_text()


@pytest.mark.slow
def test_all_of_it_on_real_clips_at_full_size(full_checkpoint: Path, tmp_path: Path) -> None:
    root = write_real_clips(tmp_path / "clips")
    out = tmp_path / "out"
    options = ("--data", "folder", "--root", root, "--model", full_checkpoint)
    ran = run("reproduce", "all", "-o", out, "--scale", "quick", "--processes", 1, *options)
    assert ran.code == 0, ran.err
    page = (out / PAGE).read_text()
    assert "these weights are not the public AudioCLIP&#39;s" in page
    results = json.loads((out / RESULTS).read_text())
    measured = {table["name"] for table in results["tables"] if table["lines"]}
    assert measured == TABLES.keys() - {"twins"}
    assert results["expectations"]["items"] == []
