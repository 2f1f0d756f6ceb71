"""What an evaluation has measured so far: a line of JSON a batch, from which it goes on.

Each process appends to a file of its own. A line that was torn when a process was killed is not
counted, and its batch is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pydantic import ConfigDict

from tvsl.errors import OutputError
from tvsl.localization import write_json
from tvsl.small_files import LARGEST_CONFIG, LARGEST_LIST, read_small_json
from tvsl.staging import (
    RECORD_REMEDY,
    check_free,
    check_places,
    foreign_record,
    writable,
    write_text,
)
from tvsl.strict_model import StrictModel

RESULTS, SAMPLES, PAGE = "results.json", "samples.csv", "page.html"
OUTPUTS = (RESULTS, SAMPLES, PAGE)
"""What an evaluation writes once all is measured."""

FOLDER = ".parts"
_RECORD = "record.json"
_KEPT = "kept.jsonl"

Measured = dict[str, dict[str, list[float]]]
"""Protocol, then measure: one value for each pair."""


class Detected(StrictModel):
    """What a method detected in the items of a group.

    Attributes:
        scores: Of all classes, (items, N) float32 in base64; None where items have no classes.
        chosen: Classes of each item that were taken, by their numbers, best first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scores: str | None
    chosen: list[list[int]]


class MeasuredGroup(StrictModel):
    """What was measured of some items of a batch.

    Attributes:
        items: Their places in the data set.
        sounding: Whether each pair's source is anywhere; pairs stand item by item.
        measured: The measures of each pair, by entry and source of labels.
        detected: By entry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: list[int]
    sounding: list[bool]
    measured: dict[str, dict[str, Measured]]
    detected: dict[str, Detected]


class Part(StrictModel):
    """What was measured of a batch.

    Attributes:
        batch: Its number.
        failures: Why items were not found or could not be read, by their places.
        groups: What was measured of the others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int
    failures: dict[int, str]
    groups: list[MeasuredGroup]

    def line(self) -> str:
        """The part as a line of JSON; numbers keep every digit."""
        return json.dumps(self.model_dump()) + "\n"


class PartFiles:
    """The parts of an evaluation.

    Args:
        folder: Where the evaluation's results go.
    """

    def __init__(self, folder: Path) -> None:
        self.results = folder
        self.folder = folder / FOLDER

    def begin(self, record: Mapping[str, Any], force: bool) -> None:
        """Begin an evaluation, or tidy up what an interrupted one left; for one process alone.

        Batches with items that could not be read are done again. A record under which nothing was
        measured, as after a wrong root, is replaced.

        Args:
            record: What is evaluated.
            force: Whether to begin anew, whatever is there.

        Raises:
            OutputError: The folder holds something else and ``force`` is not set, or it cannot be
                written.
        """
        known = self.check(record, force)
        if known is None:
            with writable(self.results):
                self._remove()
                self.folder.mkdir(parents=True, exist_ok=True)
            write_json(dict(record), self.folder / _RECORD, force=True)
            return
        self._check_same(known, record)
        whole = [part for part in self.all().values() if not part.failures]
        with writable(self.results):
            write_text(self.folder / _KEPT, "".join(part.line() for part in whole))
            for path in self._written():
                path.unlink()

    def check(self, record: Mapping[str, Any], force: bool) -> Mapping[str, Any] | None:
        """Let through only a folder where an evaluation may begin or go on; nothing is written.

        Args:
            record: What is evaluated, or as much of it as is known.
            force: As for ``begin``.

        Returns:
            The record of the evaluation that goes on; None where one begins.

        Raises:
            OutputError: As for ``begin``, or results would replace files of others.
        """
        known = self._record()
        check_places(self.results, OUTPUTS, set(earlier_outputs(self.results)))
        if known is None:
            check_free(self.results, force)
            return None
        same = all(known.get(name) == value for name, value in record.items())
        if force or not (same or not self._is_unused()):  # unused as after a wrong root
            return None
        self._check_same(known, record)
        return known

    def measured(self) -> set[int]:
        """Places of the items that need not be read again, before ``begin``."""
        whole = (part for part in self.all().values() if not part.failures)
        return {place for part in whole for group in part.groups for place in group.items}

    def done(self) -> set[int]:
        """The batches that need not be done again, the same for all processes after ``begin``."""
        return {part.batch for part in _read(self.folder / _KEPT)}

    def all(self) -> dict[int, Part]:
        """All parts by their batches, in order."""
        paths = [self.folder / _KEPT, *self._written()]
        parts = {part.batch: part for path in paths for part in _read(path)}
        return dict(sorted(parts.items()))

    @contextmanager
    def writer(self, rank: int) -> Iterator[PartWriter]:
        """A file for the parts of this process.

        Args:
            rank: Number of the process.

        Yields:
            What writes them.

        Raises:
            OutputError: The file cannot be written.
        """
        path = self.folder / f"process-{rank}.jsonl"
        with writable(self.results):
            file = path.open("w", encoding="utf-8")
        with file:
            yield PartWriter(file, self.results)

    def _is_unused(self) -> bool:
        """Whether nothing was ever measured there."""
        written = any((self.results / name).exists() for name in OUTPUTS)
        return not written and not any(part.groups for part in self.all().values())

    def _record(self) -> dict[str, Any] | None:
        """What the folder holds parts of; None if it holds none."""
        path = self.folder / _RECORD
        if not path.is_file():
            return None
        known = read_small_json(path, LARGEST_CONFIG, OutputError, RECORD_REMEDY)
        if not isinstance(known, dict) or not {"tvsl", "conditions"} <= known.keys():
            raise foreign_record(path)
        return known

    def _check_same(self, known: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        others = sorted(name for name, value in record.items() if known.get(name) != value)
        if others:
            raise OutputError(
                f"This folder holds another evaluation: its {', '.join(others)} differ.",
                "Choose another folder, or add --force to begin anew.",
                self.results,
            )

    def _remove(self) -> None:
        """Remove the parts of an earlier evaluation; its results stay until there are others."""
        for path in (self.folder / _RECORD, self.folder / _KEPT, *self._written()):
            path.unlink(missing_ok=True)

    def _written(self) -> list[Path]:
        """The files that processes wrote."""
        return sorted(self.folder.glob("process-*.jsonl"))


class PartWriter:
    """Writes parts, each at once.

    Args:
        file: Where to.
        results: Folder of the evaluation.
    """

    def __init__(self, file: TextIO, results: Path) -> None:
        self.file = file
        self.results = results

    def write(self, part: Part) -> None:
        """Write a part.

        Raises:
            OutputError: It cannot be written.
        """
        with writable(self.results):
            self.file.write(part.line())
            self.file.flush()


def earlier_outputs(folder: Path) -> tuple[str, ...]:
    """What an earlier evaluation wrote into a folder, by its own results.

    Raises:
        OutputError: The results are none of ours.
    """
    path = folder / RESULTS
    if not os.path.lexists(path):
        return ()
    content = read_small_json(path, LARGEST_LIST, OutputError, RECORD_REMEDY)
    if not isinstance(content, dict) or not {"tvsl", "protocols"} <= content.keys():
        raise foreign_record(path)
    return OUTPUTS


def _read(path: Path) -> Iterator[Part]:
    """The parts of a file that are whole."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield Part.model_validate(json.loads(line))
            except ValueError:
                continue
