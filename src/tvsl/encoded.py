"""A picture and its sound, encoded once: kept, stored, and asked often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError

from tvsl.errors import ShapeError, SilentAudioError, StoreError, WeightsError
from tvsl.media.image import ImageSource, load_image
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits
from tvsl.media.video import read_frames
from tvsl.tokens import TENSORS, Tokens
from tvsl.utils.atomic import check_free_file, writable, write_whole
from tvsl.utils.model_folder import read_tensors, write_tensors
from tvsl.utils.strict_model import StrictModel


@dataclass(frozen=True, eq=False, repr=False)
class PictureSource:
    """A picture that can be read again: what was given, or a moment of a video.

    Attributes:
        source: A path, or the picture itself.
        time: The moment in seconds, for a video; None for a picture.
        limits: What is allowed of a file.
    """

    source: ImageSource
    time: float | None = None
    limits: MediaLimits = DEFAULT_LIMITS

    def read(self) -> NDArray[np.uint8]:
        """Read the picture, (H, W, 3).

        Raises:
            MediaError: The file cannot be read any more.
        """
        if self.time is None:
            return load_image(self.source, self.limits)
        (frame,) = read_frames(cast("str | Path", self.source), [self.time], self.limits)
        return frame.image


class EncodedRecord(StrictModel):
    """Record that a file of ``Encoded.save`` holds beside its tensors."""

    model_config = ConfigDict(extra="forbid")

    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    time: float | None
    time_range: tuple[float, float] | None
    still: bool
    silence: str | None
    encoder: str | None
    grid: tuple[int, int] | None
    panels: int


_ENCODED = "tvsl_encoded"
_ENCODED_REMEDY = "Give a file that `Encoded.save` wrote."


@dataclass(frozen=True, eq=False, repr=False)
class Encoded:
    """A picture and its sound, encoded once.

    Attributes:
        tokens: Their tokens, B = 1; None where nothing sounds.
        size: Height and width of the picture in pixels.
        time: Time of the picture in its video, in seconds, or None.
        time_range: Start and end in seconds of the sound that was heard; None where nothing sounds.
        still: Whether the picture is that of the moment before.
        silence: What is said where nothing sounds.
        encoder: Fingerprint of the encoder; None where it is not known.
        picture: The picture, to be drawn on; None where it is not known, as after ``load``.
    """

    tokens: Tokens | None
    size: tuple[int, int]
    time: float | None
    time_range: tuple[float, float] | None
    still: bool = False
    silence: str | None = None
    encoder: str | None = None
    picture: PictureSource | None = None

    def __repr__(self) -> str:
        parts = [f"{self.size[1]} x {self.size[0]}", *at_time(self.time)]
        if self.tokens is None or self.time_range is None:
            parts.append("silent")
        else:
            start, end = self.time_range
            cells, sounds = self.tokens.visual.shape[1], self.tokens.audio.shape[1]
            parts += [f"heard {start:g} to {end:g} s", f"{cells} + {sounds} tokens"]
        return f"Encoded({', '.join(parts)})"

    def require_tokens(self) -> Tokens:
        """The tokens of what is known to sound.

        Raises:
            SilentAudioError: Nothing sounds.
        """
        if self.tokens is None:
            raise SilentAudioError("Nothing sounds here.", "Choose another moment or file.")
        return self.tokens

    def save(self, path: str | Path, force: bool = False) -> Path:
        """Write it as safetensors, whole or not at all; the picture itself is not in it.

        Args:
            path: The file; its folder must exist.
            force: Whether an existing file may be replaced.

        Raises:
            OutputError: The file exists and ``force`` is not set, or it cannot be written.
        """
        target, tokens = Path(path), self.tokens
        record = EncodedRecord(
            size=self.size,
            time=self.time,
            time_range=self.time_range,
            still=self.still,
            silence=self.silence,
            encoder=self.encoder,
            grid=None if tokens is None else tokens.grid,
            panels=1 if tokens is None else tokens.panels,
        )
        tensors = {} if tokens is None else {one: getattr(tokens, one).cpu() for one in TENSORS}
        check_free_file(target, force)
        with writable(target, "file"):
            metadata = {"format": "pt", _ENCODED: record.model_dump_json()}
            write_whole(target, lambda part: write_tensors(tensors, part, metadata))
        return target

    @classmethod
    def load(cls, path: str | Path) -> Encoded:
        """Read what ``save`` wrote; nothing in it is executed.

        Returns:
            The same, to the bit, on the CPU, without the picture.

        Raises:
            StoreError: There is no such file, it is damaged, or it holds something else.
        """
        if not Path(path).is_file():
            raise StoreError("There is no such file.", _ENCODED_REMEDY, path)
        try:
            tensors, metadata = read_tensors(Path(path), _ENCODED_REMEDY)
            record = EncodedRecord.model_validate_json(metadata.get(_ENCODED, ""))
            tokens = None
            if record.grid is not None:
                if not all(tensors[name].isfinite().all() for name in TENSORS):
                    raise StoreError("It holds values that are not finite.", _ENCODED_REMEDY, path)
                parts = {name: tensors[name] for name in TENSORS}
                tokens = Tokens(**parts, grid=record.grid, panels=record.panels)
        except WeightsError as error:
            raise StoreError(error.problem, error.remedy, path) from error
        except ShapeError as error:
            raise StoreError(error.problem, _ENCODED_REMEDY, path) from error
        except (ValidationError, KeyError) as error:
            raise StoreError(
                "The file holds no encoded picture and sound.", _ENCODED_REMEDY, path
            ) from error
        return cls(
            tokens,
            record.size,
            record.time,
            record.time_range,
            record.still,
            record.silence,
            record.encoder,
        )


def at_time(time: float | None) -> list[str]:
    """Words on a moment, for a representation; none without a time."""
    return [] if time is None else [f"at {time:g} s"]
