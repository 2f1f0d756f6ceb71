"""Index of a folder of photographs and sounds by class: roles, splits and boxes, checked.

``photos/CLASS/*`` and ``sounds/CLASS/*`` are all that is needed. ``masks/CLASS/NAME.png`` is the
outline of the object in ``photos/CLASS/NAME.*``, and ``boxes.csv`` may hold boxes.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import ValidationError

from tvsl.data.base import Split, normal_form
from tvsl.data.file_index import (
    COLUMNS,
    INDEX_FILE,
    IndexLine,
    Kind,
    OutlineTarget,
    Role,
    load_sound,
)
from tvsl.data.layouts import FRAME_SUFFIXES, SOUND_SUFFIXES, require_root
from tvsl.data.lists import line_error, read_rows
from tvsl.data.targets import RelativeBox, Shape
from tvsl.errors import DataError, MediaError, OutputError, first_problem, shown
from tvsl.media import load_image
from tvsl.scenes import box_of
from tvsl.utils.atomic import check_free_file, writable, write_whole
from tvsl.utils.files import read_small, write_rows
from tvsl.utils.processes import Progress, no_progress

BOXES_FILE: Final = "boxes.csv"
PHOTOS, SOUNDS, MASKS = "photos", "sounds", "masks"
SOURCE_MARK: Final = "__"
"""Mark behind the name of a source in a file's name."""
SHARES: Final[Mapping[Split, float]] = {"train": 0.6, "validation": 0.15, "test": 0.25}
_BOX_COLUMNS: Final = ("file", "x0", "y0", "x1", "y1")
_PICTURES: Final = (*FRAME_SUFFIXES, ".webp", ".bmp", ".tif", ".tiff")
_RATE: Final = 16_000
_LARGEST_FILE: Final = 1 << 31


@dataclass(frozen=True)
class FoundFile:
    """A photograph or sound in a folder.

    Attributes:
        name: Its name relative to the folder.
        kind: Photograph or sound.
        label: Its class, as its folder is called.
        source: Its source; files of one source come into one split.
        sha256: SHA-256 of its bytes.
        box: Its object.
        mask: Name of the file with the object's outline.
    """

    name: str
    kind: Kind
    label: str
    source: str
    sha256: str
    box: RelativeBox | None = None
    mask: str | None = None


@dataclass(frozen=True)
class NewIndex:
    """An index that was made.

    Attributes:
        lines: Its lines.
        faults: What is wrong with files that were left out, by their names.
        ignored: Names of files of other kinds.
        empty: Names of class folders without a photograph or sound.
    """

    lines: tuple[IndexLine, ...]
    faults: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    def counts(self) -> list[tuple[str, Role, Mapping[tuple[Kind, Split], int], int]]:
        """Class, role, files of each kind and split, and photographs with a box, by class."""
        spellings: dict[str, IndexLine] = {}
        for line in self.lines:
            spellings.setdefault(normal_form(line.label), line)
        labels = sorted((form, line.label, line.role) for form, line in spellings.items())
        forms = [(normal_form(line.label), line) for line in self.lines]
        found = Counter((form, line.kind, line.split) for form, line in forms)
        boxed = Counter(form for form, line in forms if line.box is not None)
        return [
            (
                label,
                role,
                {
                    (kind, split): count
                    for (one, kind, split), count in found.items()
                    if one == form
                },
                boxed[form],
            )
            for form, label, role in labels
        ]


def make_index(
    root: Path,
    seed: int = 0,
    licence: str = "",
    boxes: Path | None = None,
    progress: Progress = no_progress,
) -> NewIndex:
    """Make an index of a folder; every file is decoded.

    A class with photographs and sounds is ``sounding``, one with photographs alone ``silent``, one
    with sounds alone ``off-screen``. Of each class 60 % of the sources are for training, 15 % for
    validation and 25 % for the test, each at least one where there are three.

    Args:
        root: The folder.
        seed: Seed of the splits.
        licence: Licence of all files.
        boxes: Table of boxes (``file, x0, y0, x1, y1``: shares, or pixels if a number is larger
            than 1); ``boxes.csv`` of the folder when None, if there is one.
        progress: Called with files so far and in all.

    Returns:
        The index; files that cannot be used are faults.

    Raises:
        DataError: There is no such folder or no file in it, a table of boxes cannot be used, or one
            file lies in two classes.
    """
    require_root(root)
    names, ignored = _find(root)
    if not names:
        raise DataError(
            "The folder holds no photographs and no sounds.",
            f"Put them into {PHOTOS}/CLASS/ and {SOUNDS}/CLASS/.",
            root,
        )
    table = _boxes(root, boxes, names)
    faults: dict[str, str] = {}
    found: list[FoundFile] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        checked = pool.map(partial(_checked, root, table), names)
        for done, (name, result) in enumerate(zip(names, checked, strict=True), start=1):
            if isinstance(result, FoundFile):
                found.append(result)
            else:
                faults[name] = result
            progress(done, len(names))
    files = _with_sources(root, found)
    return NewIndex(tuple(_lines(files, seed, licence)), faults, ignored, _empty(root, names))


