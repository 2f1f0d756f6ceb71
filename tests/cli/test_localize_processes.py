"""``tvsl localize`` of several files by several processes: what one process writes and prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar
from unittest import mock

import pytest

from tests.cli.running import Ran, run, written
from tests.group import in_processes
from tvsl.utils.processes import Processes, processes

pytestmark = pytest.mark.usefixtures("one_thread")

T = TypeVar("T")
PRINTED = {
    "lines": ("--outputs", "sheet"),  # x264's bytes are not always the same
    "json": ("--json", "--outputs", "json"),
    "csv": ("--json", "--format", "csv", "--outputs", "json"),
}


def command(checkpoint: Path, media: Path) -> tuple[str | Path, ...]:
    """Localize three videos, of which the middle one cannot be read."""
    files = [media / name for name in ("long.mp4", "junk.mp4", "clip.mp4")]
    options = ("--labels", "dog barking,train", "--every", "1.5")
    return ("localize", *files, *options, "--model", checkpoint)


@pytest.fixture(scope="module")
def videos(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, source in (("long", "clip"), ("junk", "junk"), ("clip", "clip")):
        shutil.copy(media / f"{source}.mp4", folder / f"{name}.mp4")
    return folder


def crossed(team: Processes, things: Sequence[T]) -> Iterator[T]:
    """The last process takes the first thing: what is printed must be put in order."""
    return iter(things[team.count - 1 - team.rank :: team.count])


def localize_all(folder: Path, checkpoint: Path, media: Path) -> dict[str, Ran]:
    """Localize in each form, in the group if there is one."""
    folder.mkdir(exist_ok=True)
    os.chdir(folder)  # the folder of the results is printed
    with processes(), mock.patch.object(Processes, "taken", crossed):
        return {
            name: run(*command(checkpoint, media), *options, "-o", name)
            for name, options in PRINTED.items()
        }


def assert_same_files(one: Path, two: Path) -> None:
    assert written(one) == written(two) != set()
    for name in written(one):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_two_processes_print_and_write_as_one(
    checkpoint: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # and back at the end
    alone = localize_all(tmp_path / "one", checkpoint, videos)
    first, second = in_processes(2, tmp_path, localize_all, tmp_path / "two", checkpoint, videos)
    for name, ran in alone.items():
        assert ran.code == first[name].code == 1
        assert ran.out == first[name].out
        assert ran.out.index("long") < ran.out.index("clip")
        assert second[name].out == ""
        told = [one[name].err.count("junk.mp4: ") for one in (first, second)]
        assert sorted(told) == [0, 1]
    assert_same_files(tmp_path / "one", tmp_path / "two")


def localize_one(folder: Path, checkpoint: Path, clip: Path) -> Ran:
    with processes(), mock.patch.object(Processes, "taken", crossed):
        options = ("--at", "1", "--labels", "dog", "--outputs", "json", "--model", checkpoint)
        return run("localize", clip, *options, "-o", folder)


def test_one_input_is_localized_whichever_process_is_free_first(
    checkpoint: Path, media: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first, second = in_processes(2, tmp_path, localize_one, out, checkpoint, media / "clip.mp4")
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert written(out) == {"localization.json"}


def resume(folder: Path, checkpoint: Path, media: Path, *further: str) -> Ran:
    with processes(), mock.patch.object(Processes, "taken", crossed):
        fixed = (*command(checkpoint, media), *PRINTED["json"], "--resume", "-o", folder)
        return run(*fixed, *further)


def test_two_processes_go_on_where_one_was_interrupted(
    checkpoint: Path, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert resume(out, checkpoint, videos).code == 1  # junk.mp4
    whole = {name: (out / name).read_bytes() for name in written(out)}
    kept = out / "long" / "localization.json"
    before = kept.stat().st_mtime_ns
    shutil.rmtree(out / "clip")
    first, second = in_processes(2, tmp_path, resume, out, checkpoint, videos)
    assert first.code == 1, first.err + second.err
    assert first.err.count("1 of 3 inputs") == 1
    assert "inputs have" not in second.err
    assert {name: (out / name).read_bytes() for name in written(out)} == whole
    assert kept.stat().st_mtime_ns == before


def test_two_processes_refuse_another_result(
    checkpoint: Path, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    resume(out, checkpoint, videos)
    further = ("--smooth", "2")
    first, second = in_processes(2, tmp_path, resume, out, checkpoint, videos, *further)
    assert first.code == 1
    assert second.code != 0
    assert "smooth" in first.err
    assert "--force" in first.err


@pytest.mark.processes
@pytest.mark.slow
def test_processes_are_started(checkpoint: Path, videos: Path, tmp_path: Path) -> None:
    ran = []
    for name, options in (("one", ()), ("two", ("--processes", "2"))):
        folder = tmp_path / name
        folder.mkdir()
        line = (*command(checkpoint, videos), *PRINTED["csv"], "-o", "out", *options)
        start = [sys.executable, "-m", "tvsl", *map(str, line)]
        ran.append(subprocess.run(start, capture_output=True, text=True, cwd=folder, timeout=600))
    one, two = ran
    assert one.returncode == two.returncode == 1
    assert one.stdout == two.stdout != ""
    assert written(tmp_path / "one") == written(tmp_path / "two")
