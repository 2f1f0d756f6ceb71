"""The errors of this package: each names what is wrong, in which file, and the remedy."""

from __future__ import annotations

from pathlib import Path


class TvslError(Exception):
    """Base of every error that this package raises on purpose.

    Args:
        problem: What is wrong, one sentence without the path.
        remedy: What the reader can do about it, one sentence.
        path: The file that is concerned, if there is one.

    Attributes:
        problem: As given.
        remedy: As given.
        path: As given.
    """

    def __init__(self, problem: str, remedy: str, path: str | Path | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        self.path = None if path is None else Path(path)
        where = "" if path is None else f"{path}: "
        super().__init__(f"{where}{problem} {remedy}")

    def __reduce__(self) -> tuple[type[TvslError], tuple[str, str, Path | None]]:
        """An error passes from one process to another with all that it says."""
        return type(self), (self.problem, self.remedy, self.path)


class UsageError(TvslError):
    """Options that contradict each other or an argument outside its range."""


class DivergedError(UsageError):
    """A training whose loss is no longer finite."""


class ShapeError(TvslError):
    """An array or tensor of another shape, type or range than the contract says."""


class VocabularyError(TvslError):
    """A class name that the vocabulary or the model cannot express."""


class WeightsError(TvslError):
    """A checkpoint that is missing, damaged, unsafe or of another model."""


class DataError(TvslError):
    """A data set's list or annotation that is missing, damaged or contradicts itself."""


class StoreError(TvslError):
    """Tokens that were kept for something else, or that are incomplete or damaged."""


class MediaError(TvslError):
    """A picture, sound or video that cannot be used."""


class MissingFileError(MediaError):
    """There is no such file, it is not a regular file, or it is empty."""


class UnreadableMediaError(MediaError):
    """The file exists but is broken, truncated or of no known format."""


class NoPictureError(MediaError):
    """The file has no video stream or no decodable picture."""


class NoSoundError(MediaError):
    """The file has no audio stream."""


class SilentAudioError(MediaError):
    """The sound is there but holds nothing to localize: it is silent throughout."""


class MediaLimitError(MediaError):
    """The file exceeds a safety limit on pixels, duration, rate or channels."""


class OutputError(TvslError):
    """A result cannot be written: it exists already, or the place is not writable."""
