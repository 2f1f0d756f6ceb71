"""MUSIC: people who play instruments, frames of videos from YouTube (Zhao et al., ECCV 2018).

An id is the 11 characters of the video, the second and the number of the frame:
``HnUOaSfTA6c_175_05257``. Every frame of a video is heard with the middle of the whole video.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Final

from tvsl.data.layouts import Layout
from tvsl.data.listed import ListedData
from tvsl.data.rows import Row, Share, read_by_id, wrong_line
from tvsl.data.targets import Boxes, clipped
from tvsl.id_lists import plain_name

Rectangle = tuple[Share, Share, Share, Share]
"""Left, top, width, height as shares of the picture."""

_INSTRUMENTS: Final = (
    "accordion", "acoustic guitar", "cello", "clarinet", "erhu", "flute", "saxophone", "trumpet",
    "tuba", "violin", "xylophone",
)  # fmt: skip
_ID = re.compile(r".{11}_\d{3}_\d{5}")
_SHORT_ID = re.compile(r"(.{11})_(\d{1,3})_(\d{1,5})")
_TAIL: Final = len("_175_05257")


def _picture_name(name: str) -> str:
    """An id with all its zeros, without the ending of a file."""
    plain = plain_name(name)
    found = _SHORT_ID.fullmatch(plain)
    return f"{found[1]}_{int(found[2]):03d}_{int(found[3]):05d}" if found else plain


def _video(name: str) -> str:
    return name[:-_TAIL]


def _frame_folder(name: str) -> str:
    """Second and number of a frame as DSOL lays them out."""
    second, number = name[-_TAIL + 1 :].split("_")
    return f"frame_{second}/{number}"


_PLAIN: Final = Layout(
    "frames/VIDEO_SECOND_FRAME.jpg, audio/VIDEO.wav",
    ("frames", "audio"),
    lambda name: (f"frames/{name}",),
    lambda name: (f"audio/{_video(name)}",),
)
_DSOL: Final = Layout(
    "video_frames/VIDEO/frame_SECOND/FRAME.jpg, audio/VIDEO.wav",
    ("video_frames", "audio"),
    lambda name: tuple(
        f"video_frames/{_video(name)}{cut}/{_frame_folder(name)}" for cut in ("", "_0_1000")
    ),
    lambda name: (f"audio/{_video(name)}", f"audio/{_video(name)}_0_1000"),
)


class MusicData(ListedData):
    """What MUSIC-Solo and MUSIC-Duet share."""

    layouts: ClassVar[tuple[Layout, ...]] = (_PLAIN, _DSOL)

    @property
    def names(self) -> tuple[str, ...]:
        """The 11 instruments."""
        return _INSTRUMENTS

    def rows(self, file: str, columns: int) -> tuple[Path, list[Row]]:
        """Read a list of frames.

        Args:
            file: Its name.
            columns: How many cells its lines have.

        Returns:
            Its path and its lines.

        Raises:
            DataError: It cannot be used, or an id is not that of a frame.
        """
        path = self.find_list(file)
        rows = list(read_by_id(path, {columns}, _picture_name).values())
        for row in rows:
            if not _ID.fullmatch(row.cells[0]):
                raise wrong_line(path, row.line, f"has no video, second and frame: {row.cells[0]}")
        return path, rows


def box_of(rectangle: Rectangle) -> Boxes:
    """A box of MUSIC's annotations, which hold width and height, not right and bottom.

    Public code reads them as corners: then 78 % of the boxes of MUSIC-Solo, and nearly all second
    ones of MUSIC-Duet, are empty.
    """
    left, top, width, height = rectangle
    box = clipped((left, top, left + width, top + height))
    return Boxes((box,) if box else ())
