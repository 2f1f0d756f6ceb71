"""VGG-SS and the sets made of VGGSound's test clips: single, open set, duet, multi.

Boxes are of the middle frame of each clip, five seconds after its start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import Field

from tvsl.data.base import ClassNames, Item, Source, Split, UsedList, normal_form
from tvsl.data.files import ListedData, Media, class_indices, used_list
from tvsl.data.layouts import PLAIN, MediaLayout
from tvsl.data.lists import (
    ClipAnnotation,
    ExpectedMedia,
    ListRow,
    Share,
    expected_by,
    line_error,
    read_annotations,
    read_by_id,
    read_rows,
)
from tvsl.data.mixtures import draw_mixtures, mix
from tvsl.data.targets import Boxes, clipped
from tvsl.encoder import MOST_SOURCES
from tvsl.errors import DataError, shown
from tvsl.utils.id_lists import clip_name, video_of

VGGSS_FILE: Final = "vggss.json"
TRAIN_FILE: Final = "vggsound_single_train.txt"
OFFICIAL_FILE: Final = "vggsound.csv"

_START: Final = re.compile(r"[0-9]{1,6}(?:\.0*)?")
_ID = re.compile(r".{11}_\d{6}")


def _clip_folder(name: str) -> str:
    """An id in SSLalignment's form: with start and end of the clip in milliseconds."""
    if not _ID.fullmatch(name):
        return name
    start = int(name[12:])
    return f"{name[:11]}_{1000 * start}_{1000 * (start + 10)}"


ALIGNMENT: Final = MediaLayout(
    "VGGSound_img/VIDEO_FROM_TO/image_050.jpg, VGGSound_aud/VIDEO_FROM_TO.wav",
    ("VGGSound_img", "VGGSound_aud"),
    lambda name: (f"VGGSound_img/{_clip_folder(name)}/image_050",),
    lambda name: (
        f"VGGSound_aud/{_clip_folder(name)}",
        f"VGGSound_aud/{_clip_folder(name)}/{_clip_folder(name)}",
    ),
)
"""SSLalignment, SSL-TIE: ten pictures a second, of which the fiftieth is used."""


@dataclass(frozen=True)
class Annotation:
    """Annotation of a test clip.

    Attributes:
        label: Its class.
        boxes: Boxes of its source; empty where none of the annotators' boxes has an area.
        expected: Other properties of its picture.
    """

    label: str
    boxes: Boxes
    expected: ExpectedMedia | None = None


class _BoxAnnotation(ClipAnnotation):
    label: str = Field(alias="class")
    bbox: tuple[tuple[Share, Share, Share, Share], ...]


def read_vggss(path: Path) -> dict[str, Annotation]:
    """Read the annotations by the clips' ids.

    Boxes are left, top, right, bottom, relative to the picture. Some values are wild (-2.9e16) and
    some boxes have no area: they are clipped to the picture, and empty ones are dropped.

    Raises:
        DataError: It cannot be read, or has another content.
    """
    found: dict[str, Annotation] = {}
    for name, entry in read_annotations(path, _BoxAnnotation).items():
        clip = clip_name(name)
        if clip in found:
            raise line_error(path, f"The entry of {shown(name)}", "repeats an earlier one")
        boxes = tuple(box for box in map(clipped, entry.bbox) if box is not None)
        found[clip] = Annotation(entry.label, Boxes(boxes), expected_by(path, entry))
    return found


