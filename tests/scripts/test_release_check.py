from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "release_check.py"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_check", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["release_check"] = module
    spec.loader.exec_module(module)
    return module


def test_the_newest_python_of_each_version_is_taken(check: ModuleType, tmp_path: Path) -> None:
    for name in ("3.9.1", "3.10.9", "3.10.13", "3.13.0"):
        (tmp_path / name).mkdir()
    found = [str(path) for path in check.pythons(tmp_path)]
    assert str(tmp_path / "3.10.13" / "bin" / "python") in found
    assert str(tmp_path / "3.13.0" / "bin" / "python") in found
    assert not any("3.10.9" in path or "3.9" in path for path in found)


def test_commands_of_the_readme_are_read(check: ModuleType) -> None:
    readme = (check.ROOT / "README.md").read_text(encoding="utf-8")
    commands = check.readme_commands(readme)
    assert len(commands) == 2
    assert all(words[:2] == ["tvsl", "localize"] and "-o" in words for words in commands)
    assert check.readme_commands("```sh\ntvsl a \\\n  b  # c\npip install x\n```") == [
        ["tvsl", "a", "b"]
    ]


def test_a_failure_is_told(check: ModuleType, tmp_path: Path) -> None:
    assert check.run([sys.executable, "-c", "pass"], tmp_path) == ""
    said = check.run([sys.executable, "-c", "import sys; sys.exit('broken')"], tmp_path)
    assert said == "broken"


def test_the_table_tells_what_failed(check: ModuleType) -> None:
    good = check.Environment("3.10.13", {"install": 1.0, "demo": 2.0}, "", 900)
    bad = check.Environment("3.13.0", {"install": 3.0}, "install: no wheel\nmore", 5)
    assert check.table([good, bad]).splitlines() == [
        "| Python | install | demo | MB | result |",
        "| --- | ---: | ---: | ---: | --- |",
        "| 3.10.13 | 1.0 s | 2.0 s | 900 | passed |",
        "| 3.13.0 | 3.0 s |  | 5 | install: no wheel |",
    ]
