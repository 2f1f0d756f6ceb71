from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tvsl.data
from tests.cli.running import LONGEST, Ran, run, written
from tests.evaluation.made_data import MadeData
from tests.mini_bundle import write_mini_bundle
from tests.reproduce.test_benchmark_files import write_folder
from tvsl.evaluation.result_cache import OUTPUTS
from tvsl.evaluation.score import BASELINES
from tvsl.synthetic.vocabulary import CLASSES

pytestmark = pytest.mark.usefixtures("one_thread")

DUETS = ("--option", "sources=2", "--option", "count=10", "--batch", "3", "--threads", "1")


class WorldlyData(MadeData):
    """Made-up items of the world's classes, for which the small model has words."""

    classes: tuple[str, ...] = CLASSES["seen"]
    root: Path | None = None


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate") / "tiny"
    return write_mini_bundle(folder, detection_threshold=0.05)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set with what can go wrong, under the name ``made``."""
    monkeypatch.setitem(tvsl.data.DATA_SETS._added, "made", WorldlyData)


def evaluate(model: Path, out: Path, *options: str | Path) -> Ran:
    return run("evaluate", "--model", model, "--device", "cpu", "-o", out, *options)


def content(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return loaded


def results(folder: Path) -> set[str]:
    return {name for name in written(folder) if not name.startswith(".parts")}


def test_a_table_the_results_the_samples_and_a_page(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = evaluate(model, out, *DUETS, "--method", "text-only", "--protocol", "all")
    assert ran.code == 0, ran.err
    assert results(out) == set(OUTPUTS)
    found = content(out)
    assert (found["found"], found["listed"], found["skipped"]) == (10, 10, [])
    assert found["data"]["name"] == "synthetic"
    assert list(found["protocols"]) == ["paper", "median", "adaptive", "fixed", "negatives"]
    rows = [row for row in found["results"] if row["protocol"] == "paper"]
    assert [(row["name"], row["label_source"]) for row in rows] == [
        ("tvsl (own head)", "given"),
        ("tvsl (own head)", "detected"),
        ("text-only (untrained)", "given"),
        ("text-only (untrained)", "detected"),
        *((name, "none") for name in BASELINES),
    ]
    for row in found["results"]:
        line = next(
            line
            for line in ran.out[ran.out.index(f"Protocol {row['protocol']}") :].splitlines()
            if line.split("  ")[0] == row["name"] and row["label_source"] in line.split()
        )
        for value in row["values"].values():
            assert f"  {100 * value:.1f} (" in line
    assert "10 of 10 found" in ran.out
    assert rows[0]["ids_hash"] in ran.out
    lines = list(csv.DictReader((out / "samples.csv").open(encoding="utf-8")))
    assert len(lines) == 20 * len(rows)
    assert (out / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "Evaluating: 10 of 10" in ran.err


@pytest.mark.processes
@pytest.mark.slow
def test_two_processes_give_the_files_of_one(model: Path, tmp_path: Path) -> None:
    assert evaluate(model, tmp_path / "one", *DUETS).code == 0
    command = (
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "tvsl", "evaluate", "--model", str(model), "--device", "cpu", *DUETS),
        *("-o", str(tmp_path / "two")),
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 0, done.stderr
    parts = {f".parts/process-{rank}.jsonl" for rank in (0, 1)}
    assert parts < written(tmp_path / "two")
    for name in OUTPUTS:
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two, name
    assert done.stdout.count("Protocol paper") == 1


@pytest.mark.slow
def test_run_again_it_goes_on(model: Path, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for out in (whole, torn):
        assert evaluate(model, out, *DUETS).code == 0
    path = torn / ".parts" / "process-0.jsonl"
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    for name in OUTPUTS:
        (torn / name).unlink()
    assert evaluate(model, torn, *DUETS).code == 0
    for name in OUTPUTS:
        assert (torn / name).read_bytes() == (whole / name).read_bytes()
    other = evaluate(model, torn, *DUETS, "--count", "threshold")
    assert other.code == 1
    assert "another evaluation: its config differ" in other.err
    assert evaluate(model, torn, *DUETS, "--count", "threshold", "--force").code == 0
    rule = content(torn)["detection"][0]["rule"]
    assert "0.050" in rule


@pytest.mark.usefixtures("made")
def test_broken_items_end_it_or_are_counted(model: Path, tmp_path: Path) -> None:
    options = ("--data", "made", "--option", "broken=[1,4]", "--option", "count=6")
    stopped = evaluate(model, tmp_path / "out", *options)
    assert stopped.code == 1
    assert "item-001.jpg: The picture is broken" in stopped.err
    assert results(tmp_path / "out") == set()
    skipped = evaluate(model, tmp_path / "out", *options, "--on-error", "skip")
    assert skipped.code == 1
    assert "Left out: item-004: item-004.jpg: The picture is broken. Mend it." in skipped.out
    assert "4 of 6 found" in skipped.out
    assert [one["id"] for one in content(tmp_path / "out")["skipped"]] == ["item-001", "item-004"]
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert "2 items were left out" in page


@pytest.mark.usefixtures("made")
def test_items_without_classes(model: Path, tmp_path: Path) -> None:
    options = ("--data", "made", "--option", "labelled=false", "--option", "sources=1")
    names = tmp_path / "names.txt"
    names.write_text("\n".join(CLASSES["seen"]))
    options = (*options, "--option", "count=3", "--vocabulary", str(names))
    refused = evaluate(model, tmp_path / "out", *options, "--label-source", "given")
    assert refused.code == 2
    assert "no class labels" in refused.err
    ran = evaluate(model, tmp_path / "out", *options, "--root", tmp_path)
    assert ran.code == 0, ran.err
    assert content(tmp_path / "out")["results"][0]["label_source"] == "detected"
    assert content(tmp_path / "out")["data"]["root"] == str(tmp_path)


def test_the_old_name_of_label_source_is_understood(model: Path, tmp_path: Path) -> None:
    ran = evaluate(model, tmp_path / "out", "--option", "count=3", "--labels", "given")
    assert ran.code == 0, ran.err
    assert content(tmp_path / "out")["detection"] == []
    sources = {row["label_source"] for row in content(tmp_path / "out")["results"]}
    assert sources == {"given", "none"}  # the trivial baselines need no label
    both = evaluate(model, tmp_path / "both", "--labels", "given", "--label-source", "detected")
    assert both.code == 2
    assert "one thing" in both.err
    assert "--labels" not in run("evaluate", "--help").out


def test_json_is_printed_alone(model: Path, tmp_path: Path) -> None:
    ran = evaluate(
        model, tmp_path / "out", "--option", "count=3", "--json", "--label-source", "given"
    )
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == content(tmp_path / "out")
    assert content(tmp_path / "out")["detection"] == []


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--data", "vgg"), 2, "no data set 'vgg'"),
        (("--option", "sources"), 2, "NAME=VALUE"),
        (("--option", "sources=9"), 2, "'sources'"),
        (("--root", "/nowhere"), 2, "'root'"),
        (("--protocol", "papr"), 2, "no protocol 'papr'"),
        (("--method", "best"), 2, "no method 'best'"),
        (("--method", "ez-vsl"), 2, "has to be trained"),
        (("--head", "/nowhere"), 1, "/nowhere"),
        (("--label-source", "guessed"), 2, "--label-source"),
        (("--count", "few"), 2, "--count"),
        (("--vocabulary", "/nowhere"), 2, "/nowhere"),
        (("--batch", "0"), 2, "--batch"),
    ],
)
def test_wrong_usage(
    options: tuple[str, ...], code: int, says: str, model: Path, tmp_path: Path
) -> None:
    ran = evaluate(model, tmp_path / "out", "--option", "count=2", *options)
    assert ran.code == code
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--option", "sources=9"), "'sources'"),
        (("--option", "count=9000000000000000000"), "'count'"),
        (("--option", "window=3"), "'window'"),
        (("--protocol", "papr"), "no protocol 'papr'"),
        (("--method", "ez-vsl"), "has to be trained"),
        (("--data", "made", "--option", "count=0"), "lists no item"),
    ],
)
def test_what_can_be_known_is_said_before_a_model_is_loaded(
    options: tuple[str, ...],
    says: str,
    made: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tvsl.evaluation.evaluator.load_encoder", None)
    ran = run("evaluate", "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert says in ran.err
    assert not (tmp_path / "out").exists()


def test_everything_left_out_is_no_empty_list(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", (None,), 1)
    path = root / "manifest.jsonl"
    ids = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    gone = tmp_path / "gone.txt"
    gone.write_text("\n".join(ids))
    options = ("--data", "folder", "--root", root, "--option", f"leave_out={gone}")
    ran = run("evaluate", "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert f"{gone}: All {len(ids)} items" in ran.err


def test_a_vocabulary_without_a_class_of_the_data(model: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("red star\nred ring\n")
    ran = evaluate(model, tmp_path / "out", *DUETS, "--vocabulary", names)
    assert ran.code == 2
    assert "Not in the vocabulary" in ran.err
    assert not (tmp_path / "out").exists()


def test_what_others_wrote_is_not_overwritten(model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ran = evaluate(model, tmp_path, "--option", "count=2")
    assert ran.code == 1
    assert "not empty" in ran.err
    assert written(tmp_path) == {"mine.txt"}
