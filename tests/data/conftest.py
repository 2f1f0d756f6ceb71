from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache: no list that was fetched changes a test."""
    monkeypatch.setenv("TVSL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
