"""Models and heads that are kept as folders, on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Ran, run
from tests.small_model import CLASSES, random_head, write_bundle
from tvsl import models
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.methods.checkpoint_io import save_head

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "world"
    return write_bundle(folder, random_head(flip_average="turn"))


@pytest.fixture(scope="module")
def head(bundle: Path) -> Path:
    encoder = AudioCLIPEncoder(load_audioclip(bundle))
    return save_head(random_head(seed=2), encoder, bundle.parent / "best")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder without its embedded model."""
    monkeypatch.setattr(models.resources, "files", lambda _: tmp_path / "package")
    return tmp_path / "package" / "pretrained" / "mini"


def localize(media: Path, out: Path, *options: str | Path) -> Ran:
    return run("localize", media / "photo.png", "--audio", media / "bark.wav", "-o", out, *options)


def content(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "localization.json").read_text())
    return loaded


def test_a_bundle_s_own_head_and_classes(bundle: Path, media: Path, tmp_path: Path) -> None:
    ran = localize(media, tmp_path / "out", "--model", bundle, "--sources", "4")
    assert ran.code == 0, ran.err
    found = content(tmp_path / "out")
    assert found["model"] == "world/tvsl (own head)"
    assert found["encoder_sha256"] == AudioCLIPEncoder(load_audioclip(bundle)).fingerprint
    assert {source["label"] for source in found["moments"][0]["sources"]} == set(CLASSES)
    assert found["settings"]["head"] is None
    assert found["settings"]["preset"] is None
    assert found["settings"]["flip_average"] == "turn"  # what was done, not what was asked


@pytest.mark.parametrize(
    ("options", "model", "flip"),
    [
        (["--preset", "tvsl"], "world/tvsl", "none"),
        (["--flip-average", "none"], "world/tvsl (own head)", "none"),
        (["--flip-average", "mirror"], "world/tvsl (own head)", "mirror"),
    ],
)
def test_options_go_before_the_head_s_own(
    options: list[str], model: str, flip: str, bundle: Path, media: Path, tmp_path: Path
) -> None:
    names = ["--model", bundle, "--labels", "red star"]
    assert localize(media, tmp_path / "out", *names, *options).code == 0
    found = content(tmp_path / "out")
    assert found["model"] == model
    assert found["settings"]["flip_average"] == flip


def test_another_head(bundle: Path, head: Path, media: Path, tmp_path: Path) -> None:
    names = ["--model", bundle, "--labels", "red star"]
    assert localize(media, tmp_path / "out", *names, "--head", head).code == 0
    found = content(tmp_path / "out")
    assert found["model"] == "world/tvsl (best)"
    assert found["settings"]["head"] == str(head)


@pytest.mark.parametrize("option", ["--labels", "--vocabulary"])
def test_words_that_the_model_lacks(option: str, bundle: Path, media: Path, tmp_path: Path) -> None:
    value = "red star,dog barking"
    if option == "--vocabulary":
        (tmp_path / "names.txt").write_text("red star\ndog barking\n")
        value = str(tmp_path / "names.txt")
    ran = localize(media, tmp_path / "out", "--model", bundle, option, value)
    assert ran.code == 2
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    for part in ("'dog', 'barking'", "red, blue, star, ring", "--model everyday"):
        assert part in line
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("*.part"))


def test_a_head_and_a_preset_exclude_each_other(
    bundle: Path, head: Path, media: Path, tmp_path: Path
) -> None:
    options = ["--model", bundle, "--head", head, "--preset", "paper"]
    ran = localize(media, tmp_path / "out", *options)
    assert ran.code == 2
    assert "not both" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_missing_head_is_said_before_weights_are_fetched(
    media: Path, tmp_path: Path, home: Path
) -> None:
    options = ["--model", "audioclip", "--head", tmp_path / "nothing"]
    ran = localize(media, tmp_path / "out", *options)
    assert ran.code == 1
    assert str(tmp_path / "nothing") in ran.err
    assert "download" not in ran.err
    assert not (tmp_path / "out").exists()
    assert not home.exists()


def test_without_the_embedded_model_it_says_so(package: Path, media: Path, tmp_path: Path) -> None:
    ran = localize(media, tmp_path / "out", "--model", "mini", "--labels", "red star")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    for part in (str(package), "make mini", "--model audioclip"):
        assert part in ran.err
    assert not (tmp_path / "out").exists()
    for command in (("weights", "list"), ("doctor",)):
        shown = run(*command)
        assert shown.code == 0
        (line,) = [row for row in shown.out.splitlines() if row.startswith("mini ")]
        assert "missing" in line


def test_the_embedded_model_is_used_by_its_name(
    package: Path, bundle: Path, media: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle, package)
    # No page: the package whose files it is made of is another one here.
    options = ("--model", "mini", "--labels", "red star", "--outputs", "json")
    assert localize(media, tmp_path / "out", *options).code == 0
    assert content(tmp_path / "out")["model"] == "mini/tvsl (own head)"
    assert "here" in next(
        row for row in run("weights", "list").out.splitlines() if row.startswith("mini")
    )
    assert str(package) in run("weights", "list").out
    assert str(package) in run("doctor").out
