"""The page of a reproduction: tables and figures beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tvsl.html.page import png_uri, table_values
from tvsl.html.rendering import Values, render_page
from tvsl.metrics import Interval
from tvsl.render.colors import WHITE, Color, RGBImage, outline, source_color
from tvsl.render.overlay import color_overlay
from tvsl.reproduce.figures import HeatMaps, Sheet, SheetCase
from tvsl.reproduce.report import (
    JUDGED,
    best_cells,
    choice_table,
    claim_table,
    difference_table,
    how,
    order_table,
    remarks,
    sentences,
    text_table,
)
from tvsl.reproduce.results import MeasuredRow, MeasuredTable, Value, one_each
from tvsl.reproduce.run import Reproduction

_BAR_TABLES = ("table1", "table2")
_OUTLINE_WIDTH = 2


def reproduction_page(found: Reproduction) -> str:
    """Write the page, the same for the same numbers; it asks no network for anything."""
    values: Values = {
        "title": f"The paper's tables on {found.provenance.title}",
        "warnings": found.provenance.warnings,
        "claims": table_values(claim_table(found.claims)) if found.claims else None,
        "expectations": found.expectations,
        "judged": JUDGED,
        "bars": found.bars,
        "charts": _charts(found.tables) if found.bars else [],
        "sheets": [_sheet(sheet) for sheet in found.sheets],
        "tables": [_table(table) for table in found.tables],
        "choices": table_values(choice_table(found.choices)),
        "notes": how(found.provenance),
    }
    most = max((len(case.labels) for sheet in found.sheets for case in sheet.cases), default=1)
    styles = ["page.css", "evaluation.css", "reproduction.css"]
    return render_page("reproduction.html", values, styles=styles, colors=most)


def _table(table: MeasuredTable) -> Values:
    below = (difference_table(table), order_table(table))
    return {
        "name": table.name,
        "title": table.title if table.number is None else f"Table {table.number}: {table.title}",
        "says": table.says,
        "measured": table_values(
            text_table(table), {(row, table.headers[column]) for row, column in best_cells(table)}
        ),
        "below": [table_values(one) for one in below if one is not None],
        "sentences": [*sentences(table), *remarks(table)],
    }


def _charts(tables: Sequence[MeasuredTable]) -> list[Values]:
    """Figure 1: success rates of Tables 1 and 2; a row with a choice has detected labels."""
    charts: list[Values] = []
    for table in sorted(tables, key=lambda table: table.name):
        success = [n for n, column in enumerate(table.columns) if column.figure == "success"]
        if table.name in _BAR_TABLES and success:
            column = success[0]
            bars = [
                _bar(line, value)
                for line in one_each(table.lines)
                if (value := line.values[column]) is not None
            ]
            charts.append({"title": f"{table.title}: {table.headers[column]}", "bars": bars})
    return charts


def _bar(line: MeasuredRow, value: Value) -> Values:
    deviation = value.deviation or 0.0
    ends = value.interval or Interval(value.mean - deviation, value.mean + deviation)
    return {
        "name": line.row,
        "kind": "trivial" if line.trivial else "ours" if line.row.startswith("T-VSL") else "other",
        "text": value.text(),
        "end": _percent(value.mean),
        "low": _percent(ends.low),
        "high": _percent(ends.high),
        "whisker": ends.low < ends.high,
    }


def _percent(value: float) -> float:
    """A value that no bar of it leaves the chart."""
    return max(0.0, min(100.0, value))


def _sheet(sheet: Sheet) -> Values:
    return {
        "name": sheet.spec.name,
        "title": f"Figure {sheet.spec.paper}: {sheet.spec.title}",
        "methods": sheet.methods,
        "cases": [
            {
                "labels": case.labels,
                "truth": png_uri(_outlined(case)),
                "maps": [
                    (method, "" if maps is None else png_uri(_overlaid(case, maps)))
                    for method, maps in zip(sheet.methods, case.maps, strict=True)
                ],
            }
            for case in sheet.cases
        ],
    }


def _overlaid(case: SheetCase, maps: HeatMaps) -> RGBImage:
    """The picture in grey under the maps; a single map for several sources is white."""
    for_all = len(maps) == 1 < len(case.labels)
    colors: list[Color] = [WHITE] if for_all else [source_color(n) for n in range(len(maps))]
    # Objects have colours of their own, which would pass for maps.
    grey = np.asarray(Image.fromarray(case.picture).convert("L"))
    return color_overlay(np.repeat(grey[..., None], 3, axis=2), list(maps), colors)


def _outlined(case: SheetCase) -> RGBImage:
    """The picture with a line around each source."""
    picture: RGBImage = case.picture.copy()
    for number, truth in enumerate(case.truth):
        picture[outline(truth, _OUTLINE_WIDTH, at_edges=True)] = source_color(number)
    return picture
