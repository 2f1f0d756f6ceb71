"""What is there of a data set, before hours are spent on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from tvsl.data.dataset import Item, LeftOut, Source, UsedList
from tvsl.data.files import FileDataSet
from tvsl.data.layouts import absent
from tvsl.data.targets import Nowhere, files_of
from tvsl.errors import DataError, MediaError, MissingFileError

Report = Callable[[int, "int | None"], None]

_SAMPLE_RATE: Final = 16_000
MISSING_REMEDY: Final = (
    "Check the path and the root; `tvsl data check … -o FILE` writes what to give as --option "
    "leave_out=FILE."
)
"""What to do about files that are missing, where no item may be left out on the way."""


@dataclass(frozen=True)
class Fault:
    """An item that cannot be used.

    Attributes:
        id: The item.
        kind: Whether a file is missing or cannot be used.
        path: The file.
        problem: What is wrong with it.
    """

    id: str
    kind: Literal["missing", "unreadable"]
    path: Path | None
    problem: str


@dataclass(frozen=True)
class Tally:
    """How many items there are of each kind.

    Attributes:
        listed: In the lists.
        found: Whose files are all there.
        missing: With a file that is not there.
        unreadable: Whose files are there and cannot be used.
        without_boxes: With a source that sounds and is nowhere: boxes without area, for instance.
            Evaluation leaves such sources out.
        left_out: That the user leaves out, of which nothing was looked for.
    """

    listed: int
    found: int
    missing: int
    unreadable: int
    without_boxes: int
    left_out: int = 0


@dataclass(frozen=True)
class Check:
    """What is there of a data set.

    Attributes:
        data: Its name.
        split: Which part of it.
        layout: What lies under its root.
        read: Whether files were read, or only looked for.
        total: Of all items.
        classes: Of the items of each class that has any.
        faults: Everything that cannot be used, in the order of the lists.
        left_out: What the user leaves out of the listed items, if anything.
        dropped: How much of the lists makes up no item, by what it is.
        lists: The public lists that were read.
        notes: The last three in words, as far as there is anything to tell.
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
        """A text file for the option ``leave_out``: an id a line, and why."""
        lines = (f"{fault.id}\t# {fault.kind}: {fault.path}\n" for fault in self.faults)
        return "".join(lines)


@dataclass(frozen=True)
class _Looked:
    """What was seen of an item."""

    item: Item
    fault: Fault | None
    boxless: bool


def check_data(
    data: FileDataSet, read: bool = True, workers: int | None = None, report: Report | None = None
) -> Check:
    """Look for all files of a data set, and read them.

    Args:
        data: The data set.
        read: Whether files are decoded; else they are only looked for.
        workers: Threads that read; as many as there are cores when None.
        report: Called with items so far and in all.

    Returns:
        What is there.

    Raises:
        DataError: A list cannot be used, or nothing at all is there.
    """
    items, layout, left_out = data.items, data.layout, data.left_out
    missing = absent(path for item in items for path in item_files(item))
    if items and all(any(path in missing for path in item_files(item)) for item in items):
        raise DataError(
            f"None of the {len(items)} listed items of '{data.name}' is here.",
            f"Check the root; a file that is missing is {min(missing, default='none')}.",
            data.root,
        )
    look = partial(_look, data, missing, read)
    looked = list(_each(look, items, workers if read else 1, report))
    return Check(
        data=data.name,
        split=data.split,
        layout=layout,
        read=read,
        total=_tally(looked, 0 if left_out is None else len(left_out.items)),
        classes=_classes(looked, () if left_out is None else left_out.items),
        faults=tuple(one.fault for one in looked if one.fault is not None),
        left_out=left_out,
        dropped=data.dropped,
        lists=data.used_lists,
        notes=tuple(data.notes),
    )


def item_files(item: Item) -> Iterable[Path]:
    """All files of an item: pictures, sounds, and what tells where its sources are."""
    yield from item.frames
    yield from item.sounds
    for source in item.sources:
        yield from files_of(source.target)


def require_files(items: Iterable[Item], remedy: str) -> None:
    """Let through only items whose files are all there.

    Args:
        items: The items.
        remedy: What to do about files that are missing.

    Raises:
        MissingFileError: Files are missing; the message counts them and names the first.
    """
    wanted = [path for item in items for path in item_files(item)]
    missing = absent(wanted)
    if missing:
        first = next(path for path in wanted if path in missing)
        raise MissingFileError(
            f"This file is missing, as are {len(missing)} of {len(set(wanted))} in all."
            if len(missing) > 1
            else "This file is missing.",
            remedy,
            first,
        )


def _each(
    look: Callable[[Item], _Looked],
    items: Sequence[Item],
    workers: int | None,
    report: Report | None,
) -> Iterable[_Looked]:
    pool = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        for done, looked in enumerate(pool.map(look, items), start=1):
            if report is not None:
                report(done, len(items))
            yield looked
    finally:
        pool.shutdown(cancel_futures=True)


def _look(data: FileDataSet, missing: set[Path], read: bool, item: Item) -> _Looked:
    gone = next((path for path in item_files(item) if path in missing), None)
    if gone is not None:
        fault = Fault(item.id, "missing", gone, "There is no such file.")
        return _Looked(item, fault, boxless=False)
    if not read:
        return _Looked(item, None, _boxless(data, item))
    try:
        targets = data.read(item, _SAMPLE_RATE).targets
    except (MediaError, DataError) as error:
        kind: Literal["missing", "unreadable"] = (
            "missing" if isinstance(error, MissingFileError) else "unreadable"
        )
        return _Looked(item, Fault(item.id, kind, error.path, error.problem), boxless=False)
    drawn = zip(item.sources, targets, strict=True)
    return _Looked(
        item, None, any(_must_sound(data, one) and not map_.any() for one, map_ in drawn)
    )


def _boxless(data: FileDataSet, item: Item) -> bool:
    """Whether a source has nothing to draw, as far as it is known without reading a file."""
    known = (source for source in item.sources if not files_of(source.target))
    side = data.side
    return any(
        _must_sound(data, source) and not source.target.draw(side, side * item.panels).any()
        for source in known
    )


def _must_sound(data: FileDataSet, source: Source) -> bool:
    """Whether a source ought to be somewhere; nobody drew boxes for clips to train on."""
    return data.split != "train" and not isinstance(source.target, Nowhere)


def _classes(looked: Iterable[_Looked], left_out: Iterable[Item]) -> dict[str, Tally]:
    found: dict[str, list[_Looked]] = {}
    for one in looked:
        for label in _labels(one.item):
            found.setdefault(label, []).append(one)
    gone = Counter(label for item in left_out for label in _labels(item))
    return {name: _tally(found.get(name, ()), gone[name]) for name in sorted({*found, *gone})}


def _labels(item: Item) -> set[str]:
    return {label for label in item.labels if label is not None}


def _tally(looked: Sequence[_Looked], left_out: int) -> Tally:
    kinds = [None if one.fault is None else one.fault.kind for one in looked]
    missing = kinds.count("missing")
    return Tally(
        listed=len(looked) + left_out,
        found=len(looked) - missing,
        missing=missing,
        unreadable=kinds.count("unreadable"),
        without_boxes=sum(one.boxless for one in looked),
        left_out=left_out,
    )
