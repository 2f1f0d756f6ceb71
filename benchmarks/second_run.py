"""Comparison of two runs of the paper's tables whose sums round otherwise.

    python benchmarks/second_run.py docs/reproduction/real/tables docs/reproduction/real/second-run

Each run is given by its files of cells (`.csv`) and of tables (`.md`), without their endings.
Prints how many cells differ by how much, how many differences between T-VSL, or all its blocks, and
another row have an interval that holds 0 in one run alone, and every claim and expectation with
another verdict (docs/reproducing.md).
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

POINTS = (1.0, 3.0)
_INTERVAL = re.compile(r"[-+][\d.]+ \((-?[\d.]+) to (-?[\d.]+)\)")
_VERDICTS = ("supported", "contradicted", "no difference", "not testable here")


def cells(run: Path) -> dict[tuple[str, ...], float]:
    """Values of a run, by table, row, labels and column."""
    with run.with_suffix(".csv").open(newline="", encoding="utf-8") as stream:
        lines = csv.DictReader(stream)
        names = ("table", "row", "labels", "column")
        return {tuple(line[name] for name in names): float(line["mean"]) for line in lines}


def table_lines(run: Path) -> Iterator[tuple[str, list[str]]]:
    """Cells of each line of a run's tables, with the heading above."""
    heading = ""
    for line in run.with_suffix(".md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("| "):
            yield heading, [cell.strip() for cell in line.strip("|").split("|")]


def signs(run: Path) -> dict[tuple[str, ...], int]:
    """Sign of each difference, 0 where its interval holds 0, by table, row, labels and column."""
    found: dict[tuple[str, ...], int] = {}
    head: list[str] = []
    for heading, line in table_lines(run):
        if line[0] in ("row", "method", "column"):
            head = line
        for column, cell in zip(head[2:], line[2:], strict=False):
            if interval := _INTERVAL.fullmatch(cell):
                low, high = float(interval[1]), float(interval[2])
                found[heading, line[0], line[1], column] = (low > 0) - (high < 0)
    return found


def verdicts(run: Path) -> dict[str, str]:
    """Verdict on each claim and expectation."""
    claims = {
        line[0]: line[2] for _, line in table_lines(run) if line[2:3] and line[2] in _VERDICTS
    }
    text = run.with_suffix(".md").read_text(encoding="utf-8")
    stated = re.findall(r"^- (Holds|Does not hold): (.*?) \(", text, re.MULTILINE)
    return claims | {statement: verdict for verdict, statement in stated}


def main() -> None:
    """Print the table, and what came out otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, help="files of a run, without .csv and .md")
    parser.add_argument("second", type=Path, help="those of another one")
    given = parser.parse_args()
    old, new = cells(given.first), cells(given.second)
    apart = {key: abs(old[key] - new[key]) for key in old.keys() & new.keys()}
    before, after = signs(given.first), signs(given.second)
    known = before.keys() & after.keys()
    changed = {key for key in known if before[key] != after[key]}
    shown = Table("what", "number", "of")
    for points in POINTS:
        number = sum(value >= points for value in apart.values())
        shown.add_row(f"cells that differ by {points:g} or more", f"{number:,}", f"{len(apart):,}")
    shown.add_row("differences that show in one run alone", f"{len(changed):,}", f"{len(known):,}")
    turned = sum(before[key] * after[key] < 0 for key in changed)
    shown.add_row("differences of the other sign", f"{turned:,}", f"{len(known):,}")
    console = Console(width=160)
    console.print(shown)
    for heading, number in Counter(key[0] for key in changed).most_common():
        console.print(f"{heading}: {number}")
    was, now = verdicts(given.first), verdicts(given.second)
    for statement in was:
        if was[statement] != now.get(statement, was[statement]):
            console.print(f"{was[statement]} -> {now[statement]}: {statement}")


if __name__ == "__main__":
    main()
