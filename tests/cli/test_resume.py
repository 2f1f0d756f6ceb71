"""``tvsl localize --resume``: results that stay, and those that were made otherwise."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.running import Ran, run, written
from tvsl.cli import localized_files

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS = ("--labels", "dog barking,train", "--every", "1.5", "--outputs", "sheet")


def localize(checkpoint: Path, out: Path, *arguments: str | Path) -> Ran:
    return run("localize", *arguments, "--model", checkpoint, "-o", out)


@pytest.fixture(scope="module")
def videos(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(media / "clip.mp4", folder / name)
    return folder


@pytest.fixture(scope="module")
def whole(checkpoint: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    assert localize(checkpoint, out, videos, *OPTIONS).code == 0
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "out")


def states(folder: Path) -> dict[str, tuple[int, int]]:
    found = {name: (folder / name).stat() for name in written(folder)}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in found.items()}


def test_inputs_with_results_are_left_out(
    checkpoint: Path, videos: Path, out: Path, whole: Path
) -> None:
    before = states(out / "a")
    shutil.rmtree(out / "b")
    ran = localize(checkpoint, out, videos, *OPTIONS, "--resume")
    assert ran.code == 0, ran.err
    assert "1 of 2 inputs have their results already" in ran.err
    assert ran.out.count("\n") == 1
    assert states(out / "a") == before
    assert written(out) == written(whole)


def test_where_all_are_there_nothing_is_done(
    checkpoint: Path, videos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localized_files, "localize_input", None)
    before = states(out)
    ran = localize(checkpoint, out, videos, *OPTIONS, "--resume")
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert "2 of 2" in ran.err
    assert states(out) == before


def test_pictures_in_a_folder_of_their_own(checkpoint: Path, media: Path, tmp_path: Path) -> None:
    command = (media / "photo.png", "--audio", media / "bark.wav", "--labels", "dog", "--resume")
    for found in (False, True):
        ran = localize(checkpoint, tmp_path / "out", *command, "--outputs", "page,moments")
        assert ran.code == 0, ran.err
        assert ("1 of 1 inputs" in ran.err) == found


@pytest.mark.parametrize(
    ("options", "others"),
    [
        (("--every", "1"), "every"),
        (("--at", "1"), "at, every"),
        (("--window", "1.5"), "window"),
        (("--start", "1"), "start"),
        (("--smooth", "2"), "smooth"),
        (("--preset", "released"), "preset"),
        (("--flip-average", "mirror"), "flip_average"),
        (("--labels", "dog barking"), "labels"),
        (("--labels", "dog barking,train,cow"), "labels"),
        (("--outputs", "sheet,moments"), "outputs"),
        (("--outputs", "page"), "outputs"),
        (("--format", "csv"), "outputs"),
    ],
)
def test_a_result_that_was_made_otherwise_is_an_error(
    options: tuple[str, str], others: str, checkpoint: Path, videos: Path, out: Path
) -> None:
    given = dict(zip(OPTIONS[::2], OPTIONS[1::2], strict=True))
    if options[0] == "--at":
        del given["--every"]
    given[options[0]] = options[1]
    before = states(out)
    words = [word for pair in given.items() for word in pair]
    ran = localize(checkpoint, out, videos, *words, "--resume")
    assert ran.code == 1
    assert "made otherwise" in ran.err
    assert others in ran.err
    assert states(out) == before


def test_a_file_that_changed_since_is_an_error(
    checkpoint: Path, videos: Path, out: Path, tmp_path: Path
) -> None:
    os.utime(out / "b" / "localization.json", (0, 0))
    ran = localize(checkpoint, out, videos, *OPTIONS, "--resume")
    assert ran.code == 1
    assert "its input differ" in ran.err
    assert str(out / "b") in ran.err


def test_a_result_that_is_not_whole_is_an_error(checkpoint: Path, videos: Path, out: Path) -> None:
    (out / "b" / "contact_sheet.jpg").unlink()
    ran = localize(checkpoint, out, videos, *OPTIONS, "--resume")
    assert ran.code == 1
    assert "contact_sheet.jpg is missing" in ran.err
    for content in ({"mine": 1}, {"tvsl": "1", "files": [], "moments": 5, "settings": 5}):
        (out / "b" / "localization.json").write_text(json.dumps(content))
        ran = localize(checkpoint, out, videos, *OPTIONS, "--resume")
        assert ran.code == 1
        assert "no record of an earlier run" in ran.err


@pytest.mark.parametrize("options", [("-o", "-"), ("-o", "out", "--force")])
def test_options_that_contradict(options: tuple[str, ...], media: Path) -> None:
    ran = run("localize", media / "clip.mp4", "--resume", *options)
    assert ran.code == 2
    assert "--resume" in ran.err
