"""What is taken of each video; a prepared folder is made with one set of options throughout."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tvsl.data.preparing.layouts import LAYOUTS, Moment, Window
from tvsl.errors import UsageError
from tvsl.media import DEFAULT_LIMITS, DEFAULT_RATE


class Options(BaseModel):
    """What is taken of each video.

    Attributes:
        layout: A name of ``LAYOUTS``: how the videos are named.
        at: The moment of the picture in seconds, or ``middle``; None for pictures of every second.
        window: Seconds of sound around the moment, or ``whole``.
        rate: Samples per second of the sound.
        short_side: Pixels of the shorter side that larger pictures are reduced to; None for the
            pictures as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    layout: str
    at: Annotated[float, Field(ge=0)] | Literal["middle"] | None
    window: Annotated[float, Field(gt=0)] | Literal["whole"]
    rate: int = Field(ge=DEFAULT_LIMITS.min_sample_rate, le=DEFAULT_LIMITS.max_sample_rate)
    short_side: int | None = Field(None, gt=0)


def make_options(
    layout: str = "folder",
    at: Moment | None = None,
    window: Window | None = None,
    rate: int = DEFAULT_RATE,
    short_side: int | None = None,
) -> Options:
    """Options that fit together.

    Args:
        layout: A name of ``LAYOUTS``.
        at: As for ``Options``; the layout's own when None.
        window: As for ``Options``; the layout's own when None.
        rate: As for ``Options``.
        short_side: As for ``Options``.

    Returns:
        The options.

    Raises:
        UsageError: There is no such layout, or an option is out of its range or means nothing
            with this layout.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"There is no layout '{layout}'.", f"Layouts: {', '.join(LAYOUTS)}.")
    own = LAYOUTS[layout]
    if own.at is None and (at is not None or window not in (None, own.window)):
        raise UsageError(
            f"The layout '{layout}' takes pictures of every second and the whole sound.",
            "Leave the moment and the window out.",
        )
    try:
        return Options(
            layout=layout,
            at=own.at if at is None else at,
            window=own.window if window is None else window,
            rate=rate,
            short_side=short_side,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"The option '{first['loc'][0]}' cannot be {first['input']!r}: {first['msg']}.",
            "Correct this option.",
        ) from error
