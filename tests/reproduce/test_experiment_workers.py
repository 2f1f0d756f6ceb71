from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.reproduce.conftest import MakeBench
from tests.reproduce.touching import Touch
from tvsl.errors import DataError, MediaWarning
from tvsl.reproduce import experiment as module
from tvsl.reproduce.experiment import Experiment, open_workers


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


@dataclass(frozen=True)
class Warned:
    """A job that meets damaged sound, and a fault of another condition."""

    def do(self, experiment: Experiment) -> None:
        warnings.warn(MediaWarning("The sound is damaged.", Path("a.mp3")), stacklevel=1)
        warnings.warn("something else", RuntimeWarning, stacklevel=1)


def test_what_a_process_is_warned_of_passes_to_the_one_that_started_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(module, "_experiment", SimpleNamespace())
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: shown.append(str(message)))
    (warning,) = module._do(Warned())
    assert warning.path == Path("a.mp3")
    assert shown == ["something else"]


def test_the_process_that_started_it_warns(tmp_path: Path) -> None:
    told: list[int] = []
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module, "_do", lambda job: [MediaWarning("The sound is damaged.", tmp_path / "a.mp3")]
        )
        with pytest.warns(MediaWarning, match=r"a\.mp3: The sound is damaged"):
            module.Workers(cast(Any, SimpleNamespace()), 2, cast(Any, pool)).do(
                [Warned()], told.append
            )
    assert sum(told) == 1
