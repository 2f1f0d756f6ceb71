"""Data sets by name; a new data set is one more file and one more entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from tvsl.data.base import DataSet
from tvsl.data.extended import FlickrExtended, VGGSSExtended
from tvsl.data.flickr import FlickrSoundNet
from tvsl.data.folder import FolderData
from tvsl.data.music import MusicDuet, MusicSolo
from tvsl.data.synthetic import SyntheticData
from tvsl.data.vgg_instruments import VGGInstrumentsMulti, VGGInstrumentsSingle
from tvsl.data.vggsound import VGGSoundDuet, VGGSoundMulti, VGGSoundSingle, VGGSSHeard, VGGSSUnheard
from tvsl.errors import UsageError, first_problem

DataT = TypeVar("DataT", bound=DataSet)

DATA_SETS: Mapping[str, type[DataSet]] = {
    data.name: data
    for data in (
        SyntheticData,
        FolderData,
        MusicSolo,
        MusicDuet,
        VGGInstrumentsSingle,
        VGGInstrumentsMulti,
        VGGSoundSingle,
        VGGSoundDuet,
        VGGSoundMulti,
        VGGSSHeard,
        VGGSSUnheard,
        VGGSSExtended,
        FlickrSoundNet,
        FlickrExtended,
    )
}


def find_kind(name: str) -> type[DataSet]:
    """A data set's type by its name.

    Args:
        name: One of ``DATA_SETS``.

    Returns:
        The type; its fields are the options.

    Raises:
        UsageError: There is no such data set.
    """
    found = DATA_SETS.get(name)
    if found is None:
        raise UsageError(f"There is no data set '{name}'.", f"Data sets: {', '.join(DATA_SETS)}.")
    return found


def find_data(name: str, **options: Any) -> DataSet:
    """A data set by its name.

    Args:
        name: One of ``DATA_SETS``.
        options: Its fields.

    Returns:
        The data set.

    Raises:
        UsageError: There is no such data set or option, or a value that it cannot have.
    """
    return make_data(find_kind(name), options)


def make_data(kind: type[DataT], options: Mapping[str, Any]) -> DataT:
    """A data set of a type.

    Args:
        kind: The type.
        options: Its fields.

    Returns:
        The data set.

    Raises:
        UsageError: There is no such option, one is missing, or has a value that it cannot have.
    """
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        raise UsageError(
            f"The options of the data set '{kind.name}' are wrong: {first_problem(error)}.",
            f"Options: {', '.join(kind.model_fields)}.",
        ) from error
