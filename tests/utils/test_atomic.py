"""Locked and staged folders and whole files: also where runs are killed, fail or meet."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.leftovers import leave_half
from tvsl.errors import OutputError
from tvsl.utils import atomic
from tvsl.utils.atomic import check_free, locked, replacing, staged, write_text, write_whole

LAST = "last.json"
_REPLACES = """
import sys
from pathlib import Path
from tvsl.utils.atomic import staged

folder, kind = Path(sys.argv[1]), sys.argv[2]
names = [f"{kind}-{number}.png" for number in range(60)] + [f"sub/{kind}.png", "same.png"]

def earlier(folder):
    path = folder / "last.json"
    return [*path.read_text().split(), "last.json"] if path.exists() else []

print("at work", flush=True)
while True:
    with staged(folder, "last.json", True, earlier) as work:
        (work / "sub").mkdir()
        for name in names:
            (work / name).write_text(kind)
        (work / "last.json").write_text(" ".join(names))
    if len(sys.argv) == 4:
        break
"""


def earlier(folder: Path) -> list[str]:
    path = folder / LAST
    return [*json.loads(path.read_text()), LAST] if path.is_file() else []


def write(folder: Path, *names: str, force: bool = True) -> None:
    with staged(folder, LAST, force, earlier) as work:
        for name in names:
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text(f"{name} of {names}")
        (work / LAST).write_text(json.dumps(names))


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def replace_in_a_process(folder: Path, kind: str, *once: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _REPLACES, folder, kind, *once], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_kill_loses_nothing_and_the_next_run_clears_up(tmp_path: Path, seed: int) -> None:
    """A process replaces a result again and again, and is killed somewhere in that."""
    folder = tmp_path / "out"
    assert replace_in_a_process(folder, "a", "once").wait() == 0
    (folder / "mine.txt").write_text("mine")
    before = content(folder)
    assert replace_in_a_process(tmp_path / "other", "b", "once").wait() == 0
    after = {**content(tmp_path / "other"), "mine.txt": "mine"}
    with replace_in_a_process(folder, "b") as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.1))
        process.kill()
    with locked(folder):
        pass
    assert content(folder) in (before, after)
    assert not list(tmp_path.rglob(".tvsl-*"))


FAULTS: list[BaseException] = [
    OSError(28, "No space left on device"),
    PermissionError(13, "Permission denied"),
    KeyboardInterrupt(),
    MemoryError(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("when", range(1, 9))
def test_a_move_that_fails_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int, fault: BaseException
) -> None:
    write(tmp_path, "a.png", "sub/b.png", "same.png")
    (tmp_path / "mine.txt").write_text("mine")
    before, rename, count = content(tmp_path), Path.rename, 0

    def failing(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == when:
            raise fault
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(OutputError if isinstance(fault, OSError) else type(fault)):
            write(tmp_path, "same.png", "deep/c.png", "d.png")
    assert content(tmp_path) == before
    assert not (tmp_path / "deep").exists()
    write(tmp_path, "same.png", "deep/c.png", "d.png")
    assert content(tmp_path).keys() == {"same.png", "deep/c.png", "d.png", "mine.txt", LAST}
    assert not (tmp_path / "sub").exists()


@pytest.mark.parametrize(
    "block",
    [
        lambda folder: (folder / "new.png").mkdir(),
        lambda folder: (folder / "new.png").write_text("mine"),
        lambda folder: (folder / "new.png").symlink_to("mine"),
        lambda folder: (folder / "deep").write_text("mine"),
        lambda folder: (folder / "deep").symlink_to(folder.parent / "outside"),
        lambda folder: (folder / "deep").symlink_to("deep"),
    ],
)
def test_what_is_in_the_way_stays_and_so_does_the_earlier_result(
    tmp_path: Path, block: Callable[[Path], Any]
) -> None:
    folder = tmp_path / "out"
    (tmp_path / "outside").mkdir()
    write(folder, "a.png")
    block(folder)
    before = sorted(folder.rglob("*")), (folder / "a.png").read_text()
    with pytest.raises(OutputError):
        write(folder, "new.png", "deep/new.png")
    assert (sorted(folder.rglob("*")), (folder / "a.png").read_text()) == before
    assert not any((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("name", ["new.png", "deep/a1.png", "deep"])
def test_a_known_name_that_is_taken_is_told_before_the_work(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    write(folder, "a.png")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(OutputError, match="in the way") as caught:
        check_free(folder, True, earlier, ("new.png", "deep/a*.png", LAST))
    assert caught.value.path == folder / name
    with (
        pytest.raises(OutputError, match="in the way"),
        staged(folder, LAST, True, earlier, ("new.png", "deep/a*.png")),
    ):
        pytest.fail("the work began")
    check_free(folder, True, earlier, ("a.png", "deeper/b*.png", LAST))


@pytest.mark.parametrize("call", ["os.write", "tempfile.mkdtemp", "os.open"])
def test_a_disk_that_is_full_already_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    module, name = call.split(".")
    real = getattr(getattr(atomic, module), name)

    def full(*arguments: Any, **more: Any) -> Any:
        if name == "open" and not str(arguments[0]).endswith("temporary.txt"):
            return real(*arguments, **more)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(getattr(atomic, module), name, full)
    with (
        pytest.raises(OutputError, match="No space left") as caught,
        staged(tmp_path / "out", "last", False, lambda _: []),
    ):
        pass
    assert caught.value.path == tmp_path / "out"
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["text", "bytes", "without a name", "of ours"])
@pytest.mark.parametrize("force", [False, True])
def test_a_disk_that_fills_up_is_an_error_that_names_the_place_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, force: bool
) -> None:
    def full(*arguments: Any, **_: Any) -> Any:
        name = None if how == "without a name" else str(work / "a" / "b.txt")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    folder = tmp_path / "out"
    if force:
        write(folder, "old.png")
    before = content(tmp_path)
    with pytest.raises(OutputError, match="No space left") as caught:  # noqa: PT012, SIM117
        with staged(folder, LAST, force, earlier) as work:
            (work / "a").mkdir()
            if how == "text":
                monkeypatch.setattr(atomic, "write_whole", full)
                write_text(work / "a" / "b.txt", "text")
            elif how == "of ours":
                raise OutputError("No space left.", "Make some.", work / "a" / "b.txt")
            else:
                full()
    assert caught.value.path == (folder if how == "without a name" else folder / "a" / "b.txt")
    assert ".tvsl-" not in str(caught.value)
    assert content(tmp_path) == before


def test_an_error_that_is_about_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    other = tmp_path / "input.png"
    for error in (OutputError("It is bad.", "Mend it.", other), FileNotFoundError(2, "no", "x")):
        with pytest.raises(type(error)) as caught, staged(tmp_path / "out", LAST, False, earlier):
            raise error
        assert caught.value is error


@pytest.mark.parametrize("fails", [False, True])
def test_files_are_replaced_all_at_once(tmp_path: Path, fails: bool) -> None:
    for name in ("a.jpg", "old.jpg", "mine.jpg"):
        (tmp_path / name).write_text("earlier")
    before = content(tmp_path)
    try:
        with locked(tmp_path), replacing(tmp_path, ["a.jpg", "old.jpg", "missing.jpg"]) as work:
            (work / "a.jpg").write_text("new")
            (work / "b.jpg").write_text("new")
            assert content(tmp_path).items() >= before.items()
            if fails:
                raise KeyError
    except KeyError:
        assert content(tmp_path) == before
    else:
        assert content(tmp_path) == {"a.jpg": "new", "b.jpg": "new", "mine.jpg": "earlier"}


def test_only_what_is_named_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_text("mine")
    with (
        pytest.raises(OutputError, match="in the way") as caught,
        replacing(tmp_path, ["a.jpg"]) as work,
    ):
        (work / "mine.jpg").write_text("new")
    assert caught.value.path == tmp_path / "mine.jpg"
    assert content(tmp_path) == {"mine.jpg": "mine"}


def test_what_others_made_is_never_taken_for_a_leftover(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    mine = ["out.part/thesis.txt", "out/.tvsl-abcdefgh/thesis.txt", "out/x.part", "out.tmp"]
    for name in mine:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = content(tmp_path)
    write(folder, "a.png")
    assert before.items() <= content(tmp_path).items()


def test_leftovers_do_not_make_a_folder_taken(tmp_path: Path) -> None:
    leave_half(tmp_path)
    write(tmp_path, "a.png", force=False)
    assert content(tmp_path).keys() == {"a.png", LAST}


@pytest.mark.parametrize("size", [None, 0, 20])
def test_a_temporary_folder_without_its_whole_mark_is_a_leftover(
    tmp_path: Path, size: int | None
) -> None:
    """A run may be killed between the folder and its mark, and while the mark is written."""
    leave_half(tmp_path / "other")
    (mark,) = (tmp_path / "other").rglob("temporary.txt")
    folder = tmp_path / "out" / ".tvsl-0a_9zzzz"
    folder.mkdir(parents=True)
    if size is not None:
        (folder / mark.name).write_bytes(mark.read_bytes()[:size])
    write(folder.parent, "a.png", force=False)
    assert content(folder.parent).keys() == {"a.png", LAST}
    assert not folder.exists()


@pytest.mark.parametrize("name", [".tvsl-notes", ".tvsl-0a_9zzzz/temporary.txt"])
def test_a_folder_with_another_name_or_another_file_is_not_one(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.mkdir(parents=True) if place.suffix != ".txt" else place.parent.mkdir()
    if place.suffix:
        place.write_text("mine")
    write(tmp_path, "a.png")
    assert place.exists()


@pytest.mark.parametrize("when", ["made", "marked", "locked"])
def test_a_temporary_folder_that_another_run_removes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Two runs in one folder: the other one takes ours for that of a killed run."""
    made: list[Path] = []
    make, lock = tempfile.mkdtemp, atomic._flock

    def making(**options: Any) -> str:
        made.append(Path(make(**options)))
        if when == "made" and len(made) == 1:
            made[0].rmdir()
        return str(made[-1])

    def locking(file: int) -> bool | None:
        if len(made) != 1 or os.fstat(file).st_size or not stat.S_ISREG(os.fstat(file).st_mode):
            return lock(file)
        if when == "locked":
            return False
        shutil.rmtree(made[0])
        return lock(file)

    monkeypatch.setattr(tempfile, "mkdtemp", making)
    monkeypatch.setattr(atomic, "_flock", locking)
    write(tmp_path, "a.png")
    assert (len(made), (tmp_path / "a.png").is_file()) == (2, True)


