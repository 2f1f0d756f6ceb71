"""The page of a reproduction: tables and figures beside the paper's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from tvsl.evaluation.tables import PAPER_HEAD
from tvsl.evaluation.tables import Table as TextTable
from tvsl.html.data_uris import picture_uri
from tvsl.html.page import Markup, color_rules, fill_page, joined, tag, template
from tvsl.render.colors import Color, Picture, source_color
from tvsl.render.overlay import tinted_overlay
from tvsl.reproduce.figures import HeatMaps, Sheet, ShownCase
from tvsl.reproduce.report import (
    best_cells,
    choice_table,
    how,
    order_table,
    remarks,
    sentences,
    text_table,
)
from tvsl.reproduce.results import Line, Table, Value, one_each
from tvsl.reproduce.run import Reproduction

_NAMES = ("table1", "table2")
_ROW, _BAR, _TEXT, _WIDTH, _RIGHT = 24, 14, 230, 420, 110
_GRID = (0, 25, 50, 75, 100)


def bars_card(tables: Iterable[Table]) -> Markup:
    """A section with the bars.

    Args:
        tables: The measured tables, Tables 1 and 2 among them.

    Returns:
        The section; a row has one bar, with detected labels where it has a choice.
    """
    known = {table.name: table for table in tables}
    charts = [_chart(known[name]) for name in _NAMES if name in known]
    return tag(
        "section",
        tag(
            "header",
            tag("h2", "Figure 1: all methods"),
            tag(
                "p",
                "Success rates in percent; the thin line is one standard deviation over the seeds "
                "to either side. Labels are detected where a method asks for classes.",
            ),
        ),
        *charts,
        class_="card",
        id="figure1",
    )


def _chart(table: Table) -> Markup:
    column = next((n for n, spec in enumerate(table.columns) if spec.figure == "success"), None)
    if column is None:
        return Markup()
    rows = [(line, value) for line in one_each(table.lines) if (value := line.values[column])]
    height = _ROW * len(rows) + 22
    lines = [_gridline(percent, height) for percent in _GRID]
    drawn = [_bar(place, line, value) for place, (line, value) in enumerate(rows)]
    width = _TEXT + _WIDTH + _RIGHT
    title = f"{table.title}: {table.heads[column]}"
    return tag(
        "figure",
        tag("figcaption", title),
        tag(
            "svg",
            *lines,
            *drawn,
            viewBox=f"0 0 {width} {height}",
            role="img",
            aria_label=title,
            class_="bars",
        ),
        class_="chart",
    )


def _place(percent: float) -> float:
    return _TEXT + _WIDTH * max(0.0, min(100.0, percent)) / 100


def _gridline(percent: int, height: int) -> Markup:
    x = f"{_place(percent):.1f}"
    return joined(
        tag("line", x1=x, x2=x, y1="0", y2=str(height - 18), class_="grid"),
        tag("text", str(percent), x=x, y=str(height - 4), class_="tick"),
    )


def _bar(place: int, line: Line, value: Value) -> Markup:
    top, middle = _ROW * place + (_ROW - _BAR) / 2, _ROW * place + _ROW / 2
    kind = "trivial" if line.trivial else "ours" if line.row.startswith("T-VSL") else "other"
    parts = [
        tag("text", line.row, x=str(_TEXT - 8), y=f"{middle + 4:.1f}", class_="name"),
        tag(
            "rect",
            x=str(_TEXT),
            y=f"{top:.1f}",
            width=f"{_place(value.mean) - _TEXT:.1f}",
            height=str(_BAR),
            class_=f"bar-{kind}",
        ),
        tag(
            "text",
            value.text(),
            x=f"{_place(value.mean + (value.deviation or 0)) + 6:.1f}",
            y=f"{middle + 4:.1f}",
            class_="value",
        ),
    ]
    if value.deviation is not None:
        left, right = (_place(value.mean + sign * value.deviation) for sign in (-1, 1))
        y = f"{middle:.1f}"
        parts.append(tag("line", x1=f"{left:.1f}", x2=f"{right:.1f}", y1=y, y2=y, class_="whisker"))
    return joined(*parts)


_ONE_FOR_ALL: Color = (255, 255, 255)
_OUTLINE = 2


def sheet_card(sheet: Sheet) -> Markup:
    """A section with a grid: a row for each scene, a column for each method.

    Args:
        sheet: The figure.

    Returns:
        The section.
    """
    heads = [tag("th", text, scope="col") for text in ("scene", "truth", *sheet.methods)]
    rows = [_row(sheet, case) for case in sheet.cases]
    grid = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sheet")
    return tag(
        "section",
        tag(
            "header",
            tag("h2", f"Figure {sheet.spec.paper}: {sheet.spec.title}"),
            tag(
                "p",
                "Test scenes drawn by the recipe's seed: none was chosen for its result. Each "
                "source has its own colour; a method that has one map for all shows it in white. "
                "Labels are given to methods that ask for them.",
            ),
        ),
        tag("div", grid, class_="scroll"),
        class_="card",
        id=sheet.spec.name,
    )


def _row(sheet: Sheet, case: ShownCase) -> Markup:
    names = [
        tag("span", tag("i", class_=f"swatch c{number}"), f" {label}", class_="label")
        for number, label in enumerate(case.labels)
    ]
    cells = [_cell(_outlined(case), f"where {', '.join(case.labels)} are")]
    for method, maps in zip(sheet.methods, case.maps, strict=True):
        cells.append(
            tag("td", "cannot answer", class_="quiet")
            if maps is None
            else _cell(_tinted(case, maps), f"maps of {method}")
        )
    return tag("tr", tag("th", *names, scope="row"), *cells)


def _cell(picture: Picture, says: str) -> Markup:
    return tag("td", tag("img", src=picture_uri(picture), alt=says))


def _tinted(case: ShownCase, maps: HeatMaps) -> Picture:
    colors = [source_color(number) for number in range(len(maps))]
    if len(maps) == 1 and len(case.labels) > 1:
        colors = [_ONE_FOR_ALL]
    # Objects have colours of their own, which would pass for maps.
    grey = np.asarray(Image.fromarray(case.picture).convert("L"))
    return tinted_overlay(np.repeat(grey[..., None], 3, axis=2), list(maps), colors)


def _outlined(case: ShownCase) -> Picture:
    """The picture with a line around each source."""
    picture: Picture = case.picture.copy()
    for number, truth in enumerate(case.truth):
        if truth.any():
            picture[_edge(truth)] = source_color(number)
    return picture


def _edge(region: np.ndarray) -> np.ndarray:
    """A line just inside of a region's edge, (H, W) bool."""
    inner = np.pad(region, _OUTLINE)
    for axis in (0, 1):
        moved = [np.roll(inner, step, axis) for step in (-_OUTLINE, _OUTLINE)]
        inner = inner & moved[0] & moved[1]
    kept = inner[_OUTLINE:-_OUTLINE, _OUTLINE:-_OUTLINE]
    edge: np.ndarray = region & ~kept
    return edge


