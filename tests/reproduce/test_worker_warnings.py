import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from tvsl.errors import MediaWarning
from tvsl.reproduce import workers


@dataclass(frozen=True)
class Warned:
    """A job that meets damaged sound, and a fault of another condition."""

    def do(self, experiment):
        warnings.warn(MediaWarning("The sound is damaged.", Path("a.mp3")), stacklevel=1)
        warnings.warn("something else", RuntimeWarning, stacklevel=1)


def test_what_a_process_is_warned_of_passes_to_the_one_that_started_it(monkeypatch):
    shown = []
    monkeypatch.setattr(workers, "_bench", SimpleNamespace())
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: shown.append(str(message)))
    (warning,) = workers._do(Warned())
    assert warning.path == Path("a.mp3")
    assert shown == ["something else"]


def test_the_process_that_started_it_warns(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    told = []
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            workers, "_do", lambda job: [MediaWarning("The sound is damaged.", tmp_path / "a.mp3")]
        )
        with pytest.warns(MediaWarning, match=r"a\.mp3: The sound is damaged"):
            workers.Workers(SimpleNamespace(), 2, pool).do([Warned()], told.append)
    assert sum(told) == 1
