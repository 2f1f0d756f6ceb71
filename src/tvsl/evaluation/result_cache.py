"""Scores of an evaluation so far: a line of JSON a batch in a folder, from which it goes on.

Each process appends to a file of its own. A line that was torn when a process was killed is not
counted, and its batch is done again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pydantic import ConfigDict, Field

from tvsl.errors import DataError, OutputError
from tvsl.utils.atomic import check_free, check_places, writable, write_text
from tvsl.utils.files import write_json
from tvsl.utils.run_folder import changed_keys, read_record
from tvsl.utils.strict_model import StrictModel

RESULTS, FIGURES, SAMPLES, SCORES, PAGE = (
    "results.json",
    "results.csv",
    "samples.csv",
    "scores.npz",
    "page.html",
)
SCORED = (RESULTS, FIGURES, SAMPLES, SCORES)
OUTPUTS = (*SCORED, PAGE)
"""Files that an evaluation writes once all batches are scored."""
SCORES_REMEDY = f"Name the folder of an evaluation, or its {SCORES}."

FOLDER = ".parts"
_RECORD = "record.json"
_KEPT = "kept.jsonl"

Measures = dict[str, dict[str, list[float]]]
"""Protocol, then measure: one value for each pair."""


def scores_file(place: Path) -> Path:
    """Find the scores of an evaluation, without torch.

    Args:
        place: Its folder, or a file in it.

    Raises:
        DataError: There are none.
    """
    path = place.with_name(SCORES) if place.is_file() else place / SCORES
    if not path.is_file():
        raise DataError("There are no scores of an evaluation.", SCORES_REMEDY, path)
    return path


class Detected(StrictModel):
    """Classes that a model detected in the items of a batch.

    Attributes:
        scores: Detection scores of all classes, float32 in base64, for some items each; none where
            the model gives none.
        taken: Classes taken of each item, by their numbers, best first.
    """

    model_config = ConfigDict(extra="forbid")

    scores: list[str] = Field([])
    taken: list[list[int]] = Field([])


class BatchResult(StrictModel):
    """Scores of a batch.

    Attributes:
        batch: Its number.
        failures: Errors of items that could not be read, by their places in the data set.
        items: Places of the other items.
        sounding: Whether each pair's source is anywhere; pairs stand item by item.
        scores: The measures of each pair by model and label source.
        detected: By model.
        files: Hashes of the files of the items that have some, by their places.
    """

    model_config = ConfigDict(extra="forbid")

    batch: int
    failures: dict[int, str]
    items: list[int] = Field([])
    sounding: list[bool] = Field([])
    scores: dict[str, dict[str, Measures]] = Field({})
    detected: dict[str, Detected] = Field({})
    files: dict[int, str] = Field({})

    def line(self) -> str:
        """The result as a line of JSON; numbers keep every digit."""
        return json.dumps(self.model_dump()) + "\n"


class ResultCache:
    """Results of the batches of an evaluation, in a hidden folder.

    Args:
        folder: Folder of the evaluation's results.
    """

    def __init__(self, folder: Path) -> None:
        self.output = folder
        self.folder = folder / FOLDER

    def begin(self, record: Mapping[str, Any], force: bool) -> None:
        """Begin an evaluation, or tidy up what an interrupted one left; for one process alone.

        Batches with items that could not be read are done again. A record under which nothing was
        measured, as after a wrong root, is replaced.

        Args:
            record: Record of the evaluation.
            force: Whether to begin anew, whatever is there.

        Raises:
            OutputError: The folder holds something else and ``force`` is not set, or it cannot be
                written.
        """
        earlier = self.check(record, force)
        if earlier is None:
            with writable(self.output):
                self._remove()
                self.folder.mkdir(parents=True, exist_ok=True)
            write_json(dict(record), self.folder / _RECORD, force=True)
            return
        whole = [result for result in self.all().values() if not result.failures]
        with writable(self.output):
            write_text(self.folder / _KEPT, "".join(result.line() for result in whole))
            for path in self._written():
                path.unlink()

    def check(self, record: Mapping[str, Any], force: bool) -> Mapping[str, Any] | None:
        """Let through only a folder where an evaluation may begin or go on; nothing is written.

        Args:
            record: Record of the evaluation, or the known part of it.
            force: As for ``begin``.

        Returns:
            The record of the evaluation that goes on; None where one begins.

        Raises:
            OutputError: As for ``begin``, or results would replace files of others.
        """
        earlier = read_record(self.folder / _RECORD, {"tvsl", "config"})
        check_places(self.output, OUTPUTS, set(earlier_outputs(self.output)))
        if earlier is None:
            check_free(self.output, force)
            return None
        others = changed_keys({name: earlier.get(name) for name in record}, record)
        if force or (others and self._is_unused()):  # unused as after a wrong root
            return None
        if others:
            raise self._another(others)
        return earlier

    def require_files(self, now: Callable[[Collection[int]], Mapping[int, str]]) -> None:
        """Check that the items were scored with the files that they have now, after ``begin``.

        Args:
            now: Gives hashes of the files of items by their places; without those of which a file
                is gone, which need not be read again.

        Raises:
            OutputError: Files of an item are others.
        """
        earlier = {place: one for some in self.all().values() for place, one in some.files.items()}
        found = now(earlier)
        others = sum(found.get(place, one) != one for place, one in earlier.items())
        if others:
            raise self._another([f"files of {others:,} {'item' if others == 1 else 'items'}"])

    def _another(self, differing: Sequence[str]) -> OutputError:
        return OutputError(
            f"This folder holds another evaluation: its {', '.join(differing)} differ.",
            "Choose another folder, or add --force to begin anew.",
            self.output,
        )

    def measured(self) -> set[int]:
        """Places of the items that need not be read again, before ``begin``."""
        whole = (result for result in self.all().values() if not result.failures)
        return {place for result in whole for place in result.items}

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
        """Tell whether no batch was ever scored there."""
        written = any((self.output / name).exists() for name in OUTPUTS)
        return not written and not any(result.items for result in self.all().values())

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
        file: The file.
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


def earlier_outputs(folder: Path) -> tuple[str, ...]:
    """Files that an earlier evaluation wrote into a folder, by its own results.

    Raises:
        OutputError: The results are none of ours.
    """
    return () if read_record(folder / RESULTS, {"tvsl", "protocols"}) is None else OUTPUTS


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
