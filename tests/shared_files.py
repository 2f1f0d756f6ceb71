"""The folder `shared` beside the repository: golden numbers, media and lists too large for it."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(*parts: str) -> Path:
    """A path in `shared`; the test that asks is skipped where it is absent."""
    path = _SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"shared/{'/'.join(parts)} is not here")
    return path


def fill() -> ModuleType:
    """The module that makes the golden weights and inputs from names alone."""
    return _load(shared("golden", "fill.py"))


@cache
def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_fill", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
