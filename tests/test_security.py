"""The table of limits in SECURITY.md says what the code does, and names tests that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
UNITS = {"": 1, "MiB": 2**20, "GiB": 2**30}
ROW = re.compile(r"\| .+ \| ([\d,]+) ?(MiB|GiB|) \| `(\S+)` \| `(\S+)` \|")
ROWS = [
    found.groups()
    for line in (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    if (found := ROW.fullmatch(line))
]


def value_of(place: str) -> Any:
    """Value under a dotted name: a module's constant, or a class's default."""
    parts = place.split(".")
    for split in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"{place} is not there")


def test_the_table_is_read() -> None:
    lines = (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    assert len(ROWS) == sum(line.startswith("| ") for line in lines) - 1
    assert len(ROWS) > 30


@pytest.mark.parametrize(("number", "unit", "place", "test"), ROWS)
def test_limits_are_those_of_the_code(number: str, unit: str, place: str, test: str) -> None:
    assert value_of(place) == int(number.replace(",", "")) * UNITS[unit]
    file, _, function = test.partition("::")
    content = (ROOT / file).read_text(encoding="utf-8")
    assert not function or f"def {function}(" in content


def test_every_limit_of_media_is_in_the_table() -> None:
    from tvsl.media import limits

    names = [f"MediaLimits.{name}" for name in vars(limits.MediaLimits()) if name[:4] == "max_"]
    numbers = {name for name, value in vars(limits).items() if type(value) in (int, float)}
    names += [name for name in numbers if not name.startswith("_")]
    assert {f"tvsl.media.limits.{name}" for name in names} <= {place for _, _, place, _ in ROWS}
