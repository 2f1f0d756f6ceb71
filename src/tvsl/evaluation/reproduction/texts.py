"""What came out, in words and in tables of words: for Markdown and for the page."""

from __future__ import annotations

from collections.abc import Sequence

from tvsl.evaluation.reproduction.agreement import agreements
from tvsl.evaluation.reproduction.conditions import Conditions
from tvsl.evaluation.reproduction.plan import Choice
from tvsl.evaluation.reproduction.results import Line, Table
from tvsl.evaluation.reproduction.rows import EVERY
from tvsl.evaluation.reproduction.specs import LABEL_TITLES
from tvsl.evaluation.reproduction.trainings import HeadSpec
from tvsl.evaluation.tables import PAPER_HEAD
from tvsl.evaluation.tables import Table as TextTable

_NOTHING = ""
_ORDER_HEADS = (
    "column",
    "the paper on",
    "where a choice",
    "rows",
    "Kendall's tau",
    "p",
    "pairs as in the paper",
    "the other way round",
    "within deviations",
)
_TITLES = {row.single.head: row.title for row in reversed(EVERY)}
"""Of rows with one head the first gives it its name."""


def text_table(table: Table) -> TextTable:
    """A measured table as texts, in percent, with the paper's numbers beside ours.

    Args:
        table: The table.

    Returns:
        Mean and standard deviation over the seeds; after each column that the paper has, its
        numbers on the nearest of its benchmarks.
    """
    shown = [column for column in range(len(table.heads)) if _in_paper(table, column)]
    heads = [
        part
        for column, head in enumerate(table.heads)
        for part in (head, *([PAPER_HEAD] * (column in shown)))
    ]
    rows = tuple(tuple(_cells(table, line, shown)) for line in table.lines)
    return TextTable(table.title, ("method", "labels", *heads), rows, 2)


def _in_paper(table: Table, column: int) -> bool:
    names = table.beside[:1]
    return any(line.paper[name][column] is not None for line in table.lines for name in names)


def _cells(table: Table, line: Line, shown: Sequence[int]) -> list[str]:
    cells = [line.row, LABEL_TITLES[line.labels]]
    for column, value in enumerate(line.values):
        cells.append(_NOTHING if value is None else value.text())
        if column in shown:
            paper = line.paper[table.beside[0]][column]
            cells.append(_NOTHING if paper is None else f"{paper:.1f}")
    return cells


def best_cells(table: Table) -> set[tuple[int, int]]:
    """Line and column of the best value of every column, the trivial baselines left aside."""
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


def order_table(table: Table) -> TextTable | None:
    """How far the paper's order is found again.

    Args:
        table: The table.

    Returns:
        A row for each column, for each of the paper's benchmarks beside it, and for each source of
        labels; None where the paper has no numbers to compare with.
    """
    rows = tuple(
        (
            one.head,
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
    return TextTable("Order, ours against the paper's", _ORDER_HEADS, rows, 3) if rows else None


def remarks(table: Table) -> list[str]:
    """Why columns or cells are missing."""
    told = [f"No column '{head}': {reason}." for head, reason in table.left_out.items()]
    reasons = {line.row: note for line in table.lines for note in line.notes}
    return told + [f"{row}: {note}" for row, note in reasons.items()]


def choice_table(choices: Sequence[Choice]) -> TextTable:
    """What validation chose of all candidates.

    Args:
        choices: The choices.

    Returns:
        A row for each learned unit: what it was chosen for, on what and how fast it is trained, and
        what every candidate reached on validation.
    """
    rows = tuple(
        (
            head_title(choice.unit.head),
            "single sources" if choice.unit.task == "single" else "several sources",
            _chosen(choice),
            _scores(choice),
        )
        for choice in choices
        if choice.unit.regimes
    )
    heads = ("head", "chosen for", "chosen", "validation scores of all candidates")
    return TextTable("What validation chose", heads, rows, len(heads))


def head_title(head: HeadSpec) -> str:
    """What a head is called, with its switches where it is no row of Table 1."""
    if head in _TITLES:
        return _TITLES[head]
    parts = [head.preset] if head.preset else []
    parts += [f"{name} {value}" for name, value in head.switches]
    return f"{head.method} ({', '.join(parts)})" if parts else head.method


def _chosen(choice: Choice) -> str:
    chosen = choice.chosen
    if chosen is None or chosen.regime is None:
        return f"none: {choice.reason}"
    return f"{chosen.regime.name}, {chosen.learning_rate:g}"


def _scores(choice: Choice) -> str:
    parts = []
    for training, score in choice.scores:
        regime = "" if training.regime is None else training.regime.name
        reached = "failed" if score is None else f"{score:.1f}"
        parts.append(f"{regime}, {training.learning_rate:g}: {reached}")
    return "; ".join(parts)


def how(conditions: Conditions) -> list[tuple[str, str]]:
    """How everything was measured: term and explanation."""
    config = conditions.config
    rates = ", ".join(f"{rate:g}" for rate in config.learning_rates)
    sizes = "; ".join(
        f"{method}: {', '.join(f'{name} {value}' for name, value in switches.items())}"
        for method, switches in config.switches.items()
    )
    scenes = ", ".join(f"{count} of {title}" for title, count in conditions.scenes.items())
    told = {
        "Measured on": f"{conditions.title}. Test scenes: {scenes}.",
        "Encoder": (
            f"{conditions.model}, SHA-256 {conditions.encoder}; frozen, its tokens are encoded "
            f"once and shared by all rows. Flip average: {config.flip_average}."
        ),
        "Training": (
            f"Every learned head sees the same {conditions.clips} clips of {conditions.classes} "
            f"classes for {config.steps} steps of {config.batch} mixtures, with Adam and a rate "
            f"that is {config.schedule}; {config.seeds} seeds. What it is after the last step "
            "counts."
        ),
        "Tuning": _tuning(conditions, rates),
        "Numbers": (
            "Percent, mean ± standard deviation over the seeds; rows without one are not trained. "
            "Protocol `paper` on boxes; an undetected source scores 0 with detected labels."
        ),
        "Beside the paper": _beside(conditions),
    }
    if sizes:
        told["Sizes"] = f"Set to suit the encoder: {sizes}."
    return list(told.items())


def _beside(conditions: Conditions) -> str:
    start = f"The paper's numbers are on {conditions.beside}"
    if conditions.real:
        return f"{start}."
    return f"{start}: other data and another encoder. Orders can be compared, values cannot."


def _tuning(conditions: Conditions, rates: str) -> str:
    start = (
        f"Every learned row has the same short list of learning rates, {rates}; for several "
        "sources heads are trained on single sources and on mixtures, too. Validation chooses with "
        "the first seed, "
    )
    end = "by the one rule of `tvsl train` for every head. Test scenes decide nothing."
    if not conditions.located:
        return f"{start}by the loss. The detector is decided {end}"
    return (
        f"{start}by AP and IoU@0.5 for single sources, by CAP and CIoU@0.3 for several. Readout, "
        "polarity, clamp, exponent, detector, and for T-VSL and text only whether maps are spread "
        f"over alike cells, are decided {end}"
    )