def write_index(index: NewIndex, path: Path, force: bool = False) -> Path:
    """Write an index.

    Args:
        index: The index.
        path: The file.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: It exists and ``force`` is not set, it cannot be written, or nothing is listed.
    """
    check_free_file(path, force)
    if not index.lines:
        raise OutputError("No file can be used.", "Mend the files that are named.", path)
    rows = [list(COLUMNS), *(_cells(line) for line in index.lines)]

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8", newline="") as stream:
            write_rows(stream, rows)

    with writable(path, "file"):
        write_whole(path, write)
    return path


def _find(root: Path) -> tuple[list[str], tuple[str, ...]]:
    """Names of photographs and sounds, and of files of other kinds."""
    names: list[str] = []
    ignored: list[str] = []
    for folder, suffixes in ((PHOTOS, _PICTURES), (SOUNDS, SOUND_SUFFIXES)):
        for path in sorted((root / folder).glob("*/*")):
            if path.is_file() and not path.name.startswith("."):
                name = path.relative_to(root).as_posix()
                (names if path.suffix.lower() in suffixes else ignored).append(name)
    return names, tuple(ignored)


def _empty(root: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Names of class folders that hold none of the files."""
    filled = {name.rpartition("/")[0] for name in names}
    folders = (path for part in (PHOTOS, SOUNDS) for path in sorted((root / part).glob("*/")))
    found = (path.relative_to(root).as_posix() for path in folders)
    return tuple(name for name in found if name not in filled and "/." not in name)


def _boxes(
    root: Path, path: Path | None, names: Sequence[str]
) -> dict[str, tuple[float, float, float, float]]:
    """Boxes by the names of photographs, in shares or in pixels."""
    if path is None:
        path = root / BOXES_FILE
        if not path.is_file():
            return {}
    head, *rows = read_rows(path, range(1, len(_BOX_COLUMNS) + 1))
    if head.cells != _BOX_COLUMNS:
        raise line_error(path, head.line, f"must be {','.join(_BOX_COLUMNS)}")
    known, found = set(names), {}
    for row in rows:
        if len(row.cells) != len(_BOX_COLUMNS):
            raise line_error(path, row.line, f"has {len(row.cells)} of 5 columns")
        name, *corners = row.cells
        if name not in known or not name.startswith(f"{PHOTOS}/"):
            raise line_error(path, row.line, f"names no photograph of the folder: {shown(name)}")
        if name in found:
            raise line_error(path, row.line, f"repeats {shown(name)}; a photograph has one box")
        try:
            x0, y0, x1, y1 = (float(corner) for corner in corners)
        except ValueError as error:
            raise line_error(path, row.line, f"has a corner that is no number: {error}") from error
        if not (math.isfinite(x0 + y0 + x1 + y1) and 0 <= x0 < x1 and 0 <= y0 < y1):
            raise line_error(path, row.line, "has no box: left, top, right, bottom are needed")
        found[name] = (x0, y0, x1, y1)
    return found


def _checked(
    root: Path, table: Mapping[str, tuple[float, float, float, float]], name: str
) -> FoundFile | str:
    """A file as it is found, or its fault."""
    path = root / name
    folder, label, _ = name.split("/")
    kind: Kind = "photo" if folder == PHOTOS else "sound"
    source = path.stem.partition(SOURCE_MARK)[0]
    try:
        digest = hashlib.sha256(
            read_small(path, _LARGEST_FILE, DataError, "Check the file.")
        ).hexdigest()
        if kind == "sound":
            load_sound(path, _RATE, None)
            return FoundFile(name, kind, label, source, digest)
        picture = load_image(path)
        shape = picture.shape[0], picture.shape[1]
        mask = f"{MASKS}/{label}/{path.stem}.png"
        has_mask = (root / mask).is_file()
        outline = OutlineTarget(root / mask).load(shape).drawn if has_mask else None
    except (MediaError, DataError) as error:
        return str(error)
    box = None
    if name in table:
        box = _relative(table[name], shape)
        if box is None:
            return f"{path}: The box leaves the photograph, {shape[1]} x {shape[0]} pixels."
    elif outline is not None:
        left, top, right, bottom = box_of(outline)
        height, width = outline.shape
        box = (left / width, top / height, right / width, bottom / height)
    return FoundFile(name, kind, label, source, digest, box, mask if has_mask else None)


def _relative(box: tuple[float, float, float, float], shape: Shape) -> RelativeBox | None:
    """A box in shares; None if it leaves the photograph."""
    height, width = shape
    if max(box) > 1:
        box = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
    return box if max(box) <= 1 else None


def _with_sources(root: Path, files: Iterable[FoundFile]) -> dict[str, list[FoundFile]]:
    """Files by their sources; sources that share a file are one.

    Raises:
        DataError: One file lies in two classes.
    """
    first: dict[str, FoundFile] = {}
    joined: dict[str, str] = {}

    def key(file: FoundFile) -> str:
        found = f"{normal_form(file.label)}/{file.kind}/{file.source}"
        while found in joined:
            found = joined[found]
        return found

    every = list(files)
    for file in every:
        earlier = first.setdefault(file.sha256, file)
        if normal_form(earlier.label) != normal_form(file.label):
            raise DataError(
                f"It is the same file as {earlier.name}, of another class.",
                "Remove one of them.",
                root / file.name,
            )
        if key(file) != key(earlier):
            joined[key(file)] = key(earlier)
    groups: dict[str, list[FoundFile]] = {}
    for file in every:
        groups.setdefault(key(file), []).append(file)
    return groups


def _lines(groups: Mapping[str, list[FoundFile]], seed: int, licence: str) -> Iterable[IndexLine]:
    kinds: dict[str, set[Kind]] = {}
    for some in groups.values():
        kinds.setdefault(normal_form(some[0].label), set()).add(some[0].kind)
    parts: dict[tuple[str, Kind], list[str]] = {}
    for key, some in groups.items():
        parts.setdefault((normal_form(some[0].label), some[0].kind), []).append(key)
    for (label, kind), keys in sorted(parts.items()):
        role: Role = "sounding" if len(kinds[label]) == 2 else "silent"
        if kind == "sound" and len(kinds[label]) == 1:
            role = "off-screen"
        splits = _splits(sorted(keys), f"{seed} {label} {kind}")
        for key in sorted(keys):
            for file in groups[key]:
                yield _line(file, splits[key], role, key, licence)


def _splits(keys: Sequence[str], seed: str) -> dict[str, Split]:
    """Split of each source of a class: the same for the same names and seed."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    order = np.random.default_rng(number).permutation(len(keys))
    counts = {split: round(share * len(keys)) for split, share in SHARES.items()}
    if len(keys) >= len(SHARES):
        counts["validation"] = max(counts["validation"], 1)
        counts["test"] = max(counts["test"], 1)
    held: list[Split] = ["validation"] * counts["validation"]
    held += ["test"] * counts["test"]
    held = held[: max(len(keys) - 1, 0)]
    every: list[Split] = [*held, *["train"] * (len(keys) - len(held))]  # type: ignore[list-item]
    return {keys[int(place)]: split for place, split in zip(order, every, strict=True)}


def _line(file: FoundFile, split: Split, role: Role, group: str, licence: str) -> IndexLine:
    try:
        return IndexLine(
            file=file.name,
            kind=file.kind,
            label=file.label,
            split=split,
            role=role,
            licence=licence,
            box=file.box,
            mask=file.mask,
            group=group,
            sha256=file.sha256,
        )
    except ValidationError as error:
        raise DataError(
            f"{shown(file.name)} cannot be listed: {first_problem(error)}.", "Rename the file."
        ) from error


def _cells(line: IndexLine) -> list[str]:
    """Cells of a line in the order of the columns."""
    fields = line.model_dump(by_alias=True)
    fields["box"] = "" if line.box is None else " ".join(f"{edge:.6f}" for edge in line.box)
    return ["" if fields[name] is None else str(fields[name]) for name in COLUMNS]


def default_index(root: Path) -> Path:
    """Place of a folder's index."""
    return root / INDEX_FILE
