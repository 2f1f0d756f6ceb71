from __future__ import annotations

from pathlib import Path

import pytest

from tests.reproduce.conftest import MakeBench
from tests.reproduce.touching import Touch
from tvsl.errors import DataError
from tvsl.reproduce.workers import open_workers


def test_one_process_does_all_in_order(make_bench: MakeBench, tmp_path: Path) -> None:
    told: list[int] = []
    with open_workers(make_bench(tmp_path), 1) as workers:
        workers.do([Touch("a"), Touch("b")], told.append)
        assert told == [1, 1]
        with pytest.raises(DataError):
            workers.do([Touch("c"), Touch("bad"), Touch("d")], told.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_several_processes_do_all_and_tell_what_is_wrong(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    told: list[int] = []
    with open_workers(make_bench(tmp_path), 2) as workers:
        assert workers.count == 2
        workers.do([Touch("a"), Touch("b"), Touch("c")], told.append)
        assert sum(told) == 3
        assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c"}
        with pytest.raises(DataError) as raised:
            workers.do([Touch("bad")], told.append)
    error = raised.value
    assert (error.problem, error.remedy, error.path) == (
        "It is bad.",
        "Make it good.",
        tmp_path / "bad",
    )
