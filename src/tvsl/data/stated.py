"""What lists and annotations state about media, held against the media themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tvsl.data.rows import Entry, wrong_line
from tvsl.data.targets import Shape, in_pixels, same_shape
from tvsl.errors import DataError, shown
from tvsl.media.limits import DEFAULT_LIMITS, open_container
from tvsl.media.streams import require_sound

# Lossy coders add up to some twentieths of a second.
_SLACK: Final = 0.1
# Corners may lie a little outside the picture, from rounding: so much of a side.
_LARGEST_SHARE: Final = 1.01


@dataclass(frozen=True)
class Stated:
    """What a line states about its picture and its sound.

    Attributes:
        path: The list.
        line: Number of the line, or what the place is called.
        shape: Height and width of the picture.
        rate: Samples per second of the sound.
        duration: Seconds of the sound.
        boxes: Boxes on the picture: left, top, right, bottom in shares of its sides.
    """

    path: Path
    line: int | str
    shape: Shape | None = None
    rate: int | None = None
    duration: float | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()

    def check_picture(self, path: Path, shape: Shape) -> None:
        """Refuse a picture of another shape, or one that boxes leave.

        Args:
            path: The picture.
            shape: The shape that it has, upright.

        Raises:
            DataError: The line contradicts it.
        """
        if self.shape is not None and not same_shape(self.shape, shape):
            raise self._contradiction(path, f"{in_pixels(self.shape)} pixels", in_pixels(shape))
        height, width = self.shape or shape
        for box in self.boxes:
            if max(box) > _LARGEST_SHARE or min(box) < 1 - _LARGEST_SHARE:
                ends = (f"{side * of:g}" for side, of in zip(box, (width, height) * 2, strict=True))
                raise wrong_line(
                    self.path,
                    self.line,
                    f"has the box {' '.join(ends)}, which leaves the {width} x {height} pixels of "
                    f"{path.name}",
                )

    def check_sound(self, path: Path) -> None:
        """Refuse a sound of another rate or length.

        Args:
            path: The sound.

        Raises:
            DataError: The line contradicts it.
            MediaError: It cannot be used.
        """
        if self.rate is None and self.duration is None:
            return
        with open_container(path) as container:
            rate = require_sound(container, path, DEFAULT_LIMITS).rate
            length = None if container.duration is None else container.duration / 1_000_000
        if self.rate is not None and self.rate != rate:
            raise self._contradiction(path, f"{self.rate} samples a second", str(rate))
        if self.duration is None or length is None:
            return
        if abs(self.duration - length) > _SLACK:
            raise self._contradiction(path, f"{self.duration:g} seconds", f"{length:g}")

    def _contradiction(self, path: Path, stated: str, found: str) -> DataError:
        return wrong_line(self.path, self.line, f"says {stated}, but {path.name} has {found}")


def stated_by(path: Path, entry: Entry) -> Stated | None:
    """What an entry of an annotation file states of its picture; None where it states nothing.

    Args:
        path: The annotation file.
        entry: The entry.
    """
    if entry.shape is None:
        return None
    return Stated(path, f"The entry of {shown(entry.file)}", entry.shape)
