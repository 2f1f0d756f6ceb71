"""The page of an evaluation: its tables, what they mean, and some items to look at."""

from __future__ import annotations

from collections.abc import Sequence

from tvsl.evaluation.cases import Case, Cases
from tvsl.evaluation.results import Evaluation
from tvsl.evaluation.tables import PAPER_HEAD, Table, detection_table, notes, result_tables
from tvsl.render.evaluation_case import case_card
from tvsl.render.markup import Markup, joined, tag
from tvsl.render.page import color_rules, fill_page, template


def evaluation_page(evaluation: Evaluation, cases: Cases) -> str:
    """Write the page.

    Args:
        evaluation: The numbers.
        cases: The items to be shown.

    Returns:
        The HTML, the same for the same evaluation.
    """
    listing, entries = evaluation.measurer.listing, evaluation.measurer.entries
    rate = entries.encoder.sample_rate
    detection = detection_table(evaluation)
    tables = [*result_tables(evaluation), *([] if detection is None else [detection])]
    most = max((len(case.sources) for case in cases.all), default=1)
    style = "\n".join((template("page.css"), template("evaluation.css"), color_rules(most)))
    labels = evaluation.measurer.sources[cases.entry]
    values = {
        "title": joined(listing.data.title),
        "labels": labels[0],
        "lead": _lead(evaluation),
        "tables": joined(*(_table(table) for table in tables)),
        "notes": joined(*(part for note in notes(evaluation) for part in _note(*note))),
        "skipped": _skipped(evaluation.skipped),
        "chosen": joined(f"Shown for {cases.entry}, chosen by nothing but the {cases.chosen_by}."),
        "switch": _switch(labels),
        "cases": joined(
            _part("Best", cases.best, rate),
            _part("Median", cases.median, rate),
            _part("Worst", cases.worst, rate),
        ),
    }
    return fill_page("evaluation.html", style, template("page.js"), values)


def _lead(evaluation: Evaluation) -> Markup:
    entries = evaluation.measurer.entries
    gone = evaluation.listed - evaluation.found
    missing = f", {gone:,} left out" if gone else ""
    return joined(
        "Encoder ",
        tag("code", entries.model),
        f"; {evaluation.found:,} of {evaluation.listed:,} items found{missing}. Percent.",
    )


def _table(table: Table) -> Markup:
    heads = [
        tag("th", head, scope="col", class_=_cell_class(table, column))
        for column, head in enumerate(table.heads)
    ]
    rows = [tag("tr", *_cells(table, row)) for row in table.rows]
    body = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="results")
    return joined(tag("h3", table.title), tag("div", body, class_="scroll"))


def _cells(table: Table, row: Sequence[str]) -> list[Markup]:
    first, *rest = row
    others = [
        tag("td", text, class_=_cell_class(table, column + 1)) for column, text in enumerate(rest)
    ]
    return [tag("th", first, scope="row"), *others]


def _cell_class(table: Table, column: int) -> str | None:
    if column < table.words:
        return None
    return "number of-paper" if table.heads[column] == PAPER_HEAD else "number"


def _note(name: str, text: str) -> tuple[Markup, Markup]:
    return tag("dt", name), tag("dd", text)


def _skipped(skipped: Sequence[tuple[str, str]]) -> Markup:
    if not skipped:
        return Markup()
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", why)) for name, why in skipped]
    table = tag("table", tag("tbody", *rows))
    return tag(
        "section",
        tag("header", tag("h2", f"{len(skipped)} items were left out")),
        tag("div", table, class_="reasons"),
        class_="card",
        id="skipped",
    )


def _switch(labels: Sequence[str]) -> Markup:
    """A switch between the sources of labels, where there are several."""
    if len(labels) < 2:
        return tag("input", type="hidden", name="labels", value=labels[0])
    choices = [
        tag(
            "label",
            tag("input", type="radio", name="labels", value=value, checked=value == labels[0]),
            tag("span", value),
        )
        for value in labels
    ]
    return tag("fieldset", tag("legend", "Labels"), *choices, class_="switch")


def _part(title: str, cases: Sequence[Case], rate: int) -> Markup:
    if not cases:
        return Markup()
    cards = [
        case_card(case, f"{title.lower()}-{number}", rate) for number, case in enumerate(cases)
    ]
    return joined(tag("h2", title, class_="part"), *cards)
