"""Check of a data set: missing and unreadable files, counted before a long run starts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from tvsl.data.base import Item, LeftOut, Source, UsedList
from tvsl.data.files import FileDataSet
from tvsl.data.layouts import absent
from tvsl.data.targets import Nowhere, files_of
from tvsl.errors import DataError, MediaError, MissingFileError
from tvsl.utils.processes import Progress, no_progress

_SAMPLE_RATE: Final = 16_000


@dataclass(frozen=True)
class Fault:
    """An item that cannot be used.

    Attributes:
        id: The item.
        kind: Missing, or not readable.
        path: The file.
        problem: Description of the fault.
    """

    id: str
    kind: Literal["missing", "unreadable"]
    path: Path | None
    problem: str


@dataclass(frozen=True)
class Tally:
    """Numbers of items.

    Attributes:
        listed: Items in the lists.
        found: Items whose files all exist.
        missing: Items with a missing file.
        unreadable: Items whose files exist and cannot be used.
        without_boxes: Items with a sounding source without location, as with boxes without area.
            Evaluation leaves such sources out.
        left_out: Items that the user leaves out; their files are not checked.
    """

    listed: int
    found: int
    missing: int
    unreadable: int
    without_boxes: int
    left_out: int = 0


@dataclass(frozen=True)
class Check:
    """Result of the check of a data set.

    Attributes:
        data: Name of the data set.
        split: Its split.
        layout: Layout of the files under its root.
        read: Whether files were read, not only looked for.
        total: Numbers of all items.
        classes: Numbers of the items of each class.
        faults: Items that cannot be used, in the order of the lists.
        left_out: Items that the user leaves out.
        dropped: Numbers of listed entries that are not used as items, by kind.
        lists: The public lists that were read.
        notes: The last three in words.
    """

    data: str
    split: str
    layout: str
    read: bool
    total: Tally
    classes: dict[str, Tally]
    faults: tuple[Fault, ...]
    left_out: LeftOut | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    lists: tuple[UsedList, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        faults = [
            {**asdict(fault), "path": None if fault.path is None else str(fault.path)}
            for fault in self.faults
        ]
        left_out = None if self.left_out is None else self.left_out.to_dict()
        without = replace(self, faults=(), left_out=None)
        return {**asdict(without), "faults": faults, "left_out": left_out}

    def ids_to_leave_out(self) -> str:
        """Content of a file for the option ``leave_out``: an id and the reason on each line."""
        lines = (f"{fault.id}\t# {fault.kind}: {fault.path}\n" for fault in self.faults)
        return "".join(lines)


@dataclass(frozen=True)
class _CheckedItem:
    """Result of the check of an item."""

    item: Item
    fault: Fault | None
    boxless: bool


def check_data(
    data: FileDataSet,
    read: bool = True,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Check:
    """Check that all files of a data set exist and can be read.

    Args:
        data: The data set.
        read: Whether files are decoded, not only looked for.
        workers: Number of reading threads; one per core when None.
        progress: Called with items so far and in all.

    Raises:
        DataError: A list cannot be used, or no item has all its files.
    """
    items, layout, left_out = data.items, data.layout, data.left_out
    missing = absent(path for item in items for path in item.files)
    if items and all(any(path in missing for path in item.files) for item in items):
        raise DataError(
            f"None of the {len(items)} listed items of '{data.name}' is here.",
            f"Check the root; a file that is missing is {min(missing, default='none')}.",
            data.root,
        )
    check = partial(_check_item, data, missing, read)
    checked = list(_check_each(check, items, workers if read else 1, progress))
    return Check(
        data=data.name,
        split=data.split,
        layout=layout,
        read=read,
        total=_tally(checked, 0 if left_out is None else len(left_out.items)),
        classes=_classes(checked, () if left_out is None else left_out.items),
        faults=tuple(one.fault for one in checked if one.fault is not None),
        left_out=left_out,
        dropped=data.dropped,
        lists=data.used_lists,
        notes=tuple(data.notes),
    )


def _check_each(
    check: Callable[[Item], _CheckedItem],
    items: Sequence[Item],
    workers: int | None,
    progress: Progress,
) -> Iterable[_CheckedItem]:
    pool = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        for done, checked in enumerate(pool.map(check, items), start=1):
            progress(done, len(items))
            yield checked
    finally:
        pool.shutdown(cancel_futures=True)


def _check_item(data: FileDataSet, missing: set[Path], read: bool, item: Item) -> _CheckedItem:
    gone = next((path for path in item.files if path in missing), None)
    if gone is not None:
        fault = Fault(item.id, "missing", gone, "There is no such file.")
        return _CheckedItem(item, fault, boxless=False)
    if not read:
        return _CheckedItem(item, None, _boxless(data, item))
    try:
        targets = data.read(item, _SAMPLE_RATE).targets
    except (MediaError, DataError) as error:
        kind: Literal["missing", "unreadable"] = (
            "missing" if isinstance(error, MissingFileError) else "unreadable"
        )
        return _CheckedItem(item, Fault(item.id, kind, error.path, error.problem), boxless=False)
    drawn = zip(item.sources, targets, strict=True)
    return _CheckedItem(
        item, None, any(_needs_target(data, one) and not map_.any() for one, map_ in drawn)
    )


def _boxless(data: FileDataSet, item: Item) -> bool:
    """Tell whether a source has an empty target, as far as is known without reading files."""
    known = (source for source in item.sources if not files_of(source.target))
    side = data.side
    return any(
        _needs_target(data, source) and not source.target.draw(side, side * item.panels).any()
        for source in known
    )


def _needs_target(data: FileDataSet, source: Source) -> bool:
    """Tell whether a source must have a location; training clips have no boxes."""
    return data.split != "train" and not isinstance(source.target, Nowhere)


def _classes(checked: Iterable[_CheckedItem], left_out: Iterable[Item]) -> dict[str, Tally]:
    found: dict[str, list[_CheckedItem]] = {}
    for one in checked:
        for label in _labels(one.item):
            found.setdefault(label, []).append(one)
    gone = Counter(label for item in left_out for label in _labels(item))
    return {name: _tally(found.get(name, ()), gone[name]) for name in sorted({*found, *gone})}


def _labels(item: Item) -> set[str]:
    return {label for label in item.labels if label is not None}


def _tally(checked: Sequence[_CheckedItem], left_out: int) -> Tally:
    faults = [None if one.fault is None else one.fault.kind for one in checked]
    missing = faults.count("missing")
    return Tally(
        listed=len(checked) + left_out,
        found=len(checked) - missing,
        missing=missing,
        unreadable=faults.count("unreadable"),
        without_boxes=sum(one.boxless for one in checked),
        left_out=left_out,
    )
