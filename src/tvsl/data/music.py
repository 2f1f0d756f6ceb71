"""MUSIC (Zhao et al., ECCV 2018): solos and duets.

An id is the 11 characters of the video, the second and the number of the frame:
``HnUOaSfTA6c_175_05257``. Every frame of a video has the middle of the whole sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from tvsl.data.base import ClassNames, Item, Source, Split, normal_form
from tvsl.data.files import ListedData, Media
from tvsl.data.layouts import MediaLayout
from tvsl.data.lists import (
    ClipAnnotation,
    ExpectedMedia,
    ListRow,
    Share,
    expected_by,
    line_error,
    read_annotations,
    read_by_id,
)
from tvsl.data.targets import Boxes, clipped
from tvsl.utils.id_lists import plain_name

Rectangle = tuple[Share, Share, Share, Share]
"""Left, top, width, height relative to the picture."""

_INSTRUMENTS: Final = (
    "accordion", "acoustic guitar", "cello", "clarinet", "erhu", "flute", "saxophone", "trumpet",
    "tuba", "violin", "xylophone",
)  # fmt: skip
_ID = re.compile(r".{11}_\d{3}_\d{5}")
_SHORT_ID = re.compile(r"(.{11})_(\d{1,3})_(\d{1,5})")
_TAIL: Final = len("_175_05257")


def _picture_name(name: str) -> str:
    """An id with all its zeros, without a file suffix."""
    plain = plain_name(name)
    found = _SHORT_ID.fullmatch(plain)
    return f"{found[1]}_{int(found[2]):03d}_{int(found[3]):05d}" if found else plain


def _video(name: str) -> str:
    return name[:-_TAIL]


def _frame_folder(name: str) -> str:
    """Second and number of a frame in DSOL's layout."""
    second, number = name[-_TAIL + 1 :].split("_")
    return f"frame_{second}/{number}"


_PLAIN: Final = MediaLayout(
    "frames/VIDEO_SECOND_FRAME.jpg, audio/VIDEO.wav",
    ("frames", "audio"),
    lambda name: (f"frames/{name}",),
    lambda name: (f"audio/{_video(name)}",),
)
_DSOL: Final = MediaLayout(
    "video_frames/VIDEO/frame_SECOND/FRAME.jpg, audio/VIDEO.wav",
    ("video_frames", "audio"),
    lambda name: tuple(
        f"video_frames/{_video(name)}{cut}/{_frame_folder(name)}" for cut in ("", "_0_1000")
    ),
    lambda name: (f"audio/{_video(name)}", f"audio/{_video(name)}_0_1000"),
)


class MusicData(ListedData):
    """Base of MUSIC-Solo and MUSIC-Duet."""

    layouts: ClassVar[tuple[MediaLayout, ...]] = (_PLAIN, _DSOL)

    @property
    def names(self) -> tuple[str, ...]:
        """The 11 instruments."""
        return _INSTRUMENTS

    def frame(
        self, media: Media, name: str, *sources: Source, expected: ExpectedMedia | None = None
    ) -> Item:
        """An item of a frame; frames of one video are of one recording.

        Args:
            media: Finder of its files.
            name: Its id.
            sources: Its sources.
            expected: Properties of the media that the annotations state.
        """
        return media.item(name, *sources, expected=expected, recording=_video(name))

    def rows(self, file: str, columns: int) -> tuple[Path, list[ListRow]]:
        """Read a list of frames.

        Args:
            file: Its name.
            columns: Number of cells of its rows.

        Raises:
            DataError: It cannot be used, or an id is not that of a frame.
        """
        path = self.find_list(file)
        rows = list(read_by_id(path, {columns}, _picture_name).values())
        for row in rows:
            if not _ID.fullmatch(row.cells[0]):
                raise line_error(path, row.line, f"has no video, second and frame: {row.cells[0]}")
        return path, rows


def box_of(rectangle: Rectangle) -> Boxes:
    """A box of MUSIC's annotations, which give width and height, not right and bottom.

    Public code reads them as corners, so that 78 % of the boxes of MUSIC-Solo, and nearly all
    second boxes of MUSIC-Duet, are empty.
    """
    left, top, width, height = rectangle
    box = clipped((left, top, left + width, top + height))
    return Boxes((box,) if box else ())


class _SoloAnnotation(ClipAnnotation):
    label: str = Field(alias="class")
    bbox: Rectangle


class MusicSolo(MusicData):
    """2,124 frames of 20 videos and 7 instruments; 44,532 frames of 217 videos to train on."""

    name: ClassVar[str] = "music-solo"
    title: ClassVar[str] = "MUSIC-Solo"
    files: ClassVar[tuple[str, ...]] = ("music_solo_test.csv", "music_solo.json")
    train_files: ClassVar[tuple[str, ...]] = ("music_solo_train.txt",)

    def listed(self, split: Split) -> Iterator[Item]:
        """Test frames with boxes, or labelled frames to train on; see the base class."""
        path, rows = self.rows(self.train_files[0] if split == "train" else self.files[0], 2)
        annotated = self.find_list(self.files[1]) if split == "test" else path
        boxes = read_annotations(annotated, _SoloAnnotation) if split == "test" else None
        media, names = self.media(), ClassNames(self.names)
        for line, (name, given) in rows:
            label, target, expected = names.find(given, path, line), Boxes(()), None
            if boxes is not None:
                if name not in boxes or normal_form(boxes[name].label) != normal_form(given):
                    raise line_error(path, line, f"has no box of its class: {name!r}")
                target, expected = box_of(boxes[name].bbox), expected_by(annotated, boxes[name])
            yield self.frame(media, name, Source(label, target), expected=expected)


class _DuetAnnotation(ClipAnnotation):
    class_src1: str
    bbox_src1: Rectangle
    class_src2: str
    bbox_src2: Rectangle


class MusicDuet(MusicData):
    """1,020 frames, of which 1,008 are of one video: cello and acoustic guitar.

    Pictures and sounds are natural mixtures. Training frames have two sources each, so heads are
    trained on MUSIC-Solo.
    """

    name: ClassVar[str] = "music-duet"
    title: ClassVar[str] = "MUSIC-Duet"
    has_mixtures: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("music_duet_test.csv", "music_duet.json")
    train_files: ClassVar[tuple[str, ...]] = ("music_duet_train.txt",)

    def listed(self, split: Split) -> Iterator[Item]:
        """Test frames with boxes, or labelled frames; see the base class."""
        return self._train() if split == "train" else self._test()

    def _train(self) -> Iterator[Item]:
        path, rows = self.rows(self.train_files[0], 3)
        media, names = self.media(), ClassNames(self.names)
        for line, (name, *given) in rows:
            labels = [names.find(label, path, line) for label in given]
            yield self.frame(media, name, *(Source(label, Boxes(())) for label in labels))

    def _test(self) -> Iterator[Item]:
        path, rows = self.rows(self.files[0], 1)
        annotated = self.find_list(self.files[1])
        entries = read_annotations(annotated, _DuetAnnotation)
        media, names = self.media(), ClassNames(self.names)
        for line, (name,) in rows:
            if name not in entries:
                raise line_error(path, line, f"names a frame that is not annotated: {name!r}")
            entry, place = entries[name], f"The entry of {name!r}"
            first = names.find(entry.class_src1, annotated, place)
            second = names.find(entry.class_src2, annotated, place)
            yield self.frame(
                media,
                name,
                Source(first, box_of(entry.bbox_src1)),
                Source(second, box_of(entry.bbox_src2)),
                expected=expected_by(annotated, entry),
            )
