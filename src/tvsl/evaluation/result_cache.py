"""What an evaluation has measured so far: a line of JSON a batch, from which it goes on.

Each process appends to a file of its own. A line that was torn when a process was killed is not
counted, and its batch is done again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict

from tvsl.errors import OutputError
from tvsl.localization import write_json
from tvsl.utils.atomic import RECORD_REMEDY, check_free, foreign_record, writable, write_text
from tvsl.utils.files import LARGEST_CONFIG, LARGEST_LIST, read_small_json

RESULTS, SAMPLES, PAGE = "results.json", "samples.csv", "page.html"
OUTPUTS = (RESULTS, SAMPLES, PAGE)
"""What an evaluation writes once all is measured."""

FOLDER = ".parts"
_RECORD = "record.json"
_KEPT = "kept.jsonl"

Measures = dict[str, dict[str, list[float]]]
"""Protocol, then measure: one value for each pair."""


class Detected(BaseModel):
    """Classes that a model detected in the items of a batch.

    Attributes:
        scores: Detection scores of all classes, float32 in base64, for some items each.
        taken: Classes taken of each item, by their numbers, best first.
    """

    model_config = ConfigDict(extra="forbid")

    scores: list[str] = []
    taken: list[list[int]] = []


class BatchResult(BaseModel):
    """Scores of a batch.

    Attributes:
        batch: Its number.
        failures: Errors of items that could not be read, by their places in the data set.
        items: Places of the other items.
        sounding: Whether each pair's source is anywhere; pairs stand item by item.
        scores: The measures of each pair by model and label source.
        detected: By model.
    """

    model_config = ConfigDict(extra="forbid")

    batch: int
    failures: dict[int, str]
    items: list[int] = []
    sounding: list[bool] = []
    scores: dict[str, dict[str, Measures]] = {}
    detected: dict[str, Detected] = {}

    def line(self) -> str:
        """The result as a line of JSON; numbers keep every digit."""
        return json.dumps(self.model_dump()) + "\n"


class ResultCache:
    """Results of the batches of an evaluation, in a hidden folder.

    Args:
        folder: Where the evaluation's results go.
    """

    def __init__(self, folder: Path) -> None:
        self.output = folder
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
        known = None if force else self._record()
        if known is not None and known != record and self._is_unused():
            known, force = None, True  # such as after a wrong root
        if known is None:
            check_free(self.output, force)
            self._check_own()
            with writable(self.output):
                self._remove()
                self.folder.mkdir(parents=True, exist_ok=True)
            write_json(dict(record), self.folder / _RECORD, force=True)
            return
        self._check(known, record)
        whole = [result for result in self.all().values() if not result.failures]
        with writable(self.output):
            write_text(self.folder / _KEPT, "".join(result.line() for result in whole))
            for path in self._written():
                path.unlink()

    def done(self) -> set[int]:
        """The batches that need not be done again, the same for all processes after ``begin``."""
        return {result.batch for result in _read(self.folder / _KEPT)}

    def all(self) -> dict[int, BatchResult]:
        """All results by their batches, in order."""
        paths = [self.folder / _KEPT, *self._written()]
        results = {result.batch: result for path in paths for result in _read(path)}
        return dict(sorted(results.items()))

    @contextmanager
    def writer(self, rank: int) -> Iterator[ResultWriter]:
        """A file for the results of this process.

        Args:
            rank: Number of the process.

        Yields:
            What writes them.

        Raises:
            OutputError: The file cannot be written.
        """
        path = self.folder / f"process-{rank}.jsonl"
        with writable(self.output):
            file = path.open("w", encoding="utf-8")
        with file:
            yield ResultWriter(file, self.output)

    def _is_unused(self) -> bool:
        """Whether nothing was ever measured there."""
        written = any((self.output / name).exists() for name in OUTPUTS)
        return not written and not any(result.items for result in self.all().values())

    def _record(self) -> dict[str, Any] | None:
        """What the folder holds results of; None if it holds none."""
        path = self.folder / _RECORD
        if not path.is_file():
            return None
        remedy = "Choose another folder, or add --force to begin anew."
        known = read_small_json(path, LARGEST_CONFIG, OutputError, remedy)
        return known if isinstance(known, dict) else {}

    def _check(self, known: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        names = sorted(known.keys() | record.keys())
        others = [name for name in names if known.get(name) != record.get(name)]
        if others:
            raise OutputError(
                f"This folder holds another evaluation: its {', '.join(others)} differ.",
                "Choose another folder, or add --force to begin anew.",
                self.output,
            )

    def _check_own(self) -> None:
        """Let through only results that an evaluation wrote, if there are any."""
        found = [self.output / name for name in OUTPUTS if (self.output / name).exists()]
        if not found or (self.folder / _RECORD).exists():
            return
        path = self.output / RESULTS
        content = read_small_json(path, LARGEST_LIST, OutputError, RECORD_REMEDY)
        if not isinstance(content, dict) or not {"tvsl", "protocols"} <= content.keys():
            raise foreign_record(path)

    def _remove(self) -> None:
        """Remove the results of an earlier evaluation; its results stay until there are others."""
        for path in (self.folder / _RECORD, self.folder / _KEPT, *self._written()):
            path.unlink(missing_ok=True)

    def _written(self) -> list[Path]:
        """The files that processes wrote."""
        return sorted(self.folder.glob("process-*.jsonl"))


class ResultWriter:
    """Writes results, each at once.

    Args:
        file: Where to.
        output: Folder of the evaluation.
    """

    def __init__(self, file: TextIO, output: Path) -> None:
        self.file = file
        self.output = output

    def write(self, result: BatchResult) -> None:
        """Write a result.

        Raises:
            OutputError: It cannot be written.
        """
        with writable(self.output):
            self.file.write(result.line())
            self.file.flush()


def _read(path: Path) -> Iterator[BatchResult]:
    """The results of a file that are whole."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield BatchResult.model_validate(json.loads(line))
            except ValueError:
                continue
