"""What every data set offers to training: labelled clips of one source each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, JsonValue

from tvsl.media.resampling import resample_blocks
from tvsl.strict_model import StrictModel


class ClipBatch(NamedTuple):
    """Some clips.

    Attributes:
        pictures: RGB, each (H, W, 3) uint8.
        waveforms: Mono in [-1, 1], all of one length, (n, S) float32.
        labels: Class of each clip's source, (n,) int64.
    """

    pictures: Sequence[NDArray[np.uint8]]
    waveforms: NDArray[np.float32]
    labels: NDArray[np.int64]


class ClipSet(StrictModel, ABC):
    """A data set: what identifies it are its fields, the options that a user may set.

    Attributes:
        count: How many clips.
        seed: Decides what is drawn, where anything is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    count: int = Field(gt=0)
    seed: int = Field(0, ge=0, lt=2**63)

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Class names; labels count in their order."""

    @abstractmethod
    def description(self) -> dict[str, JsonValue]:
        """What the clips depend on, content included: what is kept of them is kept for this."""

    def without(self, ids: Collection[str]) -> ClipSet:  # noqa: ARG002
        """The same clips but some; all of them where clips are made and have no ids.

        Args:
            ids: Ids of items that must not be among them.
        """
        return self

    def require_files(self) -> None:
        """Let through only clips whose files are all there; clips that are made have none.

        Raises:
            MissingFileError: Files are missing; the message says how many.
        """

    def labels(self) -> NDArray[np.int64] | None:
        """Class of each clip, (count,), where it is known without reading; None where it is not."""
        return None

    @abstractmethod
    def read(self, numbers: Sequence[int], sample_rate: int) -> ClipBatch:
        """Read some clips; may be called by several threads.

        Args:
            numbers: Which of them, from 0 to ``count`` - 1.
            sample_rate: Samples per second that the sounds shall have.

        Returns:
            The clips, in the order given.

        Raises:
            MediaError: A file cannot be used; nothing is ever put in its place.
        """


def resampled(waveform: NDArray[np.float32], rate: int, sample_rate: int) -> NDArray[np.float32]:
    """A sound at another rate.

    Args:
        waveform: Mono, (S,).
        rate: Its samples per second.
        sample_rate: Samples per second of the result.

    Returns:
        As long a sound, (S',); the same array where the rates are equal.
    """
    if rate == sample_rate:
        return waveform
    length = round(len(waveform) * sample_rate / rate)
    return np.concatenate([*resample_blocks([waveform], rate, sample_rate)])[:length]
