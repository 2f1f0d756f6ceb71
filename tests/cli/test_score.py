"""``tvsl score`` from the command line: every label source, its files, and what reads them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import Ran, run, written
from tvsl.data import find_data

pytestmark = pytest.mark.usefixtures("one_thread")

DUETS = ("--option", "sources=2", "--option", "count=6")
FILES = {"results.json", "results.csv", "samples.csv", "scores.npz"}
MISSED = 0
"""Number of the source of each item that has no map of its class."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Maps by what they were made for; ``classes`` are files of arrays by class, one missing."""
    folder = tmp_path_factory.mktemp("maps")
    found = {name: folder / name for name in ("given", "detected", "none", "classes")}
    rng = np.random.default_rng(3)
    for place in found.values():
        place.mkdir()
    for item in find_data("synthetic", sources=2, count=6).items:
        maps = rng.random((2, 6, 12)).astype(np.float32)
        np.save(found["given"] / f"{item.id}.npy", maps)
        np.save(found["detected"] / f"{item.id}.npy", maps)
        np.save(found["none"] / f"{item.id}.npy", maps[0])
        named = dict(zip(map(str, item.labels), maps, strict=True))
        del named[str(item.labels[MISSED])]
        np.savez(found["classes"] / f"{item.id}.npz", **named)
    return found


def score(place: Path, out: Path, *options: str) -> Ran:
    return run("score", place, *DUETS, "-o", out, *options)


@pytest.mark.parametrize(
    ("maps", "given", "labels"),
    [
        ("given", None, "given"),
        ("given", "given", "given"),
        ("none", None, "none"),
        ("none", "none", "none"),
        ("detected", "detected", "detected"),
        ("classes", "detected", "detected"),
    ],
)
def test_every_label_source_has_its_files(
    maps: str, given: str | None, labels: str, places: dict[str, Path], tmp_path: Path
) -> None:
    out, options = tmp_path / "out", () if given is None else ("--label-source", given)
    ran = score(places[maps], out, *options)
    assert ran.code == 0, ran.err
    assert written(out) == FILES
    with (out / "samples.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["method"] == maps]
    assert len(lines) == 12
    assert {line["labels"] for line in lines} == {labels}
    for number, line in enumerate(lines):
        missed = maps == "classes" and number % 2 == MISSED
        assert line["detected"] == ("" if labels != "detected" else "no" if missed else "yes")
        if missed:
            assert float(line["paper ciou"]) == float(line["paper ap"]) == 0
    told = [line for line in ran.out.splitlines() if line.startswith(f"Labels {labels}: ")]
    assert len(told) == 1
    if labels == "detected":
        (note,) = told
        assert note.endswith(
            "takes the classes of an item that it has maps of. A source whose class is not taken "
            "scores 0."
        )
    printed = score(places[maps], out, *options, "--force", "--json")
    assert printed.code == 0, printed.err
    assert json.loads(printed.out) == json.loads((out / "results.json").read_text())
    assert json.loads(printed.out)["detection"] == []


def test_a_folder_with_results_is_replaced_only_by_force(
    places: dict[str, Path], tmp_path: Path
) -> None:
    options = ("--label-source", "detected")
    assert score(places["classes"], tmp_path / "out", *options).code == 0
    before = {name: (tmp_path / "out" / name).read_bytes() for name in FILES}
    assert score(places["detected"], tmp_path / "out", *options).code == 1
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == before
    again = score(places["classes"], tmp_path / "out", *options, "--force")
    assert again.code == 0, again.err
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == before


def test_maps_of_detected_classes_are_compared(places: dict[str, Path], tmp_path: Path) -> None:
    for maps in ("detected", "classes", "none"):
        labels = "none" if maps == "none" else "detected"
        assert score(places[maps], tmp_path / maps, "--label-source", labels).code == 0
    for second, labels in (("classes", "detected"), ("none", "detected, none")):
        ran = run("compare", tmp_path / "detected", tmp_path / second)
        assert ran.code == 0, ran.err
        rows = [line for line in ran.out.splitlines() if line.startswith("paper ")]
        assert rows
        assert all(labels in row for row in rows)
