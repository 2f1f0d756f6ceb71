"""Megabytes of what an installation brings: the core, and what each extra adds to it.

`python benchmarks/install_size.py [PYPROJECT]` adds up the files of the installed distributions
that a `pyproject.toml` requires, and of those that they require, without the byte code that Python
makes of them. It tells what is not installed. Python 3.11 or newer.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import tomllib
from packaging.requirements import Requirement

LARGE = "torch"


def plain(name: str) -> str:
    """The form of a distribution's name by which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(lines: Iterable[str], extras: Iterable[str]) -> list[Requirement]:
    """Those of some requirements that hold on this machine, with some extras."""
    known = ["", *extras]
    return [
        one
        for one in map(Requirement, lines)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in known)
    ]


def closure(lines: Iterable[str]) -> tuple[dict[str, Distribution], list[str]]:
    """All distributions that requirements bring, and the names of those that are not here."""
    found: dict[str, Distribution] = {}
    missing: list[str] = []
    left, seen = wanted(lines, ()), set()
    while left:
        one = left.pop()
        key = plain(one.name), frozenset(one.extras)
        if key in seen:
            continue
        seen.add(key)
        try:
            found[key[0]] = distribution(one.name)
        except PackageNotFoundError:
            missing.append(key[0])
            continue
        left += wanted(found[key[0]].requires or [], one.extras)
    return found, missing


def megabytes(found: Distribution) -> float:
    """Size of its files, without byte code."""
    files = [path for path in found.files or [] if path.suffix != ".pyc"]
    places = [Path(str(found.locate_file(path))) for path in files]
    return sum(place.stat().st_size for place in places if place.is_file()) / 1e6


def main() -> None:
    """Print a line for the core and one for each extra."""
    parser = argparse.ArgumentParser(description=__doc__)
    own = Path(__file__).parents[1] / "pyproject.toml"
    parser.add_argument("pyproject", type=Path, nargs="?", default=own)
    project = tomllib.loads(parser.parse_args().pyproject.read_text())["project"]
    core, missing = closure(project["dependencies"])
    sizes = {name: megabytes(found) for name, found in core.items()}
    large = sizes.get(LARGE, 0.0)
    rest = sum(sizes.values()) - large
    print(f"core: {len(core)} packages, {rest:.0f} MB beside {LARGE} ({large:.0f} MB)")
    for name in sorted(sizes, key=lambda one: -sizes[one])[:8]:
        print(f"  {name} {sizes[name]:.0f} MB")
    for name in missing:
        print(f"  {name} is not installed")
    for extra, lines in sorted(project["optional-dependencies"].items()):
        more, missing = closure([*project["dependencies"], *lines])
        added = {name: megabytes(more[name]) for name in more.keys() - core.keys()}
        names = ", ".join(sorted(added, key=lambda one: -added[one])[:5]) or "nothing"
        note = f"; not installed: {', '.join(sorted(missing))}" if missing else ""
        print(f"[{extra}] adds {sum(added.values()):.0f} MB in {len(added)}: {names}{note}")


if __name__ == "__main__":
    main()
