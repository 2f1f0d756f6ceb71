"""``--processes``: torch's own launcher on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from tests.cli.running import run, run_alone
from tests.preprocess.videos import contents, make_broken, make_clip
from tvsl.audioclip.encoder import load_audioclip
from tvsl.cli.output import SOME_INPUT_FAILED
from tvsl.cli.starting import start_processes
from tvsl.reproduce.targets import OUTPUTS

pytestmark = [pytest.mark.processes, pytest.mark.slow]

LONGEST = 1200
PRETRAINED = 1e-3
"""Most by which a parameter may differ after three steps of AdamW, kept in float16."""


def test_two_processes_prepare_as_one(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(5):
        make_clip(videos / f"goodvideo{number:02d}_{number}.mp4", 2)
    make_broken(videos, 100)
    fixed = ("prepare", videos, "--layout", "vggsound", "--workers", "1")
    assert run(*fixed, "-o", tmp_path / "one").code == SOME_INPUT_FAILED
    ran = run_alone(*fixed, "-o", tmp_path / "two", "--processes", "2")
    assert ran.code == SOME_INPUT_FAILED, ran.err
    assert ran.out.count("10 videos: 5 prepared, 5 failed") == 1
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def started(*arguments: str | Path) -> None:
    """Run ``tvsl`` in a process of its own, however long it takes on a busy machine."""
    command = [sys.executable, "-m", "tvsl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 0, done.stderr


def test_two_processes_pretrain_as_one(tmp_path: Path) -> None:
    command = ("pretrain", "--steps", "3", "--batch", "8", "--clips", "12")
    started(*command, "-o", tmp_path / "one")
    started(*command, "-o", tmp_path / "two", "--processes", "2")
    one, two = (load_audioclip(tmp_path / name / "model").state_dict() for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=PRETRAINED, rtol=0, msg=name)


def test_two_processes_reproduce_as_one(tmp_path: Path) -> None:
    few = ("clips=12", "steps=1", "batches=[4]", "validation_scenes=2", "test_scenes=2", "seeds=1")
    options = (part for one in (*few, "learning_rates=[1e-3]") for part in ("--set", one))
    command = ("reproduce", "table7", "--scale", "quick", "--device", "cpu", *options)
    started(*command, "-o", tmp_path / "one", "--processes", "1")
    started(*command, "-o", tmp_path / "two", "--processes", "2")
    for name in OUTPUTS:
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two, name


def children(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(one) for one in path.read_text().split()]


@pytest.mark.parametrize("killed", ["a process", "all that started them"])
def test_a_kill_ends_all_with_one_line(killed: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = (
        *("train", "--clips", "16", "--batch", "8", "--steps", "100000", "--validate-every", "5"),
        *("--most-sources", "2", "--validation-scenes", "2", "--device", "cpu"),
        *("-o", str(out), "--processes", "2"),
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tvsl", *command], stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 300
    while not (out / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)
    started = children(process.pid)
    assert len(started) >= 2
    if killed == "a process":
        subprocess.run(["kill", "-9", str(started[-1])], check=True)
        _, err = process.communicate(timeout=120)
        said = [line for line in err.splitlines() if line.startswith("tvsl: ")]
        assert len(said) == 1, err
        assert f"was ended by signal {signal.SIGKILL.value}" in said[0]
        assert process.returncode == SOME_INPUT_FAILED
    else:
        process.kill()
        process.communicate(timeout=120)
    end = time.monotonic() + 120
    while any(Path(f"/proc/{one}/stat").exists() for one in started):
        assert time.monotonic() < end, "a process is left"
        time.sleep(0.2)


def test_a_killed_process_is_named_where_others_ended_in_the_same_second(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failures = {
        rank: ProcessFailure(rank, 100 + rank, code, "")
        for rank, code in enumerate((SOME_INPUT_FAILED, -signal.SIGKILL, SOME_INPUT_FAILED))
    }
    for failure in failures.values():
        failure.timestamp = 1

    def launch(*_: object) -> Callable[..., None]:
        def run(*_: object) -> None:
            raise ChildFailedError("tvsl", failures)

        return run

    monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", launch)
    with pytest.raises(typer.Exit) as caught:
        start_processes(3)
    assert caught.value.exit_code == SOME_INPUT_FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert "Process 2 of 3 was ended by signal 9" in line