class VGGSoundData(ListedData):
    """Base of the benchmarks on VGGSound: annotations, classes, layouts, training clips."""

    layouts: ClassVar[tuple[MediaLayout, ...]] = (PLAIN, ALIGNMENT)
    train_files: ClassVar[tuple[str, ...]] = (TRAIN_FILE,)

    @property
    def names(self) -> tuple[str, ...]:
        """The 221 classes of VGG-SS, in natural words."""
        return self.all_names

    @cached_property
    def all_names(self) -> tuple[str, ...]:
        """The classes of all annotated clips."""
        return tuple(sorted({annotation.label for annotation in self.annotations.values()}))

    @cached_property
    def annotations(self) -> Mapping[str, Annotation]:
        """All annotated clips by their ids."""
        return read_vggss(self.find_list(VGGSS_FILE))

    def annotated(self, media: Media, row: ListRow, path: Path, column: int = 0) -> Item:
        """A test clip of a list.

        Args:
            media: Finder of its files.
            row: Its row in the list.
            path: The list.
            column: Column of its id; the next column, if any, has its class.

        Raises:
            DataError: It has no annotation, or the list gives another class.
        """
        name = row.cells[column]
        found = self.annotations.get(name)
        if found is None:
            example = shown(next(iter(self.annotations)))
            raise line_error(
                path,
                row.line,
                f"names a clip that is not annotated: {shown(name)} (one that is: {example})",
            )
        given = row.cells[column + 1 : column + 2]
        if given and normal_form(given[0]) != normal_form(found.label):
            raise line_error(
                path, row.line, f"says {shown(given[0])}, the annotations say {found.label!r}"
            )
        source = Source(found.label, found.boxes)
        return media.item(name, source, expected=found.expected, recording=video_of(name))

    def training_items(self) -> Iterator[Item]:
        """Labelled clips without boxes: those of AVGN's list, or of VGGSound's own.

        AVGN's ``vggsound_single_train.txt`` has ids and classes. Without it VGGSound's own
        ``vggsound.csv`` is used: its training clips of the classes of VGG-SS.
        """
        media = self.media()
        for name, label in self.training_labels().items():
            yield media.item(name, Source(label, Boxes(())), recording=video_of(name))

    @cached_property
    def used_lists(self) -> tuple[UsedList, ...]:
        """The lists of the split, perhaps VGGSound's own; see the base class."""
        if self.split != "train":
            return super().used_lists
        files = [(one,) if one != TRAIN_FILE else (one, OFFICIAL_FILE) for one in self.train_files]
        return tuple(used_list(self.find_list(*names)) for names in files)

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """Training clips of VGGSound's own list outside the 221 classes."""
        if self.split != "train" or self._training_list.name != OFFICIAL_FILE:
            return {}
        return {"training clips of other classes than those of VGG-SS": self._official[1]}

    @property
    def _training_list(self) -> Path:
        return self.find_list(TRAIN_FILE, OFFICIAL_FILE)

    @cached_property
    def _official(self) -> tuple[dict[str, str], int]:
        return _official_labels(self._training_list, self.all_names)

    def training_labels(self) -> dict[str, str]:
        """Classes of training clips by their ids."""
        path = self._training_list
        if path.name == OFFICIAL_FILE:
            return self._official[0]
        names = ClassNames(self.all_names)
        rows = read_by_id(path, {2}, clip_name)
        return {name: names.find(row.cells[1], path, row.line) for name, row in rows.items()}


def _official_labels(path: Path, names: Iterable[str]) -> tuple[dict[str, str], int]:
    """Read VGGSound's own list: classes of its training clips, and the number of other clips.

    A row has a video, its start in seconds, a class and a split.
    """
    labels = {normal_form(name): name for name in names}
    found: dict[str, str] = {}
    others = 0
    for row in read_rows(path, {4}, {0: str}):
        video, start, name, split = row.cells
        if not _START.fullmatch(start):
            raise line_error(path, row.line, f"has no start in seconds: {shown(start)}")
        if split != "train":
            continue
        label = labels.get(normal_form(name))
        if label is None:
            others += 1
        else:
            found[f"{video}_{int(start.partition('.')[0]):06d}"] = label
    return found, others


class VGGSoundSingle(VGGSoundData):
    """5,158 clips of 221 classes with boxes; those of two clips have no area."""

    name: ClassVar[str] = "vggsound-single"
    title: ClassVar[str] = "VGGSound-Single"
    files: ClassVar[tuple[str, ...]] = ("vggsound_single_test.csv", VGGSS_FILE)

    def listed(self, split: Split) -> Iterator[Item]:
        """Test clips, or labelled clips to train on; see the base class."""
        return self.training_items() if split == "train" else self.test_items()

    def test_items(self) -> Iterator[Item]:
        """The clips of the test list."""
        path, media = self.find_list(self.files[0]), self.media()
        for row in read_by_id(path, {1, 2}, clip_name).values():
            yield self.annotated(media, row, path)


_HEARD_FILE = "vggss_heard.txt"


