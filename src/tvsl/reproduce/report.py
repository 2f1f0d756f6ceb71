"""The report of a reproduction: sentences and tables, as Markdown, CSV and JSON."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import JsonValue

from tvsl.evaluation.results import PAPER_HEADER, TextTable, markdown_table
from tvsl.metrics import LabelSource
from tvsl.metrics.intervals import RESAMPLES
from tvsl.reproduce.claims import Agreement, Claim, agreements
from tvsl.reproduce.judging import Expectation
from tvsl.reproduce.plan import Choice
from tvsl.reproduce.results import (
    MeasuredRow,
    MeasuredTable,
    Value,
    apart,
    difference_interval,
    difference_text,
    one_each,
    ranked,
)
from tvsl.reproduce.run import Provenance, Reproduction
from tvsl.reproduce.specs import LABEL_TITLES, HeadSpec, ReproduceConfig
from tvsl.reproduce.tables import EVERY
from tvsl.utils.files import write_rows


def sentences(table: MeasuredTable) -> list[str]:
    """Sentences that a table justifies.

    Returns:
        The first row of each column, the rows that are not above the trivial baselines, and the
        pairs that the paper has the other way round.
    """
    columns = range(len(table.headers))
    found = [text for column in columns if (text := _first(table, column))]
    found += [text for column in columns if (text := _trivial(table, column))]
    seen = set()
    for one in agreements(table):
        if one.benchmarks == table.beside[0] and one.header not in seen:
            seen.add(one.header)
            found.append(_against(one))
    return found


def _first(table: MeasuredTable, column: int) -> str | None:
    """The best and the next row; of a method with several sources of labels, not the given ones."""
    rows = [line for line in one_each(table.lines) if not line.trivial]
    order = ranked(rows, column, table.columns[column].low_is_good)
    if len(order) < 2:
        return None
    (best, value), (second, next_value) = order[:2]
    clear = "" if apart(value, next_value) else ": no difference that 95 % intervals would show"
    return (
        f"{table.headers[column]}: first is {named(best)} with {value.text()}, then "
        f"{named(second)} with {next_value.text()}{clear}."
    )


def _trivial(table: MeasuredTable, column: int) -> str | None:
    trivial = ranked([line for line in table.lines if line.trivial], column, False)
    others = ranked([line for line in table.lines if not line.trivial], column, False)
    if not trivial or not others or table.columns[column].low_is_good:
        return None
    bar, bound = trivial[0]
    under = [named(line) for line, value in others if value.mean <= bound.mean]
    what = f"the best trivial baseline, {bar.row} ({bound.text()})"
    if not under:
        return f"{table.headers[column]}: every method is above {what}."
    return f"{table.headers[column]}: not above {what}: {', '.join(under)}."


def _against(one: Agreement) -> str:
    pairs = len(one.agreed) + len(one.reversed) + len(one.unclear)
    start = f"{one.header}, beside the paper's numbers on {one.benchmarks}"
    if not one.reversed:
        return f"{start}: of {pairs} pairs of rows none is the other way round."
    return (
        f"{start}: {len(one.reversed)} of {pairs} pairs of rows are the other way round. "
        f"{_grouped(one.reversed)}."
    )


def _grouped(pairs: Sequence[tuple[str, str]]) -> str:
    """Pairs in few words: what each row is better than."""
    worse: dict[str, list[str]] = {}
    for better, other in pairs:
        worse.setdefault(better, []).append(other)
    return "; ".join(f"{row} is better here than {', '.join(o)}" for row, o in worse.items())


def named(line: MeasuredRow) -> str:
    """A row with the source of its labels, where it has any."""
    title = LABEL_TITLES[line.labels]
    return line.row if line.labels == "none" else f"{line.row} ({title})"


_NOTHING = ""
_ORDER_HEADERS = (
    "column",
    "the paper on",
    "where a choice",
    "rows",
    "Kendall's tau",
    "p",
    "pairs as in the paper",
    "the other way round",
    "no difference",
)
_TITLES = {row.single.head: row.title for row in reversed(EVERY)}
"""Of rows with one head the first gives it its name."""


def text_table(table: MeasuredTable) -> TextTable:
    """A measured table as texts, in percent, with the paper's numbers beside ours.

    Returns:
        Mean, standard deviation over the seeds and 95 % interval; after each column that the paper
        has, its numbers on the nearest of its benchmarks.
    """
    known = [column for column in range(len(table.headers)) if _in_paper(table, column)]
    headers: list[str] = []
    for column, header in enumerate(table.headers):
        headers += [header, PAPER_HEADER] if column in known else [header]
    rows = tuple(tuple(_cells(table, line, known)) for line in table.lines)
    return TextTable(table.title, ("method", "labels", *headers), rows, 2)


def _in_paper(table: MeasuredTable, column: int) -> bool:
    names = table.beside[:1]
    return any(line.paper[name][column] is not None for line in table.lines for name in names)


def _cells(table: MeasuredTable, line: MeasuredRow, known: Sequence[int]) -> list[str]:
    cells = [line.row, LABEL_TITLES[line.labels]]
    for column, value in enumerate(line.values):
        cells.append(_NOTHING if value is None else value.text())
        if column in known:
            paper = line.paper[table.beside[0]][column]
            cells.append(_NOTHING if paper is None else f"{paper:.1f}")
    return cells


def best_cells(table: MeasuredTable) -> set[tuple[int, int]]:
    """Row and column of the best value of every column, baselines left aside."""
    best = set()
    for column, spec in enumerate(table.columns):
        known = [
            (-value.mean if spec.low_is_good else value.mean, number)
            for number, line in enumerate(table.lines)
            if not line.trivial and (value := line.values[column]) is not None
        ]
        if known:
            best.add((max(known)[1], column))
    return best


def order_table(table: MeasuredTable) -> TextTable | None:
    """Table of the agreement with the paper's order.

    Returns:
        A row for each column, for each of the paper's benchmarks beside it, and for each source of
        labels; None where the paper has no numbers to compare with.
    """
    rows = tuple(
        (
            one.header,
            one.benchmarks,
            _NOTHING if one.labels is None else LABEL_TITLES[one.labels],
            str(len(one.rows)),
            _NOTHING if one.tau is None else f"{one.tau:.2f}",
            _NOTHING if one.chance is None else f"{one.chance:.2g}",
            str(len(one.agreed)),
            str(len(one.reversed)),
            str(len(one.unclear)),
        )
        for one in agreements(table)
    )
    return TextTable("Order, ours against the paper's", _ORDER_HEADERS, rows, 3) if rows else None


def compared(table: MeasuredTable) -> list[tuple[MeasuredRow, MeasuredRow]]:
    """The row of reference beside each other row that looks at something.

    A row that asks for classes is compared with the same source of labels; one that does not with
    detected labels, or with given ones in a table where the row of reference has no others.

    Returns:
        Pairs of lines, the one of reference first; none in a table without one.
    """
    pairs = []
    for line in table.lines:
        asks = line.labels in ("given", "detected")
        sources: tuple[LabelSource, ...] = (line.labels,) if asks else ("detected", "given")
        ours = None if table.reference is None else table.line(table.reference, *sources)
        if ours is not None and line.row != table.reference and not line.trivial:
            pairs.append((ours, line))
    return pairs


def difference_table(table: MeasuredTable) -> TextTable | None:
    """Table of the differences between the row of reference and the other rows.

    Returns:
        Difference and 95 % interval of each column; None without a row of reference.
    """
    rows = tuple(
        (
            line.row,
            LABEL_TITLES[line.labels],
            *(
                _NOTHING if mine is None or other is None else difference_text(mine, other)
                for mine, other in zip(ours.values, line.values, strict=True)
            ),
        )
        for ours, line in compared(table)
    )
    title = f"{table.reference}, less each other row"
    return TextTable(title, ("row", "labels", *table.headers), rows, 2) if rows else None


def remarks(table: MeasuredTable) -> list[str]:
    """Reasons why columns or cells are missing."""
    columns = [f"No column '{header}': {reason}." for header, reason in table.left_out.items()]
    reasons = [f"{line.row}: {note}" for line in table.lines for note in line.notes]
    return [*columns, *dict.fromkeys(reasons)]


def choice_table(choices: Sequence[Choice]) -> TextTable:
    """Table of the choices of validation.

    Returns:
        A row for each learned head: the task, the chosen training, the readout and the detector
        of each seed, and what every candidate reached on validation.
    """
    rows = tuple(
        (
            head_title(choice.candidates.head),
            "single sources" if choice.candidates.task == "single" else "several sources",
            _chosen(choice),
            "; ".join(filter(None, map(_decided, choice.decided))),
            _scores(choice),
        )
        for choice in choices
        if choice.candidates.curricula
    )
    headers = (
        "head",
        "chosen for",
        "chosen",
        "readout and detector, seed by seed",
        "validation scores of all candidates",
    )
    return TextTable("What validation chose", headers, rows, len(headers))


def head_title(head: HeadSpec) -> str:
    """Title of a head, with its hyperparameters where it is no row of Table 1."""
    if head in _TITLES:
        return _TITLES[head]
    parts = [head.preset] if head.preset else []
    parts += [f"{name} {value}" for name, value in head.hyperparameters]
    return f"{head.method} ({', '.join(parts)})" if parts else head.method


def _chosen(choice: Choice) -> str:
    chosen = choice.chosen
    if chosen is None or chosen.curriculum is None:
        return f"none: {choice.reason}"
    return chosen.title


def _decided(hyperparameters: Mapping[str, JsonValue]) -> str:
    """Readout and detector, of methods that have several."""
    names = (hyperparameters.get(name) for name in ("readout", "detector"))
    return ", ".join(str(name) for name in names if name is not None)


def _scores(choice: Choice) -> str:
    parts = []
    for training, score in choice.scores:
        reached = "failed" if score is None else f"{score:.1f}"
        parts.append(f"{training.title}: {reached}")
    return "; ".join(parts)


def how(provenance: Provenance) -> list[tuple[str, str]]:
    """Notes on how everything was measured: term and explanation."""
    config = provenance.config
    rates = ", ".join(f"{rate:g}" for rate in config.learning_rates)
    sizes = "; ".join(
        f"{method}: {', '.join(f'{name} {value}' for name, value in hyperparameters.items())}"
        for method, hyperparameters in config.hyperparameters.items()
    )
    scenes = ", ".join(f"{count} of {title}" for title, count in provenance.scenes.items())
    notes = {
        "Measured on": f"{provenance.title}. Test scenes: {scenes}.",
        "Encoder": (
            f"{provenance.model}, SHA-256 {provenance.encoder}; frozen, its tokens are encoded "
            f"once and shared by all rows. Flip average: {config.flip_average}."
        ),
        "Training": (
            f"Every learned head sees the same {provenance.clips} clips of {provenance.classes} "
            f"classes as {config.steps * config.batches[0]:,} mixtures, {_batches(config)}, with "
            f"Adam and a rate that is {config.schedule}; {config.seeds} seeds. What it is after "
            "the last step counts."
        ),
        "Tuning": _tuning(provenance, rates),
        "Numbers": (
            "Percent, mean ± standard deviation over the seeds; rows without one are not trained. "
            f"In brackets: 95 % of {RESAMPLES:,} resamples of the test scenes, all sources of a "
            "scene together, and of the seeds. Two rows of a column differ where the interval of "
            "their difference, on the same resamples, does not hold 0. "
            "Protocol `paper` on boxes; an undetected source scores 0 with detected labels."
        ),
        "Beside the paper": _beside(provenance),
    }
    if sizes:
        notes["Sizes"] = f"Set to suit the encoder: {sizes}."
    return list(notes.items())


def _beside(provenance: Provenance) -> str:
    start = f"The paper's numbers are on {provenance.beside}"
    if provenance.real:
        return f"{start}."
    return f"{start}: other data and another encoder. Orders can be compared, values cannot."


def _batches(config: ReproduceConfig) -> str:
    parts = (f"{config.steps_of(batch):,} steps of {batch}" for batch in config.batches)
    return " or ".join(parts)


def _tuning(provenance: Provenance, rates: str) -> str:
    config = provenance.config
    start = (
        f"Every learned row has the same learning rates to begin with, {rates}; where the best is "
        f"the lowest or the highest, a third or three times of it is tried, up to "
        f"{config.further_rates} times. Every method has the same numbers of mixtures a step; a "
        "row with hyperparameters set otherwise has the one that its method took, and tries the "
        "rates to begin with and the one that its method took. For several sources heads are "
        "trained on single sources and on mixtures, too. Validation chooses with the first seed, "
    )
    end = "by the one rule of `tvsl train` for every head. Test scenes decide nothing."
    if not provenance.located:
        return f"{start}by the loss. The detector is decided {end}"
    return (
        f"{start}by AP and IoU@0.5 for single sources, by CAP and CIoU@0.3 for several. Readout, "
        "polarity, clamp, exponent, detector, and whether maps are spread "
        f"over alike cells, are decided {end}"
    )


CSV_HEADER = (
    "table",
    "row",
    "labels",
    "column",
    "mean",
    "deviation",
    "low",
    "high",
    "seeds",
    "paper",
    "trained",
)


def markdown(found: Reproduction) -> str:
    """All tables with what they say, as Markdown."""
    parts = [f"# The paper's tables on {found.provenance.title}"]
    parts += [f"**{warning}**" for warning in found.provenance.warnings]
    if found.claims:
        claims = claim_table(found.claims)
        parts += [f"## {claims.title}", _as_markdown(claims)]
    if found.expectations.items:
        parts += [
            "## Expected, and found",
            f"Stated {found.expectations.stated}. {JUDGED}",
            _listed([expectation_text(one) for one in found.expectations.items]),
        ]
    for table in found.tables:
        number = "" if table.number is None else f"Table {table.number}: "
        parts += [f"## {number}{table.title}", table.says, _as_markdown(text_table(table))]
        for below in (difference_table(table), order_table(table)):
            if below is not None:
                parts += [f"{below.title}:", _as_markdown(below)]
        if findings := [*sentences(table), *remarks(table)]:
            parts.append(_listed(findings))
    choices = choice_table(found.choices)
    if choices.rows:
        parts += [f"## {choices.title}", _as_markdown(choices)]
    parts.append("## How it was measured")
    parts += [f"**{term}.** {text}" for term, text in how(found.provenance)]
    return "\n\n".join(parts) + "\n"


def claim_table(claims: Sequence[Claim]) -> TextTable:
    """Table of the paper's claims.

    Returns:
        A row for each: the claim, its place in the paper, the verdict and the figures.
    """
    rows = tuple((one.says, one.where, one.verdict, one.numbers) for one in claims)
    headers = ("claim", "paper", "here", "by")
    return TextTable("What the paper claims, and what is found here", headers, rows, len(headers))


JUDGED = (
    "They are judged by means, as they were stated; whether an interval holds 0 is told by the "
    "claims above and by the tables."
)


def expectation_text(expectation: Expectation) -> str:
    """An expectation, whether it came out, and the numbers."""
    verdict = "Holds" if expectation.holds else "Does not hold"
    return f"{verdict}: {expectation.says} ({expectation.numbers})"


def _as_markdown(table: TextTable) -> str:
    return markdown_table(table.headers, table.rows)


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def csv_text(found: Reproduction) -> str:
    """All cells in long form."""
    text = io.StringIO()
    write_rows(text, [CSV_HEADER])
    for table in found.tables:
        for line in table.lines:
            write_rows(text, _csv_rows(table, line))
    return text.getvalue()


def _csv_rows(table: MeasuredTable, line: MeasuredRow) -> list[list[object]]:
    rows: list[list[object]] = []
    for column, header in enumerate(table.headers):
        value = line.values[column]
        paper = line.paper[table.beside[0]][column] if table.beside else None
        if value is not None:
            cells = (
                value.mean,
                value.deviation,
                *_ends(value),
                len(value.seeds),
                paper,
                line.trained[column],
            )
            rows.append([table.name, line.row, line.labels, header, *cells])
    return rows


def _ends(value: Value) -> tuple[float | None, float | None]:
    """Both ends of a value's interval, where it has one."""
    interval = value.interval
    return (None, None) if interval is None else (interval.low, interval.high)


