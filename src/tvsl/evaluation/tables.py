"""An evaluation in words: tables and the notes without which their numbers mean nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tvsl.data.base import DataSet
from tvsl.evaluation.config import EvaluationConfig
from tvsl.evaluation.paper_numbers import BENCHMARKS, PaperRow
from tvsl.evaluation.results import Evaluation, ResultRow
from tvsl.metrics import Interval
from tvsl.metrics.intervals import LEVEL, RESAMPLES

PAPER_HEADER = "paper"
_NOTHING = ""
_MARK = "*"
_ASSIGNED = (
    "the method's maps carry no names: those of an item are assigned to its sources by the "
    "permutation that "
    "fits the truth best (PIAP), as its authors do. No other row is told where the sources are."
)
_UNTRAINED = (
    "nothing of it was trained, and no validation data decided how its maps are shown: polarity, "
    "clamp and exponent are the defaults."
)


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        title: Title.
        headers: Names of the columns.
        rows: Cells, row by row.
        words: Number of columns from the left with words; the others hold numbers.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int

    @property
    def numbers(self) -> tuple[str, ...]:
        """Heads of the columns of numbers."""
        return self.headers[self.words :]


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table.

    Args:
        headers: Titles of the columns.
        rows: Cells, row by row.

    Returns:
        The table; columns of numbers to the right.
    """
    numbers = [all(_is_number(row[place]) for row in rows) for place in range(len(headers))]
    rules = ["---:" if rows and one else "---" for one in numbers]
    cells = [[text.replace("|", "\\|") for text in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in (headers, rules, *cells))


def _is_number(cell: str) -> bool:
    """Tell whether a cell begins with a number, or is empty."""
    return re.match(r"$|[-+]?\d", cell) is not None


def result_tables(evaluation: Evaluation) -> list[TextTable]:
    """A table for each protocol, in percent, with the paper's numbers beside ours."""
    return [_table(evaluation, name) for name in evaluation.scorer.config.protocols]


def _table(evaluation: Evaluation, protocol: str) -> TextTable:
    rows = [row for row in evaluation.rows if row.scores.protocol == protocol]
    in_paper = {name for row in rows if row.paper is not None for name in row.paper.values}
    names = list(rows[0].scores.values)
    headers: list[str] = []
    for name in names:
        headers += [name, PAPER_HEADER] if name in in_paper else [name]
    cells = tuple(tuple(_cells(row, names, in_paper)) for row in rows)
    title = f"Protocol {protocol}, {_found(evaluation)} items"
    return TextTable(title, ("method", "labels", *headers), cells, 2)


def _cells(row: ResultRow, names: Sequence[str], in_paper: set[str]) -> Iterator[str]:
    yield row.name
    yield row.scores.label_source
    for name in names:
        scores = row.scores
        yield _percent(scores.values[name], scores.intervals[name], row.deviations.get(name))
        if name in in_paper:
            yield _paper_cell(row.paper, name)


def _percent(value: float, interval: Interval, deviation: float | None = None) -> str:
    spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
    return f"{100 * value:.1f}{spread} ({interval.times(100).text()})"


def _paper_cell(paper: PaperRow | None, name: str) -> str:
    if paper is None or name not in paper.values:
        return _NOTHING
    return f"{paper.values[name]:.1f}{_NOTHING if paper.same_data else _MARK}"


def detection_table(evaluation: Evaluation) -> TextTable | None:
    """Table of the detected classes, in percent; None where none were detected."""
    if not evaluation.detection:
        return None
    headers = ("method", "mAP", "precision", "recall", "false per item")
    rows = tuple(
        (
            row.name,
            *(
                _percent(row.values[name], row.intervals[name], row.deviations.get(name))
                for name in ("mean_average_precision", "precision", "recall")
            ),
            f"{row.false_per_item:.2f} ({row.intervals['false_per_item'].text(2)})",
        )
        for row in evaluation.detection
    )
    return TextTable("Detected classes", headers, rows, 1)


def notes(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Notes on the numbers: a term and its explanation, each."""
    scorer = evaluation.scorer
    found = [
        ("Data", _data(scorer.data.dataset)),
        ("Items", _items(evaluation)),
        *scorer.data.dataset.notes,
        scorer.note,
        ("Protocols", "; ".join(f"{one.name}: {one.source}" for one in scorer.config.chosen) + "."),
        ("Intervals", _intervals(evaluation)),
    ]
    found += [("Few items", warning) for warning in evaluation.warnings]
    of_methods = [row for row in evaluation.rows if row.method is not None]
    sources = {row.scores.label_source for row in of_methods}
    if "given" in sources:
        found.append(("Labels given", "the method is asked for the true classes of each item."))
    if "detected" in sources:
        found.append(("Labels detected", _detected(evaluation)))
    if "none" in sources:
        found.append(("Labels none", "the method knows no classes: one map for all sources."))
    assigned = [row for row in of_methods if row.scores.label_source == "assigned"]
    if assigned:
        found.append(("Labels assigned", _ASSIGNED))
    fresh = [name for name in scorer.sources if name.endswith("(untrained)")]
    if fresh:
        found.append((", ".join(fresh), _UNTRAINED))
    found.append(
        ("whole frame, centre, random", "what maps reach that look at nothing; scored as they are.")
    )
    paper = next((row.paper for row in evaluation.rows if row.paper is not None), None)
    if paper is not None:
        found.append((PAPER_HEADER, _paper(paper)))
    return found


def _data(data: DataSet) -> str:
    options = data.model_dump(mode="json", exclude_none=True)
    return f"{data.title} ({data.name}): {', '.join(f'{k} {v}' for k, v in options.items())}."


def _intervals(evaluation: Evaluation) -> str:
    count, config = evaluation.clusters, evaluation.scorer.config
    what = (
        "items" if count == evaluation.found else f"{evaluation.found} items of {count} recordings"
    )
    count_text = f"{count} items" if count == evaluation.found else what
    means = ""
    if evaluation.scorer.runs:
        means = " Of a mean of several heads the heads are drawn, too; ± is their deviation."
    return (
        f"in brackets: {100 * LEVEL:.0f} % of {RESAMPLES:,} resamples of the {count_text}, all "
        f"sources of an item together, seed {config.seed}.{means}"
    )


def _items(evaluation: Evaluation) -> str:
    count, silent = len(evaluation.pairs.numbers), evaluation.pairs.silent()
    sources = "1 source" if count == 1 else f"{count} sources"
    nowhere = ""
    if silent:
        nowhere = f", of which {silent} {'is' if silent == 1 else 'are'} nowhere in the picture"
        nowhere += _left_out(evaluation.scorer.config)
    return (
        f"{_found(evaluation)} found, with {sources}{nowhere}; SHA-256 of the ids "
        f"{evaluation.rows[0].scores.ids_hash}."
    )


def _found(evaluation: Evaluation) -> str:
    return f"{evaluation.found:,} of {evaluation.listed:,}"


def _left_out(config: EvaluationConfig) -> str:
    """Protocols that leave out sources that are nowhere, in words."""
    including = [one.name for one in config.chosen if one.include_empty]
    if len(including) == len(config.chosen):
        return ""
    return " and left out" + (f", but by {', '.join(including)}" if including else "")


def _detected(evaluation: Evaluation) -> str:
    rules = {row.rule for row in evaluation.detection}
    labelled = evaluation.scorer.data.labelled
    taken = "; ".join(sorted(rules)) if labelled else "the class that it detects first"
    count = len(evaluation.scorer.data.vocabulary)
    strict = " A source whose class is not taken scores 0." if labelled else ""
    return f"the method takes {taken}, of {count}.{strict}"


def _paper(paper: PaperRow) -> str:
    where = f"{BENCHMARKS[paper.benchmark]}, Table {paper.table}"
    mark = "" if paper.same_data else f"; {_MARK} measured on other data"
    return f"what the paper reports for the method that its authors trained ({where}){mark}."
