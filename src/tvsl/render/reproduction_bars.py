"""Figure 1: the success rates of all methods on single and on several sources, as bars."""

from __future__ import annotations

from collections.abc import Iterable

from tvsl.evaluation.reproduction.results import Line, Table, Value, one_each
from tvsl.render.markup import Markup, joined, tag

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
