"""What was measured of every pair, as a file of comma-separated values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tvsl.csv_cells import write_rows
from tvsl.errors import OutputError
from tvsl.evaluation.results import Evaluation

_NOTHING = ""


def write_samples(evaluation: Evaluation, path: Path) -> None:
    """Write what was measured of every pair, a line for each pair, method and source of labels.

    Args:
        evaluation: The evaluation.
        path: Where to.

    Raises:
        OutputError: The file cannot be written.
    """
    metrics, pairs = evaluation.measurer.metrics, evaluation.pairs
    measures = [(protocol, name) for protocol, one in metrics.items() for name in one.measures]
    heads = ("id", "source", "label", "sounding", "method", "labels", "detected")
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            write_rows(file, [(*heads, *(f"{protocol} {name}" for protocol, name in measures))])
            for row in range(len(pairs.numbers)):
                write_rows(file, _lines(evaluation, row, measures))
    except OSError as error:
        raise OutputError(
            f"The samples cannot be written ({error.strerror}).",
            "Check the place and the free space.",
            path,
        ) from error


def _lines(
    evaluation: Evaluation, row: int, measures: Sequence[tuple[str, str]]
) -> Iterator[list[str]]:
    listing, pairs = evaluation.measurer.listing, evaluation.pairs
    place = int(pairs.items[row])
    number = int(pairs.numbers[row]) - listing.starts[place]
    item = listing.items[place]
    sounding = "yes" if pairs.sounding[row] else "no"
    pair = [item.id, str(number), item.labels[number] or _NOTHING, sounding]
    for (entry, source), measured in pairs.measured.items():
        found = _NOTHING
        if source == "detected":
            found = "yes" if pairs.found[entry][row] else "no"
        values = [float(measured[protocol][name][row]) for protocol, name in measures]
        told = [_NOTHING if value != value else repr(value) for value in values]
        yield [*pair, entry, source, found, *told]
