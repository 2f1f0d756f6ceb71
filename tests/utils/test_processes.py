from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from tvsl.utils.processes import Processes, own_device, processes, steady_threads


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_process_alone() -> None:
    with processes() as team:
        assert team == Processes(0, 1)
        assert team.leads
        team.meet()


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


def test_threads_do_not_depend_on_who_started_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    found = []
    for before in (1, 2):  # torchrun sets one
        torch.set_num_threads(before)
        found.append((steady_threads(), torch.get_num_threads()))
    assert found == [(3, 3), (3, 3)]
    assert steady_threads(2) == torch.get_num_threads() == 2