class VGGSSHeard(VGGSoundSingle):
    """2,564 test clips of 110 classes that are in the training data.

    Attributes:
        among: Classes among which to detect: the ``own`` 110, or ``all`` 221 of VGG-SS.
    """

    name: ClassVar[str] = "vggss-heard"
    title: ClassVar[str] = "VGG-SS, heard classes"
    files: ClassVar[tuple[str, ...]] = ("vggss_heard_test.csv", VGGSS_FILE)
    train_files: ClassVar[tuple[str, ...]] = (_HEARD_FILE, TRAIN_FILE)
    among: Literal["own", "all"] = "own"

    @property
    def names(self) -> tuple[str, ...]:
        """The classes of the listed clips, or all; see the base class."""
        return self.all_names if self.among == "all" else self._own_names

    @cached_property
    def _own_names(self) -> tuple[str, ...]:
        ids = read_by_id(self.find_list(self.files[0]), {1, 2}, clip_name)
        labels = {self.annotations[name].label for name in ids if name in self.annotations}
        return tuple(sorted(labels))

    def training_labels(self) -> dict[str, str]:
        """Classes of the 59,468 training clips.

        EZ-VSL's list names only the clips; their classes come from the list of VGGSound-Single.
        """
        path = self.find_list(_HEARD_FILE)
        wanted = read_by_id(path, {1, 2}, clip_name)
        labels, heard = super().training_labels(), set(self._own_names)
        wrong = [name for name in wanted if labels.get(name) not in heard]
        if wrong:
            raise DataError(
                f"No list gives {len(wrong)} of {len(wanted)} clips a heard class; one is "
                f"'{wrong[0]}'.",
                f"Check {TRAIN_FILE}, which must hold all training clips of VGGSound.",
                path,
            )
        return {name: labels[name] for name in wanted}


class VGGSSUnheard(VGGSSHeard):
    """2,575 test clips of 110 classes outside the training data."""

    name: ClassVar[str] = "vggss-unheard"
    title: ClassVar[str] = "VGG-SS, unheard classes"
    files: ClassVar[tuple[str, ...]] = ("vggss_unheard_test.csv", VGGSS_FILE)
    train_files: ClassVar[tuple[str, ...]] = ()
    splits: ClassVar[tuple[Split, ...]] = ("test",)


class VGGSoundDuet(VGGSoundData):
    """5,158 pairs; in 22 of them both clips are of one class and form one source.

    Each panel has the boxes of its own clip (AVGN's code reads those of the partner's partner).
    """

    name: ClassVar[str] = "vggsound-duet"
    title: ClassVar[str] = "VGGSound-Duet"
    has_mixtures: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("vggsound_duet_test.csv", VGGSS_FILE)

    def listed(self, split: Split) -> Iterator[Item]:
        """Pairs of test clips, or labelled single clips to train on; see the base class."""
        if split == "train":
            yield from self.training_items()
            return
        path, media = self.find_list(self.files[0]), self.media()
        for row in read_by_id(path, {4}, clip_name, (2,)).values():
            yield mix([self.annotated(media, row, path, column) for column in (0, 2)])


class VGGSoundMulti(VGGSoundSingle):
    """Mixtures of K test clips of VGGSound-Single.

    No public list states which clips the paper mixes. Here every clip with boxes is used at most
    once, with partners of other classes. The draw depends only on the test list and the seed, not
    on the existing files.

    Attributes:
        sources: K, the number of clips of each mixture.
    """

    name: ClassVar[str] = "vggsound-multi"
    title: ClassVar[str] = "VGGSound, several sources"
    has_mixtures: ClassVar[bool] = True
    sources: int = Field(3, ge=2, le=MOST_SOURCES)

    def listed(self, split: Split) -> Iterator[Item]:
        """Mixtures of test clips, or labelled single clips to train on; see the base class."""
        return self.training_items() if split == "train" else iter(self._mixtures)

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """Test clips outside all mixtures; see the base class."""
        if self.split == "train":
            return super().dropped
        mixed = sum(item.panels for item in self._mixtures)
        with_boxes = len(self._with_boxes)
        return {
            "test clips without boxes": self._clip_count - with_boxes,
            f"test clips that no mixture of {self.sources} has": with_boxes - mixed,
        }

    @cached_property
    def _clip_count(self) -> int:
        return sum(1 for _ in self.test_items())

    @cached_property
    def _with_boxes(self) -> tuple[Item, ...]:
        return tuple(item for item in self.test_items() if self.annotations[item.id].boxes.boxes)

    @cached_property
    def _mixtures(self) -> tuple[Item, ...]:
        found = self._with_boxes
        drawn = draw_mixtures(class_indices(found, self.names), self.sources, seed=self.seed)
        return tuple(mix([found[number] for number in members]) for members in drawn)