_MARKS = {True: ("✓", "good"), False: ("✗", "bad")}


def reproduction_page(found: Reproduction) -> str:
    """Write the page.

    Args:
        found: What came out.

    Returns:
        The HTML, the same for the same numbers; it asks no network for anything.
    """
    most = max((len(case.labels) for sheet in found.sheets for case in sheet.cases), default=1)
    style = "\n".join(template(name) for name in ("page.css", "evaluation.css", "reproduction.css"))
    values = {
        "title": joined(f"The paper's tables on {found.conditions.title}"),
        "lead": joined(
            "Tables and figures of T-VSL (CVPR 2024), measured anew. What is said of them is made "
            "from the numbers."
        ),
        "contents": _contents(found),
        "warnings": joined(*(tag("p", text, class_="warning") for text in _warned(found))),
        "claims": _claims(found),
        "figures": _figures(found),
        "tables": joined(*(_table_card(table) for table in found.tables)),
        "choices": _choices(found),
        "notes": joined(
            *(part for term, text in how(found.conditions) for part in _note(term, text))
        ),
    }
    return fill_page("reproduction.html", f"{style}\n{color_rules(most)}", "", values)


def _warned(found: Reproduction) -> Sequence[str]:
    return found.conditions.warnings


def _contents(found: Reproduction) -> Markup:
    links = [(table.name, _numbered(table)) for table in found.tables]
    links += [(one.spec.name, f"Figure {one.spec.paper}: {one.spec.title}") for one in found.sheets]
    return tag("ul", *(tag("li", tag("a", text, href=f"#{name}")) for name, text in links))


def _numbered(table: Table) -> str:
    return table.title if table.number is None else f"Table {table.number}: {table.title}"


def _claims(found: Reproduction) -> Markup:
    if not found.claims:
        return Markup()
    rows = [
        tag(
            "li",
            tag("span", _MARKS[claim.holds][0], class_=_MARKS[claim.holds][1]),
            f" {claim.says} ",
            tag("small", claim.numbers),
        )
        for claim in found.claims
    ]
    return tag(
        "section",
        tag("header", tag("h2", "Expected, and found")),
        tag("ul", *rows, class_="claims"),
        class_="card",
        id="claims",
    )


def _figures(found: Reproduction) -> Markup:
    bars = [bars_card(found.tables)] if found.bars else []
    return joined(*bars, *(sheet_card(one) for one in found.sheets))


def _table_card(table: Table) -> Markup:
    told = [*sentences(table), *remarks(table)]
    order = order_table(table)
    against = [] if order is None else [tag("h3", order.title), _scrolled(order)]
    return tag(
        "section",
        tag("header", tag("h2", _numbered(table)), tag("p", table.says)),
        _scrolled(text_table(table), _best(table)),
        *against,
        tag("ul", *(tag("li", text) for text in told), class_="told"),
        class_="card",
        id=table.name,
    )


def _best(table: Table) -> set[tuple[int, str]]:
    return {(line, table.heads[column]) for line, column in best_cells(table)}


def _scrolled(table: TextTable, best: set[tuple[int, str]] | None = None) -> Markup:
    heads = [
        tag("th", head, scope="col", class_=_class(table, column))
        for column, head in enumerate(table.heads)
    ]
    rows = []
    for number, (first, *rest) in enumerate(table.rows):
        cells = [tag("th", first, scope="row")]
        for column, text in enumerate(rest, start=1):
            is_best = best is not None and (number, table.heads[column]) in best
            cells.append(
                tag("td", tag("b", text) if is_best else text, class_=_class(table, column))
            )
        rows.append(tag("tr", *cells))
    body = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="results")
    return tag("div", body, class_="scroll")


def _class(table: TextTable, column: int) -> str | None:
    if column < table.words:
        return None
    return "number of-paper" if table.heads[column] == PAPER_HEAD else "number"


def _choices(found: Reproduction) -> Markup:
    table = choice_table(found.choices)
    if not table.rows:
        return Markup()
    return tag(
        "section",
        tag("header", tag("h2", table.title)),
        tag("details", tag("summary", f"All {len(table.rows)} choices"), _scrolled(table)),
        class_="card",
        id="choices",
    )


def _note(term: str, text: str) -> tuple[Markup, Markup]:
    return tag("dt", term), tag("dd", text)
