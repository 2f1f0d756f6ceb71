from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tvsl import errors
from tvsl.errors import TvslError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]
ERRORS = [kind for kind in KINDS if issubclass(kind, TvslError)]


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("path", [None, Path("clip.mp4")])
def test_an_error_passes_to_another_process(kind: type[TvslError], path: Path | None) -> None:
    error = kind("It is broken.", "Mend it.", path)
    found = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(found) is kind
    assert (found.problem, found.remedy, found.path) == ("It is broken.", "Mend it.", path)
    assert str(found) == str(error)
