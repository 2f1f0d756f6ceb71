from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import run, run_alone, written
from tests.mini_bundle import write_mini_bundle
from tests.small_model import write_bundle
from tvsl import models

pytestmark = pytest.mark.usefixtures("one_thread")

FILES = {"index.html", "results.json"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mini_bundle(tmp_path_factory.mktemp("demo") / "tiny")


def content(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return loaded


def cells(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_a_table_a_page_and_the_results(bundle: Path, tmp_path: Path) -> None:
    ran = run("demo", "--model", bundle, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert written(tmp_path / "out") == FILES
    found = content(tmp_path / "out")
    lines = iter(ran.out.splitlines())
    heads = ["scene", "label", "score", "box IoU", "cIoU", "given", "detected"]
    assert cells(next(lines)) == heads
    for scene in found["scenes"]:
        for source in scene["sources"]:
            given, detected = source["given"], source["with_detection"]
            marks = {True: "hit", False: "miss"}
            assert cells(next(lines)) == [
                scene["title"],
                source["label"],
                f"{source['score']:.2f}",
                f"{given['box_iou']:.2f}",
                f"{given['ciou']:.2f}",
                marks[given["hit"]],
                "not detected" if detected is None else marks[detected["hit"]],
            ]
        for label in scene["false"]:
            row = cells(next(lines))
            assert row[1] == label
            off_screen = label == scene["truth"]["off_screen"]
            assert row[3:] == ["-", "-", "-", "false (off screen)" if off_screen else "false"]
    rest = "\n".join(lines)
    summary = found["summary"]
    outcome = (
        f"of {summary['sources']} sources {summary['given_hits']} hit with given labels, "
        f"{summary['detected_hits']} with detected ones ({summary['detected']} detected, "
        f"{summary['false']} falsely)"
    )
    page = str(tmp_path / "out" / "index.html")
    for part in (found["protocol"], found["detection"], outcome, page):
        assert part in rest


def test_json_is_printed_alone(bundle: Path, tmp_path: Path) -> None:
    ran = run("demo", "--model", bundle, "-o", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == content(tmp_path / "out")


def test_the_same_seed_gives_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        assert run("demo", "--model", bundle, "--seed", seed, "-o", tmp_path / name).code == 0
    for name in FILES:
        first, second, other = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert first == second
        assert first != other
    assert content(tmp_path / "a")["seed"] == 7


def test_nothing_is_overwritten_unasked(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("demo", "--model", bundle, "-o", out).code == 0
    (out / "mine.txt").write_text("mine")
    (out / "index.html").write_text("earlier")
    ran = run("demo", "--model", bundle, "-o", out)
    assert ran.code == 1
    assert "--force" in ran.err
    assert ran.out == ""
    assert (out / "index.html").read_text() == "earlier"
    assert run("demo", "--model", bundle, "-o", out, "--force").code == 0
    assert written(out) == {*FILES, "mine.txt"}
    assert (out / "index.html").read_text().startswith("<!DOCTYPE html>")
    assert not list(tmp_path.glob("*.part"))


def test_the_default_folder_is_here(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("demo", "--model", bundle).code == 0
    assert written(tmp_path / "tvsl-demo") == FILES


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    ran = run("demo", "--model", tmp_path / "nothing", "-o", tmp_path / "out")
    assert ran.code == 1
    assert str(tmp_path / "nothing") in ran.err
    assert ran.out == ""
    assert not (tmp_path / "out").exists()


def test_a_model_without_the_words(tmp_path: Path) -> None:
    model = write_bundle(tmp_path / "world")
    ran = run("demo", "--model", model, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "striped" in ran.err
    assert not (tmp_path / "out").exists()


def test_mini_is_the_model_unless_another_is_named(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    monkeypatch.setattr(models.resources, "files", lambda _: package)
    ran = run("demo", "-o", tmp_path / "out")
    assert ran.code == 1
    assert "make mini" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [("--seed", "-1"), ("--seed", "x"), ("scenes",)])
def test_wrong_usage(options: tuple[str, ...], tmp_path: Path) -> None:
    assert run("demo", *options, "-o", tmp_path / "out").code == 2
    assert not (tmp_path / "out").exists()


def test_it_takes_seconds_and_no_network(bundle: Path, tmp_path: Path) -> None:
    ran = run_alone("demo", "--model", bundle, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert ran.seconds < 60
    assert all(line.startswith("Localizing scenes: ") for line in ran.err.splitlines())
    assert ran.err.endswith("Localizing scenes: 7 of 7\n")
