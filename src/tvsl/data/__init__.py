"""Data sets by name; other packages add to them (docs/data-sets.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tvsl.errors import UsageError, first_problem
from tvsl.registry import Registry
from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.data.base import ClipSet as ClipSet
    from tvsl.data.base import DataSet as DataSet
    from tvsl.data.base import Item as Item
    from tvsl.data.base import Sample as Sample
    from tvsl.data.base import Source as Source
    from tvsl.data.composites import Composites as Composites
    from tvsl.data.extended import FlickrExtended as FlickrExtended
    from tvsl.data.extended import VGGSSExtended as VGGSSExtended
    from tvsl.data.files import FileClips as FileClips
    from tvsl.data.files import FileDataSet as FileDataSet
    from tvsl.data.files import ListedData as ListedData
    from tvsl.data.flickr import FlickrSoundNet as FlickrSoundNet
    from tvsl.data.folder import FolderData as FolderData
    from tvsl.data.music import MusicDuet as MusicDuet
    from tvsl.data.music import MusicSolo as MusicSolo
    from tvsl.data.real import RealClips as RealClips
    from tvsl.data.real import RealData as RealData
    from tvsl.data.synthetic import SyntheticClips as SyntheticClips
    from tvsl.data.synthetic import SyntheticData as SyntheticData
    from tvsl.data.targets import Boxes as Boxes
    from tvsl.data.targets import Mask as Mask
    from tvsl.data.targets import Nowhere as Nowhere
    from tvsl.data.targets import Target as Target
    from tvsl.data.token_store import TokenStore as TokenStore
    from tvsl.data.vgg_instruments import VGGInstrumentsMulti as VGGInstrumentsMulti
    from tvsl.data.vgg_instruments import VGGInstrumentsSingle as VGGInstrumentsSingle
    from tvsl.data.vggsound import VGGSoundDuet as VGGSoundDuet
    from tvsl.data.vggsound import VGGSoundMulti as VGGSoundMulti
    from tvsl.data.vggsound import VGGSoundSingle as VGGSoundSingle
    from tvsl.data.vggsound import VGGSSHeard as VGGSSHeard
    from tvsl.data.vggsound import VGGSSUnheard as VGGSSUnheard

    DataT = TypeVar("DataT", bound=DataSet)

_BUILTIN = {
    "synthetic": "tvsl.data.synthetic:SyntheticData",
    "real": "tvsl.data.real:RealData",
    "folder": "tvsl.data.folder:FolderData",
    "music-solo": "tvsl.data.music:MusicSolo",
    "music-duet": "tvsl.data.music:MusicDuet",
    "vgg-instruments-single": "tvsl.data.vgg_instruments:VGGInstrumentsSingle",
    "vgg-instruments-multi": "tvsl.data.vgg_instruments:VGGInstrumentsMulti",
    "vggsound-single": "tvsl.data.vggsound:VGGSoundSingle",
    "vggsound-duet": "tvsl.data.vggsound:VGGSoundDuet",
    "vggsound-multi": "tvsl.data.vggsound:VGGSoundMulti",
    "vggss-heard": "tvsl.data.vggsound:VGGSSHeard",
    "vggss-unheard": "tvsl.data.vggsound:VGGSSUnheard",
    "vggss-extended": "tvsl.data.extended:VGGSSExtended",
    "flickr-soundnet": "tvsl.data.flickr:FlickrSoundNet",
    "flickr-extended": "tvsl.data.extended:FlickrExtended",
}

if not TYPE_CHECKING:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__, own=("DATA_SETS", "find_data", "make_data")
    )


def _is_data_set(thing: object) -> bool:
    from tvsl.data.base import DataSet

    return isinstance(thing, type) and issubclass(thing, DataSet)


DATA_SETS: Registry[type[DataSet]] = Registry(
    "data set", "tvsl.datasets", _BUILTIN, "a subclass of tvsl.data.DataSet", _is_data_set
)


def find_data(name: str, **options: Any) -> DataSet:
    """A data set by its name.

    Args:
        name: One of ``DATA_SETS``.
        options: Its fields.

    Raises:
        UsageError: There is no such data set or option, or a value that it cannot have.
    """
    return make_data(DATA_SETS.find(name), options)


def make_data(kind: type[DataT], options: Mapping[str, Any]) -> DataT:
    """A data set of a type.

    Args:
        kind: The type.
        options: Its fields.

    Raises:
        UsageError: There is no such option, one is missing, or has a value that it cannot have.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate(options)
    except ValidationError as error:
        raise UsageError(
            f"The options of the data set '{kind.name}' are wrong: {first_problem(error)}.",
            f"Options: {', '.join(kind.model_fields)}.",
        ) from error
