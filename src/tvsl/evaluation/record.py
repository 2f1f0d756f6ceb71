"""Everything that decides the scores of an evaluation, as it is kept beside them.

A record holds settings, items and the truth that the lists state. Names of an item's media and the
content of its annotation files are hashed item by item, when it has been scored: a file that is
missing or broken may be mended, and then only its batch is scored again.

Places are no part of either, so that a data set may be moved. Nor is the content of pictures and
sounds: to read all of it again would take nearly as long as to evaluate again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tvsl import __version__
from tvsl.data.composites import Composites, CompositeTarget
from tvsl.data.file_index import IndexedFile
from tvsl.data.layouts import absent, digest_of
from tvsl.data.real import GridTarget
from tvsl.data.targets import Target, files_of
from tvsl.errors import MediaError
from tvsl.metrics import hash_ids

if TYPE_CHECKING:
    from tvsl.data.base import DataSet, Item
    from tvsl.evaluation.predict import EvaluationConfig


def known_record(data: DataSet, config: EvaluationConfig) -> dict[str, Any]:
    """The part of an evaluation's record that needs no weights.

    Args:
        data: The data set.
        config: The settings.
    """
    return {
        "tvsl": __version__,
        "data set": data.name,
        "options of the data set": options_of(data),
        "items": hash_ids(item.id for item in data.items),
        "lists": hash_truth(data.items),
        "config": config.model_dump(mode="json"),
    }


def options_of(data: DataSet) -> dict[str, Any]:
    """Options of a data set as plain values, without places: one that is not given is left out."""
    paths = {name for name, value in data if isinstance(value, Path)}
    return data.model_dump(mode="json", exclude=paths, exclude_none=True)


def hash_truth(items: Iterable[Item]) -> str:
    """Hash of all that lists state of items: panels, recordings, labels and targets."""
    return hash_of(
        [
            (
                item.id,
                item.panels,
                item.recording,
                [(source.label, source.panel, _plain(source.target)) for source in item.sources],
            )
            for item in items
        ]
    )


def hash_of(content: Any) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def hash_files(data: DataSet, places: Iterable[int]) -> dict[int, str]:
    """Hashes of the files of items: names of their media, and content of their annotations.

    Args:
        data: The data set.
        places: Places of the items in it.

    Returns:
        Hashes by these places, without items that have no files or whose annotations are gone.
    """
    hashes = {place: _hash_item(data, data.items[place]) for place in places}
    return {place: found for place, found in hashes.items() if found is not None}


def hash_present_files(data: DataSet, places: Iterable[int]) -> dict[int, str]:
    """The same, also without items whose pictures or sounds are gone: their names are not known.

    Args:
        data: The data set.
        places: Places of the items in it.
    """
    items = {place: data.items[place] for place in places}
    gone = absent(path for item in items.values() for path in item.files)
    return hash_files(data, [place for place in items if gone.isdisjoint(items[place].files)])


def _hash_item(data: DataSet, item: Item) -> str | None:
    if not item.files:
        return None
    media = [_name(data, path) for path in (*item.frames, *item.sounds)]
    annotations = [path for source in item.sources for path in _annotations(source.target)]
    try:
        return hash_of([media, [digest_of(path) for path in annotations]])
    except MediaError:
        return None


def _name(data: DataSet, path: Path) -> str:
    """Name of a file in the data set, wherever this lies."""
    roots = (root for _, root in data if isinstance(root, Path) and path.is_relative_to(root))
    root = next(roots, path.parent)
    return path.relative_to(root).as_posix()


def _annotations(target: Target) -> Iterator[Path]:
    """Files that hold the truth of a source, and not its picture."""
    if isinstance(target, GridTarget):
        yield from _annotations(target.part)
    elif isinstance(target, CompositeTarget):  # what lies on an object covers it
        masks = (thing.file.mask for thing in target.panel.objects)
        yield from (mask for mask in masks if mask is not None)
    else:
        yield from files_of(target)


def _plain(value: Any) -> Any:
    """A target as plain values, without the places of its files.

    Of one's own class of targets it has the fields, if it is a dataclass, else the name alone.
    """
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(one)] for key, one in value.items()]
    if isinstance(value, np.ndarray):
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), content]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, IndexedFile):
        return [value.name, value.label, value.role, value.box, value.mask is not None]
    # The maker's options are those of the data set, and what it drew is in the plan of the panel.
    if isinstance(value, Path | Composites):
        return None
    name = type(value).__qualname__
    if is_dataclass(value):
        return [name, *(_plain(getattr(value, field.name)) for field in fields(value))]
    return name
