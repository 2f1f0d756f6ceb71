"""Flickr-SoundNet: pictures and sounds with boxes of three annotators (Senocak et al., 2018).

The test list of LVS, EZ-VSL and FNAC has 249 lines, that of SLAVC and SSLalignment 250
(``3908875350`` more). Either is read; every result states its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final
from xml.etree.ElementTree import ParseError

import numpy as np

from tvsl.data.base import Item, Source, Split
from tvsl.data.files import ListedData
from tvsl.data.layouts import PLAIN, Folders, MediaLayout
from tvsl.data.lists import read_by_id
from tvsl.data.targets import (
    Boxes,
    Drawn,
    FileTarget,
    RelativeBox,
    Shape,
    clipped,
    in_pixels,
    same_shape,
)
from tvsl.errors import DataError, UnreadableMediaError, printable, shown
from tvsl.media import MediaLimits, check_file
from tvsl.utils.files import read_small
from tvsl.utils.id_lists import plain_name

FLICKR_LIST: Final = "flickr_test.csv"
ANNOTATED_SIDE: Final = 256
"""Height and width in pixels of the pictures that annotators drew boxes in."""

_LARGEST: Final = 1 << 20
_REMEDY: Final = "Get the file again."
_SIZE: Final = ("height", "width")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,3})?")
_ANNOTATIONS: Final = ("Annotations", "test/Annotations")
_ACL: Final = MediaLayout(
    "test/frames/ID.jpg, test/audio/ID.wav, test/Annotations/ID.xml",
    ("test/frames", "test/audio"),
    lambda name: (f"test/frames/{name}",),
    lambda name: (f"test/audio/{name}",),
)


@dataclass(frozen=True)
class ConsensusBoxes:
    """The boxes of several annotators.

    Attributes:
        boxes: One box of each annotator.
    """

    boxes: tuple[RelativeBox, ...]

    def draw(self, height: int, width: int) -> Drawn:
        """Half of the number of boxes that cover each pixel, at most 1; see ``Target``."""
        drawn = np.zeros((height, width), dtype=np.float32)
        for box in self.boxes:
            drawn += Boxes((box,)).draw(height, width) / 2
        return np.minimum(drawn, 1)


class Consensus(FileTarget):
    """The boxes of several annotators in an XML file.

    Pixels in two boxes count fully, pixels in a single box by half (LVS, EZ-VSL).
    """

    def load(self, shape: Shape | None) -> ConsensusBoxes:
        """The boxes; see ``FileTarget``."""
        return ConsensusBoxes(read_annotators(self.path, shape))


def read_annotators(path: Path, shape: Shape | None = None) -> tuple[RelativeBox, ...]:
    """Read the boxes of all annotators of a picture.

    Args:
        path: XML with elements ``bbox``, each with one other child and then left, top, right and
            bottom in pixels of a picture of 256 x 256.
        shape: Height and width of the picture, which a ``size`` in the file must match.

    Returns:
        Their boxes, clipped to the picture; those without area are dropped.

    Raises:
        MissingFileError: There is no such file.
        UnreadableMediaError: It is no such XML, declares entities or a document type, or is for a
            picture of another shape.
    """
    check_file(path, MediaLimits(max_file_size=_LARGEST))
    content = read_small(path, _LARGEST, UnreadableMediaError, _REMEDY)
    read = _read_xml(path, content)
    boxes = [(line, _numbers(path, line, texts, 4)) for line, texts in read.boxes]
    for line, texts in read.sizes:
        height, width = (_numbers(path, line, [texts.get(name, "")], 1)[0] for name in _SIZE)
        _check_size(path, line, (height, width), shape, [numbers for _, numbers in boxes])
    found = [clipped([number / ANNOTATED_SIDE for number in numbers]) for _, numbers in boxes]
    return tuple(box for box in found if box is not None)


class _Elements:
    """Boxes and sizes of an XML file; no tree is built, so that none can be too deep.

    Namespaces, which some editors add, are ignored.

    Attributes:
        boxes: The last four texts of each box, with its line; the text before them is a name.
        sizes: Texts by their names of each size, with its line.
    """

    def __init__(self) -> None:
        self.boxes: list[tuple[int, list[str]]] = []
        self.sizes: list[tuple[int, dict[str, str]]] = []
        self.line: Callable[[], int] = lambda: 0
        self._open: list[tuple[str, int, list[tuple[str, str]], list[str]]] = []

    def start(self, tag: str, _: object) -> None:
        self._open.append((tag.rpartition("}")[2], self.line(), [], []))

    def data(self, text: str) -> None:
        if self._open:
            self._open[-1][3].append(text)

    def end(self, _: str) -> None:
        tag, line, children, texts = self._open.pop()
        if self._open and self._open[-1][0] in ("bbox", "size"):
            self._open[-1][2].append((tag, "".join(texts)))
        if tag == "bbox":
            self.boxes.append((line, [text for _, text in children[-4:]]))
        elif tag == "size":
            self.sizes.append((line, dict(children)))

    def close(self) -> None:
        """Do nothing; the parser requires the method."""


def _read_xml(path: Path, content: bytes) -> _Elements:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    found = _Elements()
    parser = DefusedXMLParser(target=found, forbid_dtd=True)
    found.line = lambda: parser.parser.CurrentLineNumber
    try:
        parser.feed(content)
        parser.close()
    # LookupError and ValueError: an encoding that is unknown, or that expat cannot read.
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise UnreadableMediaError(
            f"The file holds no boxes of annotators ({printable(str(error))}).", _REMEDY, path
        ) from error
    return found


def _numbers(path: Path, line: int, texts: Sequence[str], count: int) -> list[float]:
    """The numbers of an element: four of a box, or one."""
    numbers = [float(text) for text in texts if _NUMBER.fullmatch(text.strip())]
    if len(numbers) < len(texts) or len(texts) != count or not np.isfinite(numbers).all():
        raise UnreadableMediaError(
            f"Line {line} holds {shown(', '.join(texts))} where numbers should be: left, top, "
            f"right and bottom of a box, or a picture's width and height.",
            _REMEDY,
            path,
        )
    return numbers


def _check_size(
    path: Path,
    line: int,
    size: tuple[float, float],
    shape: Shape | None,
    boxes: Iterable[Sequence[float]],
) -> None:
    """Refuse annotations of a picture of another shape, or in other units."""
    if size == (ANNOTATED_SIDE, ANNOTATED_SIDE):
        return  # squeezed, as the annotators saw them
    stated = f"Line {line} says {size[1]:g} x {size[0]:g} pixels"
    whole = round(size[0]), round(size[1])
    if min(size) < 1 or (shape is not None and not same_shape(whole, shape)):
        picture = "no picture has" if shape is None else f"but the picture has {in_pixels(shape)}"
        raise UnreadableMediaError(f"{stated}, {picture}.", _REMEDY, path)
    largest = max((number for box in boxes for number in box), default=0.0)
    if largest > ANNOTATED_SIDE:
        raise UnreadableMediaError(
            f"{stated} and a box reaches {largest:g}, but boxes are counted in pixels of "
            f"{ANNOTATED_SIDE} x {ANNOTATED_SIDE}.",
            "Scale the boxes to that.",
            path,
        )


class FlickrSoundNet(ListedData):
    """249 or 250 test pairs without classes."""

    name: ClassVar[str] = "flickr-soundnet"
    title: ClassVar[str] = "Flickr-SoundNet"
    splits: ClassVar[tuple[Split, ...]] = ("test",)
    layouts: ClassVar[tuple[MediaLayout, ...]] = (PLAIN, _ACL)
    files: ClassVar[tuple[str, ...]] = (FLICKR_LIST,)

    @property
    def names(self) -> tuple[str, ...]:
        """Empty: the sources have no classes."""
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
