"""Flickr-SoundNet: pictures and sounds of all sorts, boxes of three people (Senocak et al., 2018).

The test list of LVS, EZ-VSL and FNAC has 249 lines, that of SLAVC and SSLalignment 250
(``3908875350`` more). What is read is the list that is there; every result says how long it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final
from xml.etree.ElementTree import Element, ParseError

import numpy as np

from tvsl.data.dataset import Item, Source, Split
from tvsl.data.layouts import PLAIN, Folders, Layout
from tvsl.data.listed import ListedData
from tvsl.data.rows import read_by_id
from tvsl.data.targets import Box, Boxes, Drawn, FileTarget, clipped
from tvsl.errors import DataError, UnreadableMediaError
from tvsl.id_lists import plain_name
from tvsl.media import MediaLimits, check_file
from tvsl.small_files import read_small

FLICKR_LIST: Final = "flickr_test.csv"
ANNOTATED_SIDE: Final = 256
"""Height and width, in pixels, of the pictures that people drew boxes in."""

_LARGEST: Final = 1 << 20
_REMEDY: Final = "Get the file again."
_ANNOTATIONS: Final = ("Annotations", "test/Annotations")
_ACL: Final = Layout(
    "test/frames/ID.jpg, test/audio/ID.wav, test/Annotations/ID.xml",
    ("test/frames", "test/audio"),
    lambda name: (f"test/frames/{name}",),
    lambda name: (f"test/audio/{name}",),
)


class Consensus(FileTarget):
    """The boxes of several people in an XML file.

    Where two of them agree it counts fully, where only one saw the source by half (LVS, EZ-VSL).
    """

    def draw(self, height: int, width: int) -> Drawn:
        """Half of how many boxes cover each pixel, at most 1; see ``Target``."""
        drawn = np.zeros((height, width), dtype=np.float32)
        for box in read_annotators(self.path):
            drawn += Boxes((box,)).draw(height, width) / 2
        return np.minimum(drawn, 1)


def read_annotators(path: Path) -> tuple[Box, ...]:
    """Read the boxes of all annotators of a picture.

    Args:
        path: XML with elements ``bbox``, each with a first child of its own and then left, top,
            right and bottom in pixels of a picture of 256 x 256.

    Returns:
        Their boxes, cut off at the picture's edges; those without area are dropped.

    Raises:
        MissingFileError: There is no such file.
        UnreadableMediaError: It is no such XML, or declares entities or a type of document.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    check_file(path, MediaLimits(max_file_size=_LARGEST))
    content = read_small(path, _LARGEST, UnreadableMediaError, _REMEDY)
    try:
        root = fromstring(content, forbid_dtd=True)
        found = [clipped(_shares(element)) for element in root.iter("bbox")]
    except (ParseError, DefusedXmlException, ValueError, TypeError) as error:
        raise UnreadableMediaError(
            f"The file holds no boxes of annotators ({error}).", _REMEDY, path
        ) from error
    return tuple(box for box in found if box is not None)


def _shares(element: Element) -> list[float]:
    """The last four numbers of an element: what stands before them names the box."""
    texts = [child.text for child in element][-4:]
    if len(texts) < 4:
        raise ValueError(f"a box has {len(texts)} numbers")
    return [float(str(text)) / ANNOTATED_SIDE for text in texts]


class FlickrSoundNet(ListedData):
    """249 or 250 test pairs without classes."""

    name: ClassVar[str] = "flickr-soundnet"
    title: ClassVar[str] = "Flickr-SoundNet"
    splits: ClassVar[tuple[Split, ...]] = ("test",)
    layouts: ClassVar[tuple[Layout, ...]] = (PLAIN, _ACL)
    files: ClassVar[tuple[str, ...]] = (FLICKR_LIST,)

    @property
    def names(self) -> tuple[str, ...]:
        """None: nobody said what sounds."""
        return ()

    def listed(self, split: Split) -> Iterator[Item]:  # noqa: ARG002
        """The pairs of the test list; see the base class."""
        return self.annotated_items()

    def annotated_items(self) -> Iterator[Item]:
        """The pairs of the test list, each with the boxes of its annotators."""
        media, folders = self.media(), Folders(self._annotations())
        for name in read_by_id(self.find_list(FLICKR_LIST), {1, 2}, plain_name):
            target = Consensus(folders.find([name], (".xml",)))
            yield media.item(name, Source(None, target))

    def _annotations(self) -> Path:
        for folder in _ANNOTATIONS:
            if (self.root / folder).is_dir():
                return self.root / folder
        raise DataError(
            "The annotations are not here.",
            f"Put the annotators' XML files into {self.root / _ANNOTATIONS[0]}.",
            self.root,
        )
