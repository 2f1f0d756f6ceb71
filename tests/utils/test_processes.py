from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from tests.cli.running import run
from tests.group import in_processes, slurm, torchrun
from tvsl.errors import UsageError
from tvsl.utils.processes import (
    ALONE,
    Processes,
    is_first,
    is_first_here,
    own_device,
    processes,
    reports,
    share_of_cores,
    share_threads,
    started_count,
    steady_threads,
)


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*torchrun(0, 1, 0), *slurm(0, 1, 0)):
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_process_alone() -> None:
    with processes() as team:
        assert team == Processes(0, 1)
        assert team.leads
        team.meet()
        assert team.broadcast("a") == "a"
        assert team.gather("a") == ["a"]
        assert list(team.taken("abc")) == list(team.share("abc")) == ["a", "b", "c"]
        count = team.counter()
        assert [count(1), count(2), count(1)] == [1, 3, 4]


@pytest.mark.parametrize("starter", [torchrun, slurm])
def test_who_was_started_is_told_by_the_environment(
    starter: Callable[[int, int, int], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (started_count(), is_first(), is_first_here(), reports()) == (1, True, True, True)
    for rank in (0, 1):
        for name, value in starter(rank, 4, 1234).items():
            monkeypatch.setenv(name, value)
        assert (started_count(), is_first(), is_first_here()) == (4, rank == 0, rank == 0)
        assert reports() == (rank == 0)


def test_a_shell_in_slurm_s_allocation_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in slurm(1, 4, 1234).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")
    assert (started_count(), is_first()) == (1, True)


def test_tasks_of_slurm_that_are_not_told_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in slurm(1, 4, 1234).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(UsageError, match="--ntasks-per-node"), processes():
        pass


def test_things_are_shared_out() -> None:
    assert [Processes(rank, 3).share(range(7)) for rank in range(3)] == [
        range(0, 7, 3),
        range(1, 7, 3),
        range(2, 7, 3),
    ]


@pytest.mark.parametrize(
    ("place", "gpus", "name", "device"),
    [
        (None, 4, "auto", "auto"),
        ("1", 0, "auto", "auto"),
        ("1", 1, "cuda", "cuda"),
        ("1", 4, "auto", "cuda:1"),
        ("5", 4, "cuda", "cuda:1"),
        ("1", 4, "cpu", "cpu"),
        ("1", 4, "cuda:3", "cuda:3"),
    ],
)
def test_each_process_has_a_gpu_of_its_own(
    place: str | None, gpus: int, name: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    if place is not None:
        monkeypatch.setenv("LOCAL_RANK", place)
    assert own_device(name) == device


@pytest.mark.parametrize(
    ("masks", "shares"),
    [
        ((range(8), range(8)), (4, 4)),
        ((range(4), range(4, 8)), (4, 4)),  # SLURM bound each task to its own
        ((range(8), range(3)), (4, 1)),
        ((range(1), range(1), range(1)), (1, 1, 1)),
    ],
)
def test_cores_are_shared_by_those_that_may_use_them(
    masks: tuple[range, ...], shares: tuple[int, ...]
) -> None:
    places = [("one", frozenset(mask)) for mask in masks]
    others = [("other", frozenset(range(8)))] * 2
    for rank, share in enumerate(shares):
        assert share_of_cores(rank, [*places, *others]) == share


def test_threads_do_not_depend_on_who_started_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    for before in (1, 2):  # torchrun sets one
        torch.set_num_threads(before)
        share_threads(ALONE)
        assert torch.get_num_threads() == before
        steady_threads(ALONE)
        assert torch.get_num_threads() == 3
    steady_threads(ALONE, 2)
    assert torch.get_num_threads() == 2


COMMANDS = {
    "train": ("tvsl.api.train", ()),
    "pretrain": ("tvsl.training.pretraining.pretrain", ()),
    "evaluate": ("tvsl.api.evaluate", ("--device", "cpu")),
    "evaluate --threads": ("tvsl.api.evaluate", ("--device", "cpu", "--threads", "3")),
}


def threads_of_commands(folder: Path) -> dict[str, int]:
    """Threads with which each command begins its work, where a process has one before."""
    found: dict[str, int] = {}
    os.sched_getaffinity = lambda _: set(range(8))

    def begin(*_: Any, **__: Any) -> None:
        found[name] = torch.get_num_threads()
        raise UsageError("That is enough.", "Stop here.")

    with processes():
        for name, (work, options) in COMMANDS.items():
            torch.set_num_threads(1)
            with mock.patch(work, begin):
                ran = run(name.partition(" ")[0], *options, "-o", folder / "out")
            assert ran.code == 2, ran
    return found


@pytest.mark.processes
@pytest.mark.slow
def test_processes_of_a_machine_share_its_threads(tmp_path: Path) -> None:
    for found in in_processes(2, tmp_path, threads_of_commands, tmp_path):
        assert found == {name: 3 if "--threads" in name else 4 for name in COMMANDS}
