"""Wrong usage of `tvsl export`, said before any model is loaded."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from tests.cli.running import run
from tvsl.errors import UsageError


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    missing = UsageError("onnx is not installed.", "Install it: pip install 'tvsl[export]'.")
    with mock.patch("tvsl.export.optional", side_effect=missing):
        ran = run("export", "mini", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "tvsl[export]" in ran.err


def test_an_old_torch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.__version__", "2.4.1")
    ran = run("export", "mini", "--format", "torch", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "2.13" in ran.err


def test_the_folder_of_another_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ran = run("export", "mini", "-o", tmp_path)
    assert ran.code != 0
    assert "not empty" in ran.err
    assert run("export", "mini", "--format", "tensorflow", "-o", tmp_path / "new").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
