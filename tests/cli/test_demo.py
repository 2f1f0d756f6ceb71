from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.running import run, run_alone, written
from tests.demo_models import write_colours
from tests.mini_bundle import write_mini_bundle
from tests.small_model import write_bundle
from tvsl import models as embedded

pytestmark = pytest.mark.usefixtures("one_thread")

FILES = {"index.html", "results.json"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options that name two models."""
    folder = tmp_path_factory.mktemp("demo")
    tiny = write_mini_bundle(folder / "tiny")
    return ("--model", write_colours(folder / "colours"), "--laboratory", str(tiny))


def content(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return loaded


def cells(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_a_table_a_page_and_the_results(models: tuple[str, ...], tmp_path: Path) -> None:
    ran = run("demo", *models, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert written(tmp_path / "out") == FILES
    found = content(tmp_path / "out")
    lines = iter(ran.out.splitlines())
    for part, title in zip(found["parts"], ("Real photographs", "The laboratory"), strict=True):
        head = next(lines)
        assert head.startswith(title)
        assert part["model"] in head
        check_table(part, lines)
        summary = part["summary"]
        assert next(lines) == (
            f"Of {summary['sources']} sources {summary['given_hits']} hit with given labels, "
            f"{summary['detected_hits']} with detected ones ({summary['detected']} detected, "
            f"{summary['false']} falsely)."
        )
        assert next(lines) == f"Detected: {part['detection']}."
        assert next(lines) == ""
    rest = "\n".join(lines)
    for text in (found["protocol"], str(tmp_path / "out" / "index.html")):
        assert text in rest


def check_table(part: dict[str, Any], lines: Iterator[str]) -> None:
    """Its rows are what the results say."""
    heads = ["scene", "label", "score", "box IoU", "cIoU", "given", "detected"]
    assert cells(next(lines)) == heads
    for scene in part["scenes"]:
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


def test_the_page_is_opened(models: tuple[str, ...], tmp_path: Path, opened: Path) -> None:
    ran = run("demo", *models, "-o", tmp_path / "out", "--open")
    assert ran.code == 0, ran.err
    assert opened.read_text().split() == [(tmp_path / "out" / "index.html").as_uri()]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(models: tuple[str, ...], tmp_path: Path) -> None:
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        assert run("demo", *models, "--seed", seed, "-o", tmp_path / name).code == 0
    for name in FILES:
        first, second, other = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert first == second
        assert first != other
    assert content(tmp_path / "a")["seed"] == 7


def test_nothing_is_overwritten_unasked(models: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("demo", *models, "-o", out).code == 0
    (out / "mine.txt").write_text("mine")
    (out / "index.html").write_text("earlier")
    ran = run("demo", *models, "-o", out)
    assert ran.code == 1
    assert "--force" in ran.err
    assert ran.out == ""
    assert (out / "index.html").read_text() == "earlier"
    assert run("demo", *models, "-o", out, "--force").code == 0
    assert written(out) == {*FILES, "mine.txt"}
    assert (out / "index.html").read_text().startswith("<!DOCTYPE html>")
    assert not list(tmp_path.glob("*.part"))


def test_json_is_printed_alone_and_the_default_folder_is_here(
    models: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("demo", *models, "--json")
    assert ran.code == 0, ran.err
    assert written(tmp_path / "tvsl-demo") == FILES
    assert json.loads(ran.out) == content(tmp_path / "tvsl-demo")


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    ran = run("demo", "--model", tmp_path / "nothing", "-o", tmp_path / "out")
    assert ran.code == 1
    assert str(tmp_path / "nothing") in ran.err
    assert ran.out == ""
    assert not (tmp_path / "out").exists()


def test_a_model_without_the_words(models: tuple[str, ...], tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "world")
    for given, option, word in (
        (models[2:], "--model", "speaking"),
        (models[:2], "--laboratory", "striped"),
    ):
        ran = run("demo", *given, option, other, "-o", tmp_path / "out")
        assert ran.code == 2
        assert word in ran.err
        assert not (tmp_path / "out").exists()


def test_the_embedded_models_unless_others_are_named(
    models: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    monkeypatch.setattr(embedded, "resources", SimpleNamespace(files=lambda _: package))
    for given, remedy in ((models[:2], "make mini"), (models[2:], "make everyday")):
        ran = run("demo", *given, "-o", tmp_path / "out")
        assert ran.code == 1
        assert remedy in ran.err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [("--seed", "-1"), ("--seed", "x"), ("scenes",)])
def test_wrong_usage(options: tuple[str, ...], tmp_path: Path) -> None:
    assert run("demo", *options, "-o", tmp_path / "out").code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_it_takes_seconds_and_no_network(models: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_alone("demo", *models, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert ran.seconds < 60
    assert all(line.startswith("Localizing scenes: ") for line in ran.err.splitlines())
    assert ran.err.endswith("Localizing scenes: 15 of 15\n")
