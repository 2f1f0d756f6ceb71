"""The page of a reproduction: one file with all tables, figures and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from tvsl.evaluation.reproduction.agreement import sentences
from tvsl.evaluation.reproduction.results import Table
from tvsl.evaluation.reproduction.run import Reproduction
from tvsl.evaluation.reproduction.texts import (
    best_cells,
    choice_table,
    how,
    order_table,
    remarks,
    text_table,
)
from tvsl.evaluation.tables import PAPER_HEAD
from tvsl.evaluation.tables import Table as TextTable
from tvsl.render.markup import Markup, joined, tag
from tvsl.render.page import color_rules, fill_page, template
from tvsl.render.reproduction_bars import bars_card
from tvsl.render.reproduction_sheet import sheet_card

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