def test_a_second_run_is_told_at_once_and_the_first_one_goes_on(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tvsl.utils.atomic import locked\n"
        "with locked(Path(sys.argv[1])): pass\n"
    )
    folder = tmp_path / "deep" / "out"
    with locked(folder), locked(folder):
        (tmp_path / "link").symlink_to(folder)
        for place in (folder, tmp_path / "link"):
            ran = subprocess.run(
                [sys.executable, "-c", code, place], capture_output=True, text=True, check=False
            )
            assert "Another run of tvsl" in ran.stderr
        caught: list[Exception] = []

        def other() -> None:
            try:
                with locked(folder):
                    pass
            except OutputError as error:
                caught.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(caught) == 1
        write(folder, "a.png")
    assert content(folder).keys() == {"a.png", LAST}


def test_a_folder_that_stays_empty_is_removed_with_those_above_it(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b" / "c"):
        assert (tmp_path / "a" / "b" / "c").is_dir()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["file/x", "file", "loop", "loop/x", "nowhere", "a" * 300])
def test_places_that_cannot_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    with pytest.raises(OutputError), locked(tmp_path / name):
        pytest.fail("it was locked")
    with pytest.raises(OutputError):
        write_text(tmp_path / name / "x.txt", "x")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "loop", "nowhere"}


@pytest.fixture(params=["unnamed", "marked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which single files are written."""
    if request.param == "marked":
        monkeypatch.setattr(atomic, "_write_unnamed", lambda *_: False)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, fault: BaseException) -> None:
    path = tmp_path / "a.txt"

    def half(part: Path) -> None:
        part.write_text("half")
        raise fault

    for earlier in ({}, {"a.txt": "whole"}):
        with pytest.raises(type(fault)):
            write_whole(path, half)
        assert content(tmp_path) == earlier
        write_text(path, "whole")
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no unnamed files")
def test_a_kill_while_a_file_is_written_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from tvsl.utils.atomic import write_whole\n"
        "def half(part):\n part.write_text('half')\n os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_whole(Path(sys.argv[1]), half)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "a.txt"], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert not any(tmp_path.iterdir())


def _umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before
