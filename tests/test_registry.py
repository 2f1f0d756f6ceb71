from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from tvsl import registry as registries
from tvsl.data import DATA_SETS
from tvsl.errors import UsageError
from tvsl.loading import ENCODERS
from tvsl.methods import METHODS
from tvsl.metrics import PAPER, PROTOCOLS
from tvsl.registry import Registry, is_reference


class Tool:
    name = "hammer"


class Other:
    name = "saw"


def tools(**builtin: Any) -> Registry[Any]:
    """A registry of classes that have a name."""
    return Registry("tool", "tests.tools", builtin, "a tool", lambda one: hasattr(one, "name"))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Entry points by name; a name may be told apart by what follows a space."""
    entries: dict[str, str] = {}

    def found(group: str) -> list[EntryPoint]:
        return [EntryPoint(name.split()[0], value, group) for name, value in entries.items()]

    monkeypatch.setattr(registries, "entry_points", found)
    return entries


def test_built_in_objects_and_addresses() -> None:
    known = tools(hammer=Tool, path="pathlib:Path")
    assert list(known) == ["hammer", "path"]
    assert known["hammer"] is Tool
    assert known.find("path") is Path
    assert known.source("hammer") is None


def test_what_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(UsageError, match=r"no tool 'nail'.*Tools: hammer"):
        tools(hammer=Tool).find("nail")
    with pytest.raises(KeyError):
        tools(hammer=Tool)["nail"]


def test_what_is_registered_has_its_own_name_or_a_given_one() -> None:
    known = tools()
    assert known.register(Tool) is Tool
    assert known.register(Other, "blade") is Other
    assert list(known) == ["hammer", "blade"]
    source = known.source("hammer")
    assert source is not None
    assert (source.name, source.module) == ("Tool", __name__)
    assert known.register(Tool) is Tool  # the same once more


def test_a_name_has_one_meaning(installed: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="'hammer' means another"):
        tools(hammer=Tool).register(Other, "hammer")
    known = tools()
    known.register(Tool)
    with pytest.raises(UsageError, match="another"):
        known.register(Other, "hammer")
    installed["saw"] = "somewhere:Saw"
    with pytest.raises(UsageError, match="another"):
        tools().register(Other)


def test_a_class_that_is_defined_again_takes_its_own_place() -> None:
    known = tools()
    again = type("Tool", (), {"name": "hammer", "__module__": __name__, "__qualname__": "Tool"})
    known.register(Tool)
    assert known.register(again) is again
    assert known["hammer"] is again


@pytest.mark.parametrize(
    ("thing", "name"), [(1, None), (Tool, "a b"), (Tool, "../x"), (Tool, "a:b")]
)
def test_what_cannot_be_registered(thing: Any, name: str | None) -> None:
    with pytest.raises(UsageError):
        tools().register(thing, name)


def test_entry_points_are_loaded_when_they_are_asked_for(installed: dict[str, str]) -> None:
    installed["hammer"] = f"{__name__}:Tool"
    installed["broken"] = "no_such_package:Tool"
    known = tools()
    assert list(known) == ["hammer", "broken"]
    assert "broken" in known
    assert known["hammer"] is Tool
    with pytest.raises(UsageError, match=r"'broken'.*no_such_package"):
        known.find("broken")
    found, problems = known.load_all()
    assert found == {"hammer": Tool}
    assert [error.problem for error in problems if "no_such_package" in error.problem]


@pytest.mark.parametrize("value", [f"{__name__}:Nothing", f"{__name__}:Other", "os:sep"])
def test_entry_points_that_are_not_what_they_say(value: str, installed: dict[str, str]) -> None:
    installed["hammer"] = value
    installed["saw"] = f"{__name__}:Other"
    known = tools()
    with pytest.raises(UsageError, match="hammer"):
        known.find("hammer")
    assert known.find("saw") is Other


def test_two_packages_with_one_name(installed: dict[str, str]) -> None:
    installed["hammer 1"] = f"{__name__}:Tool"
    installed["hammer 2"] = "elsewhere:Hammer"
    known = tools(saw=Other)
    with pytest.raises(UsageError, match="elsewhere:Hammer"):
        known.find("hammer")
    assert known.find("saw") is Other
    assert known.resolve(f"{__name__}:Tool") is Tool


def test_tvsl_s_own_name_stays_its_own(installed: dict[str, str]) -> None:
    installed["hammer"] = f"{__name__}:Other"
    known = tools(hammer=Tool)
    assert known["hammer"] is Tool
    found, problems = known.load_all()
    assert found == {"hammer": Tool}
    assert len(problems) == 1


def test_a_file_is_run_once_and_its_class_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "import builtins\nbuiltins.runs = getattr(builtins, 'runs', 0) + 1\n"
        "class Drill:\n    name = 'drill'\nnumber = 1\n"
    )
    monkeypatch.chdir(tmp_path)
    known = tools()
    drill = known.resolve("mine.py:Drill")
    assert known.resolve("./mine.py:Drill") is drill
    assert known["drill"] is drill
    assert __builtins__["runs"] == 1  # type: ignore[index]
    source = known.source("drill")
    assert source is not None
    assert str(source) == "./mine.py:Drill"
    for wrong in ("mine.py:Saw", "mine.py:number", "yours.py:Drill", "no_such_module:Drill"):
        with pytest.raises(UsageError):
            known.resolve(wrong)


@pytest.mark.parametrize(
    "code", ["1 / 0", "raise SystemExit(3)", "syntax error", "import nonsense"]
)
def test_a_broken_file_is_named(code: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(code)
    before = set(sys.modules)
    with pytest.raises(UsageError) as caught:
        tools().resolve(f"{file}:Drill")
    assert caught.value.path == file
    assert not [name for name in set(sys.modules) - before if name.startswith("tvsl_file_")]


def test_references_are_told_from_names_and_paths(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("a.py:B", "dir/a.py:B", "package.module:B", "module:B"):
        assert is_reference(text)
    for text in ("tvsl", "ez-vsl", "folder/model.pt", "a.py", "http://x/y", "a.py:", ":B"):
        assert not is_reference(text)
    (tmp_path / "a:B").mkdir()
    assert not is_reference("a:B")


def test_the_four_registries() -> None:
    assert METHODS.group == "tvsl.methods"
    assert DATA_SETS.group == "tvsl.datasets"
    assert ENCODERS.group == "tvsl.encoders"
    assert PROTOCOLS.group == "tvsl.protocols"
    assert PROTOCOLS["paper"] is PAPER
    own = ["everyday", "mini", "mini-pooled", "audioclip", "audioclip-partial"]
    assert list(ENCODERS) == own
    for wrong in (Tool, int, "tvsl"):
        assert not METHODS.accepts(wrong)
        assert not DATA_SETS.accepts(wrong)
        assert not PROTOCOLS.accepts(wrong)


PLUGIN = """
from typing import ClassVar
from tvsl.methods.text_only import TextOnly
class Plugged(TextOnly):
    name: ClassVar[str] = "plugged"
"""
ENTRIES = "[tvsl.methods]\nplugged = plug_in:Plugged\nlost = no_such_package:Lost\n"
ASK = """
import sys, tvsl
print(*tvsl.list_methods())
print("plug_in" in sys.modules)
from tvsl.methods import METHODS
print(METHODS.source("plugged").distribution, METHODS["plugged"].__name__)
"""


@pytest.mark.slow
def test_an_installed_package_adds_its_methods(tmp_path: Path) -> None:
    (tmp_path / "plug_in.py").write_text(PLUGIN)
    folder = tmp_path / "plug_in-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRIES)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    asked = [
        subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={**os.environ, "PYTHONPATH": path},
        ).stdout
        for command in (("-c", ASK), ("-m", "tvsl", "doctor"))
    ]
    names, imported, source = asked[0].splitlines()
    assert {"tvsl", "plugged", "lost"} <= set(names.split())
    assert imported == "False"
    assert source == "plug-in Plugged"
    assert "method plugged, plug_in:Plugged" in asked[1]
    assert "no_such_package" in asked[1]