def json_content(found: Reproduction) -> dict[str, Any]:
    """Everything, as plain JSON types."""
    conditions = found.provenance
    return {
        "conditions": {
            **{name: value for name, value in vars(conditions).items() if name != "config"},
            "config": conditions.config.model_dump(mode="json"),
            "warnings": list(conditions.warnings),
        },
        "claims": [asdict(claim) for claim in found.claims],
        "expectations": asdict(found.expectations),
        "tables": [_table(table) for table in found.tables],
        "choices": [_choice(choice) for choice in found.choices],
    }


def _table(table: MeasuredTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "paper_table": table.number,
        "columns": list(table.headers),
        "left_out": dict(table.left_out),
        "beside": list(table.beside),
        "lines": [_line(line) for line in table.lines],
        "reference": table.reference,
        "differences": [_difference(*pair) for pair in compared(table)],
        "agreements": [asdict(one) for one in agreements(table)],
        "sentences": sentences(table),
    }


def _line(line: MeasuredRow) -> dict[str, Any]:
    return {
        "row": line.row,
        "labels": line.labels,
        "trivial": line.trivial,
        "seeds": [None if value is None else list(value.seeds) for value in line.values],
        "mean": [None if value is None else value.mean for value in line.values],
        "deviation": [None if value is None else value.deviation for value in line.values],
        "low": [None if value is None else _ends(value)[0] for value in line.values],
        "high": [None if value is None else _ends(value)[1] for value in line.values],
        "paper": {name: list(numbers) for name, numbers in line.paper.items()},
        "trained": list(line.trained),
        "notes": list(line.notes),
    }


def _difference(ours: MeasuredRow, line: MeasuredRow) -> dict[str, Any]:
    """Differences from the row of reference, as ``_line`` has its values."""
    values: list[tuple[float | None, float | None, float | None]] = []
    for mine, other in zip(ours.values, line.values, strict=True):
        if mine is None or other is None:
            values.append((None, None, None))
            continue
        interval = difference_interval(mine, other)
        ends = (None, None) if interval is None else (interval.low, interval.high)
        values.append((mine.mean - other.mean, *ends))
    columns = zip(("mean", "low", "high"), zip(*values, strict=True), strict=True)
    return {"row": line.row, "labels": line.labels, **{k: list(v) for k, v in columns}}


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "head": head_title(choice.candidates.head),
        "task": choice.candidates.task,
        "chosen": None if choice.chosen is None else choice.chosen.digest,
        "reason": choice.reason,
        "decided": [dict(one) for one in choice.decided],
        "candidates": [
            {**asdict(training), "digest": training.digest, "validation": score}
            for training, score in choice.scores
        ],
    }
