"""The form of ``localization.json``: its records, and the JSON Schema that is made of them.

``localization.schema.json`` beside this file is ``json_schema()``; a test compares the two.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from tvsl.errors import UnreadableMediaError, first_problem
from tvsl.utils.atomic import write_text
from tvsl.utils.files import read_small_json, to_json
from tvsl.utils.strict_model import StrictModel

VERSION: Final = 1
SCHEMA_NAME: Final = "localization.schema.json"
LARGEST_FILE: Final = 2**30
"""Maximum bytes of a file that is read; larger ones are written all the same."""
LARGE_REMEDY: Final = (
    "A larger --every, or a stretch from --start to --end, makes it smaller; --format csv has the "
    "boxes alone."
)
_REMEDY: Final = "Give a file that `tvsl localize` or `Localization.save` wrote."

BoxRecord: TypeAlias = Annotated[
    tuple[
        Annotated[int, Field(ge=0)],
        Annotated[int, Field(ge=0)],
        Annotated[int, Field(ge=1)],
        Annotated[int, Field(ge=1)],
    ],
    Field(
        description="Left, top, right, bottom in pixels of the picture as shown; right and bottom "
        "are exclusive."
    ),
]
TimeRange: TypeAlias = Annotated[
    tuple[float, float], Field(description="Start and end in seconds.")
]
LabelOrigin: TypeAlias = Literal["given", "detected"]


class _FormatRecord(StrictModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


R = TypeVar("R", bound=_FormatRecord)


class SourceRecord(_FormatRecord):
    """One sounding object at one moment."""

    label: str = Field(description="Class name, spelled as it was given.")
    also: list[str] = Field([], description="Names of nearly the same meaning, merged with it.")
    score: float = Field(description="Certainty that the class sounds, on the detector's scale.")
    duplicate_of: str | None = Field(
        description="Label of a more certain source of this moment whose box is nearly the same."
    )
    box: BoxRecord | None = Field(description="Box; null for a map without contrast.")
    time_range: TimeRange | None = Field(description="Sound that was heard, in seconds.")
    map: list[list[float]] = Field(description="Raw map, rows of columns; higher is likelier.")


class MomentRecord(_FormatRecord):
    """Sources at one moment of a video, or in one picture."""

    time: float | None = Field(description="Seconds from the first picture; null for a picture.")
    heard: TimeRange | None = Field(description="Sound that was heard; null where nothing sounds.")
    still: bool = Field(description="Whether the picture is that of the moment before.")
    width: int = Field(ge=1, description="Columns of the picture as shown.")
    height: int = Field(ge=1, description="Rows of the picture as shown.")
    model: str = Field(description="Name of the encoder and its head.")
    label_source: LabelOrigin = Field(description="Labels given by the user, or detected.")
    threshold: float | None = Field(
        description="Score from which a class sounds, where the head is calibrated."
    )
    notices: list[str] = Field([], description="What the model says of the request.")
    box_protocol: str = Field(description="How a box is made of a map.")
    box_pixels: str = Field(description="Pixels that boxes are counted in.")
    sources: list[SourceRecord] = Field(description="Its sources; empty where nothing sounds.")


class SegmentRecord(_FormatRecord):
    """One source from when it begins to sound until it ends."""

    label: str = Field(description="Class name.")
    also: list[str] = Field([], description="Names of nearly the same meaning, merged with it.")
    start: float = Field(description="Its first second.")
    end: float = Field(description="The second at which it is over.")
    moments: int = Field(ge=1, description="Number of its moments.")
    score: float = Field(description="Mean of its scores.")
    peak: float = Field(description="Largest of its scores.")
    peak_time: float | None = Field(description="Time of that moment; null for a picture.")
    box: BoxRecord | None = Field(description="Mean box: the mean of each corner.")
    duplicate_of: str | None = Field(
        description="Label that it is marked with as a duplicate at most of its moments."
    )


class ResolutionRecord(_FormatRecord):
    """Steps and windows in time by which a video was heard."""

    step: float | None = Field(description="Seconds from moment to moment; null for one moment.")
    window: float = Field(description="Longest sound around a moment, in seconds.")
    span: float = Field(description="Seconds around a moment in which something must sound.")


class StoredRecord(_FormatRecord):
    """Pictures of a video as stored, before they are turned upright and stretched."""

    width: int = Field(description="Stored columns.")
    height: int = Field(description="Stored rows.")
    sample_aspect_ratio: str = Field(description="Shape of a stored pixel, width:height.")
    rotation: int = Field(description="Clockwise degrees for display.")


class SettingsRecord(_FormatRecord):
    """Options that shape the result."""

    head: str | None = Field(description="Folder of the head, if it is not the model's own.")
    preset: str | None = Field(description="Preset of an untrained head.")
    method: str | None = Field(description="Method that was asked for.")
    precision: str = Field(description="Arithmetic of the encoder.")
    flip_average: str | None = Field(description="Average with the flipped picture.")
    at: float | None = Field(description="The one moment, in seconds.")
    every: float | None = Field(description="Seconds from moment to moment.")
    start: float | None = Field(description="First moment, in seconds.")
    end: float | None = Field(description="End of the moments, in seconds.")
    window: float = Field(description="Longest sound heard at once, in seconds.")
    panels: int = Field(ge=1, description="Pictures that stand side by side in each.")
    same_meaning: float | None = Field(
        None, description="Cosine from which names are one to the model; 1 for none."
    )
    audio_stream: bool = Field(
        False, description="Whether the sound of a video was encoded once, not window by window."
    )
    smooth: float | None = Field(description="Seconds over which maps are averaged.")


class LocalizationRecord(_FormatRecord):
    """The whole file."""

    version: Literal[1] = Field(description="Version of this form.")
    input: str = Field(description="The video or picture, as it was named.")
    audio: str | None = Field(description="The sound of a picture, as it was named.")
    tvsl: str = Field(description="Version of tvsl.")
    model: str = Field(description="Name of the encoder and its head.")
    encoder_sha256: str = Field(description="Fingerprint of the encoder's weights.")
    settings: SettingsRecord = Field(description="Options that shape the result.")
    label_source: LabelOrigin = Field(description="Labels given by the user, or detected.")
    resolution: ResolutionRecord | None = Field(description="Null for a picture.")
    stored: StoredRecord | None = Field(description="Null for a picture.")
    warnings: list[str] = Field(description="Oddities of the files that were read.")
    notices: list[str] = Field([], description="What the model says of the request.")
    files: list[str] = Field(description="Files that were written beside this one.")
    segments: list[SegmentRecord] = Field(description="Sources from start to end.")
    moments: list[MomentRecord] = Field(description="All moments, in the order of time.")

    @classmethod
    def from_dict(cls, content: Any) -> LocalizationRecord:
        """Check the content of a ``localization.json``.

        Raises:
            UnreadableMediaError: It has another form, or another version of it.
        """
        return checked(cls, content)

    @classmethod
    def load(cls, path: str | Path) -> LocalizationRecord:
        """Read a ``localization.json``.

        Raises:
            UnreadableMediaError: There is no such file, or it has another form.
        """
        return checked(cls, read_content(path), path)


def moment_records(content: Any, path: str | Path | None = None) -> list[MomentRecord]:
    """The moments of a whole file, or the one that ``Localization.to_dict`` gives.

    Args:
        content: Plain JSON types.
        path: The file that they come from, for messages.

    Raises:
        UnreadableMediaError: It has another form.
    """
    if isinstance(content, dict) and "moments" in content:
        return checked(LocalizationRecord, content, path).moments
    return [checked(MomentRecord, content, path)]


def read_content(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        UnreadableMediaError: There is no such file, it is too large, or it holds no JSON.
    """
    remedy = _REMEDY
    with suppress(OSError, ValueError):  # there is no such file
        remedy = LARGE_REMEDY if Path(path).stat().st_size > LARGEST_FILE else _REMEDY
    return read_small_json(path, LARGEST_FILE, UnreadableMediaError, remedy)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of ``localization.json`` (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"tvsl/{SCHEMA_NAME}",
        **LocalizationRecord.model_json_schema(),
    }


def write_schema() -> None:
    """Write ``localization.schema.json`` beside this file."""
    write_text(Path(__file__).with_name(SCHEMA_NAME), f"{to_json(json_schema())}\n")


def checked(kind: type[R], content: Any, path: str | Path | None = None) -> R:
    """A record of some content.

    Args:
        kind: Its class.
        content: Plain JSON types.
        path: The file that they come from, for messages.

    Raises:
        UnreadableMediaError: They have another form.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise UnreadableMediaError(
            f"This is no result of tvsl: {first_problem(error)}.", _REMEDY, path
        ) from error
