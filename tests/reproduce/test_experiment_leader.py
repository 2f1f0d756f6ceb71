from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.group import in_processes, slurm
from tests.reproduce.conftest import MakeBench
from tests.reproduce.touching import Touch
from tvsl.errors import DataError, LostProcessError
from tvsl.reproduce.experiment import Experiment, Leader, help_with_work, leading
from tvsl.utils.processes import processes


def test_one_process_does_all_in_order(make_bench: MakeBench, tmp_path: Path) -> None:
    told: list[int] = []
    leader = Leader(make_bench(tmp_path))
    leader.do([Touch("a"), Touch("b")], told.append)
    assert sum(told) == 2
    with pytest.raises(DataError):
        leader.do([Touch("c"), Touch("bad"), Touch("d")], told.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def share_work(folder: Path) -> list[Any]:
    """Work of two processes, of which the second stops at the last round."""
    experiment = cast(Experiment, SimpleNamespace(settings=SimpleNamespace(folder=folder)))
    told: list[int] = []
    try:
        with processes() as team:
            if not team.leads:
                help_with_work(experiment, team)
                return ["let go"]
            with leading(experiment, team) as leader:
                leader.do([Touch("a"), Touch("b"), Touch("c")], told.append)
                leader.do([], told.append)
                leader.do([Touch("d")], told.append)
            return told
    except DataError as error:
        return [error.problem, *told]


@pytest.mark.processes
@pytest.mark.slow
def test_several_processes_of_slurm_do_all_work(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    told, other = in_processes(2, tmp_path, share_work, tmp_path / "made", starter=slurm)
    assert other == ["let go"]
    assert sum(told) == 4
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"a", "b", "c", "d"}


def fail(folder: Path) -> str:
    """One process has an item that cannot be done."""
    experiment = cast(Experiment, SimpleNamespace(settings=SimpleNamespace(folder=folder)))
    try:
        with processes() as team:
            if not team.leads:
                help_with_work(experiment, team)
            with leading(experiment, team) as leader:
                leader.do([Touch("bad")], lambda _: None)
    except (DataError, LostProcessError) as error:
        return type(error).__name__
    return "nothing"


@pytest.mark.processes
@pytest.mark.slow
def test_a_job_that_cannot_be_done_ends_all(tmp_path: Path) -> None:
    assert sorted(in_processes(2, tmp_path, fail, tmp_path)) == ["DataError", "LostProcessError"]
