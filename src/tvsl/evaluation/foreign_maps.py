"""Heat-maps that another program made, scored by the same protocols as everything else."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.data.base import MISSING_OR_SKIP, DataSet, Item, require_files, require_items
from tvsl.errors import DataError, UsageError, first_few, shown
from tvsl.evaluation.batch import IndexedDataset, Truth, compact
from tvsl.evaluation.predict import NO_MAP, EvaluationConfig, Predictions
from tvsl.evaluation.result_cache import BatchResult
from tvsl.evaluation.results import Evaluation, summarize
from tvsl.evaluation.score import Scorer
from tvsl.metrics import LabelSource
from tvsl.tokens import Queries, Vocabulary
from tvsl.utils.processes import Progress, no_progress
from tvsl.vocabularies import same_name

MapLabels = Literal["given", "detected", "none"]
"""Label source of foreign maps: made for the true classes, for those that were detected, or for
none."""

SUFFIXES = (".npy", ".npz")
_RATE = 16_000
_GRID = (7, 7)  # of the trivial baselines: no encoder has one
_ONE = (
    "One map, (h, w), is for all sources of an item; (P, h, w) holds one for each of its P sources."
)
_NOBODY = Vocabulary(("nothing",), torch.ones(1, 1))

_ONE_AT_A_TIME = Lock()
"""NumPy parses the head of an array by `ast`, in which two threads at once may end in a SystemError
(CPython 3.11, gh-106905)."""


@dataclass(frozen=True)
class _Entry:
    """Maps of an item: an array, or arrays by the class."""

    path: Path
    name: str | None = None

    def arrays(self) -> dict[str | None, NDArray[Any]]:
        """Arrays of the file; a single array goes by no name.

        Raises:
            DataError: It cannot be read.
        """
        try:
            with _ONE_AT_A_TIME:
                loaded = np.load(self.path, allow_pickle=False)
                if isinstance(loaded, np.ndarray):
                    return {None: loaded}
                with loaded:
                    if self.name is not None:
                        return {None: loaded[self.name]}
                    return {name: loaded[name] for name in loaded.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(
                f"These maps cannot be read ({error}).",
                "Write them by numpy.save or savez.",
                self.path,
            ) from error

    def error(self, problem: str, remedy: str) -> DataError:
        """An error that names the file, and the array in a file of all items."""
        where = "" if self.name is None else f"{shown(self.name)}: "
        return DataError(f"{where}{problem}", remedy, self.path)


class ForeignMaps:
    """Maps of the items of a data set, in files by their ids.

    ``ID.npy`` holds one map for all sources of the item, (h, w), or one for each, (P, h, w), in the
    order of the data set; ``ID.npz`` may hold one by each class, (h, w). A single ``.npz`` file
    holds an array for each id.

    Args:
        place: The folder, or the file.
        items: The items.
        labels: Label source of the maps; when None ``none`` where the first item has one map for
            all, else ``given``. With ``detected`` a class without a map is one that was not
            detected.

    Raises:
        DataError: There is no such place, an item has no maps, or maps belong to no item.
    """

    def __init__(self, place: Path, items: Sequence[Item], labels: MapLabels | None = None) -> None:
        self.place = place
        self._entries = _entries(place)
        ids = {item.id for item in items}
        missing = [item.id for item in items if item.id not in self._entries]
        extra = [name for name in self._entries if name not in ids]
        for names, problem, remedy in (
            (missing, "There are no maps of", "Make maps of every item of the data set."),
            (
                extra,
                "The data set has no item for the maps of",
                "Check ids and options of the data.",
            ),
        ):
            if names:
                some = ", ".join(first_few([shown(name) for name in names], 5))
                raise DataError(f"{problem} {len(names):,} items: {some}.", remedy, place)
        self.labels: MapLabels = labels or self._labels_of(items[0])

    def _labels_of(self, item: Item) -> MapLabels:
        arrays = self._entries[item.id].arrays()
        alone = arrays.keys() == {None} and arrays[None].ndim == 2
        return "none" if alone else "given"

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of ids and files."""
        digest = hashlib.sha256()
        for name in sorted(self._entries):
            entry = self._entries[name]
            digest.update(f"{name}\0".encode("utf-8", "surrogatepass"))
            if entry.name is None:
                digest.update(hashlib.sha256(entry.path.read_bytes()).digest())
        if self.place.is_file():
            digest.update(hashlib.sha256(self.place.read_bytes()).digest())
        return digest.hexdigest()

    def read(self, item: Item) -> tuple[Tensor, Tensor]:
        """Maps of an item's sources.

        Returns:
            M maps, (M, h, w) float32, and the row of each source's map, (P,), or ``NO_MAP``.

        Raises:
            DataError: The file cannot be read, or its maps do not fit the item.
        """
        entry = self._entries[item.id]
        arrays = entry.arrays()
        count = len(item.sources)
        if arrays.keys() == {None}:
            maps = _checked(entry, arrays[None], (2, 3), _ONE)
            if (maps.ndim == 2) != (self.labels == "none"):
                of = "one map for all sources" if maps.ndim == 2 else "a map for each source"
                raise entry.error(
                    f"There is {of}, but labels are '{self.labels}'.", f"{_ONE} All items alike."
                )
            if maps.ndim == 2:
                return maps[None], torch.zeros(count, dtype=torch.int64)
            if len(maps) != count:
                raise entry.error(f"There are {len(maps)} maps of {count} sources.", _ONE)
            return maps, torch.arange(count)
        return self._by_class(entry, item, cast("dict[str, NDArray[Any]]", arrays))

    def _by_class(
        self, entry: _Entry, item: Item, arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[Tensor, Tensor]:
        forms = {same_name(name): name for name in arrays}
        wanted = ["" if label is None else same_name(label) for label in item.labels]
        if self.labels != "detected":
            missing = [
                shown(label or "")
                for label, form in zip(item.labels, wanted, strict=True)
                if form not in forms
            ]
            extra = [shown(name) for form, name in forms.items() if form not in wanted]
            if missing or extra or self.labels == "none":
                wrong = (
                    f"no map of {', '.join(missing)}" if missing else f"a map of {', '.join(extra)}"
                )
                raise entry.error(
                    f"There is {wrong}; the item's classes are "
                    f"{', '.join(shown(label or '') for label in item.labels)}.",
                    "Store one array for each of its classes, or score with labels 'detected'.",
                )
        maps = [
            _checked(entry, arrays[name], (2,), "Each class has one map, (h, w).")
            for name in forms.values()
        ]
        if len({one.shape for one in maps}) > 1:
            raise entry.error("Its maps differ in shape.", "Give all maps of an item one size.")
        rows = {form: row for row, form in enumerate(forms)}
        return torch.stack(maps), torch.tensor([rows.get(form, NO_MAP) for form in wanted])


def _entries(place: Path) -> dict[str, _Entry]:
    """Files or arrays by the ids of their items."""
    remedy = "Name a folder of ID.npy or ID.npz files, or one .npz file with an array for each id."
    if place.is_file():
        try:
            with np.load(place, allow_pickle=False) as arrays:
                return {name: _Entry(place, name) for name in arrays.files}
        except (
            OSError,
            ValueError,
            EOFError,
            AttributeError,
            TypeError,
            zipfile.BadZipFile,
        ) as error:
            raise DataError(f"This is no file of maps ({error}).", remedy, place) from error
    if not place.is_dir():
        raise DataError("There is no such folder or file.", remedy, place)
    found: dict[str, _Entry] = {}
    for path in sorted(place.rglob("*")):
        if path.suffix not in SUFFIXES:
            continue
        name = path.relative_to(place).with_suffix("").as_posix()
        if name in found:
            raise DataError(
                f"The item has maps in {found[name].path.name}, too.", "Keep one of them.", path
            )
        found[name] = _Entry(path)
    return found


def _checked(entry: _Entry, array: NDArray[Any], dims: tuple[int, ...], remedy: str) -> Tensor:
    """Maps as float32, of a right shape and finite."""
    if array.ndim not in dims or 0 in array.shape or array.dtype.kind not in "fiub":
        raise entry.error(f"Maps are {array.shape} {array.dtype}.", remedy)
    with np.errstate(over="ignore"):
        maps = np.ascontiguousarray(array, dtype=np.float32)
    if not bool(np.isfinite(maps).all()):
        raise entry.error(
            "A map holds a value that is not finite.", "Look for NaN where it is made."
        )
    return torch.from_numpy(maps)


class MapScorer(Scorer):
    """Scores of foreign maps.

    Args:
        maps: The maps.
        data: The items.
        config: The settings.
        name: What the table calls them.
    """

    def __init__(
        self, maps: ForeignMaps, data: IndexedDataset, config: EvaluationConfig, name: str
    ) -> None:
        super().__init__(data, config)
        self.maps = maps
        self.name = name
        label_source: LabelSource = maps.labels
        self.sources = {name: (label_source,)}

    @property
    def methods(self) -> Mapping[str, tuple[str, str]]:
        """Fingerprint of the files; see the base class."""
        return {self.name: ("maps", self.maps.sha256)}

    def describe(self) -> dict[str, Any]:
        """The files; see the base class."""
        return {"maps": {"name": self.name, "sha256": self.maps.sha256}}

    @property
    def note(self) -> tuple[str, str]:
        """The files; see the base class."""
        return "Maps", f"{self.name}, made elsewhere; SHA-256 of all {self.maps.sha256}."

    def detection_rule(self, name: str) -> str:  # noqa: ARG002
        """Classes that have maps; see the base class."""
        return "the classes of an item that it has maps of"

    def score(self, place: int) -> BatchResult:
        """Score the maps of one item.

        Args:
            place: Its place in the data set.

        Raises:
            TvslError: The item or its maps cannot be used.
        """
        item = self.data.items[place]
        maps, rows = self.maps.read(item)
        targets = compact(self.data.dataset.read(item, _RATE).targets)
        labels = [self.data.labels[pair] for pair in self.data.pairs(place)]
        truth = Truth(Queries.from_lists([labels]), targets)
        result = BatchResult(batch=place, failures={}, items=[place])
        result.sounding += truth.foreground.tolist()
        # Each source has a map of its own, even where all have the same.
        own = torch.where(rows == NO_MAP, 0, rows)
        every = torch.arange(len(rows))
        source: LabelSource = self.maps.labels
        shown_for = {source: torch.where(rows == NO_MAP, rows, every)}
        mapped = (rows != NO_MAP).tolist()
        taken = tuple(
            dict.fromkeys(label for label, has in zip(labels, mapped, strict=True) if has)
        )
        found = Predictions(maps[own], every, shown_for, detected=(taken,))
        self.add(result, self.name, found, truth)
        grid = _GRID[0], _GRID[1] * item.panels
        self.add_baselines(result, truth, [place], grid, item.panels)
        return result


def score_maps_of(
    place: Path,
    data: DataSet,
    config: EvaluationConfig,
    labels: MapLabels | None = None,
    name: str | None = None,
    workers: int = 4,
    progress: Progress = no_progress,
) -> Evaluation:
    """Score the maps that another program made of the items of a data set.

    Args:
        place: Their folder, or one file; see ``ForeignMaps``.
        data: The data set.
        config: The settings.
        labels: Label source of the maps; as they look when None.
        name: What the table calls them; the name of the folder or file when None.
        workers: Threads that read items and maps.
        progress: Called with the items that are done and that there are.

    Raises:
        UsageError: The data set has no item, or classes are asked for that it has not.
        DataError: Maps are missing, belong to no item, have a wrong shape or are not finite.
        MediaError: An item cannot be read.
    """
    require_items(data)
    names = config.vocabulary or data.names
    vocabulary = Vocabulary(tuple(names), torch.ones(len(names), 1)) if names else _NOBODY
    maps = ForeignMaps(place, data.items, labels)
    indexed = IndexedDataset(data, vocabulary)
    if maps.labels == "detected" and not indexed.labelled:
        raise UsageError(
            "The items of this data set have no classes that could be detected.",
            "Give one map for all sources of an item.",
        )
    require_files(data.items, MISSING_OR_SKIP)
    scorer = MapScorer(maps, indexed, config, name or place.resolve().stem)
    return summarize(scorer, _results(scorer, workers, progress))


def _results(scorer: MapScorer, workers: int, progress: Progress) -> Iterator[BatchResult]:
    count = len(scorer.data.items)
    step = 4 * workers
    progress(0, count)
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, count, step):  # all at once would hold all targets in memory
            stop = min(start + step, count)
            yield from pool.map(scorer.score, range(start, stop))
            progress(stop, count)
