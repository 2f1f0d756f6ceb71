from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(path: Path, heading: str) -> list[list[str]]:
    """The first table under a heading, with its head and without its rule."""
    lines = path.read_text(encoding="utf-8").splitlines()
    below = lines[lines.index(heading) + 1 :]
    first = next(number for number, line in enumerate(below) if line.startswith("|"))
    found = []
    for line in below[first:]:
        if not line.startswith("|"):
            break
        found.append(cells(line))
    return [found[0], *found[2:]]


def test_the_head_of_table_2_is_the_page_s() -> None:
    head, *rows = table(ROOT / "README.md", "## What it reaches")
    page_head, *page_rows = table(
        ROOT / "docs" / "reproduction" / "tables.md", "## Table 2: Several sources"
    )
    places = [page_head.index(name) for name in head]
    known = [[row[place] for place in places] for row in page_rows]
    assert len(rows) >= 5
    assert all(row in known for row in rows)
    column = head.index("CIoU@0.3")
    values = [float(row[column].split()[0]) for row in rows]
    assert values == sorted(values, reverse=True)


def test_the_first_picture_is_small_and_its_authors_are_named() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"!\[[^\]]*\]\(([^)]*)\)", text)
    assert first is not None
    picture = ROOT / first[1]
    assert picture.stat().st_size < 150_000
    notice = (picture.parent / "NOTICE").read_text(encoding="utf-8")
    for path in picture.parent.iterdir():
        assert path.name == "NOTICE" or path.name in notice
    below = text[first.end() :].split("```", 1)[0]
    assert "CC BY" in below
    assert picture.parent.joinpath("NOTICE").relative_to(ROOT).as_posix() in below
