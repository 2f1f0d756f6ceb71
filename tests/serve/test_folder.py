from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tvsl.serve.folder import PREFIX, is_service_folder, remove_leftovers, service_folder

_KILLED = """
import os, signal
from tvsl.serve.folder import service_folder
with service_folder() as folder:
    (folder / "private.mp4").write_text("private")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_only_its_user_reads_it_and_it_goes(parent: Path) -> None:
    with service_folder() as folder:
        assert folder.parent == parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert is_service_folder(folder)
        (folder / "a").mkdir()
        (folder / "a" / "private.mp4").write_text("private")
    assert list(parent.iterdir()) == []


def test_what_a_killed_service_left_goes_with_the_next_one(parent: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _KILLED], capture_output=True, text=True)
    assert ran.returncode == -signal.SIGKILL
    left = Path(ran.stdout.strip())
    assert (left / "private.mp4").exists()
    with service_folder() as folder:
        assert list(parent.iterdir()) == [folder]


def test_a_running_service_and_foreign_folders_are_left_alone(parent: Path) -> None:
    foreign = parent / f"{PREFIX}foreign"
    foreign.mkdir()
    (foreign / "a").write_text("a")
    link = parent / f"{PREFIX}link"
    link.symlink_to(foreign)
    with service_folder() as folder:
        remove_leftovers(parent)
        assert folder.is_dir()
        assert (foreign / "a").exists()
        assert not is_service_folder(link)
        assert not is_service_folder(foreign)
    assert sorted(parent.iterdir()) == [foreign, link]
