"""Pictures of every second of a video, named as in the lists of MUSIC.

A name is the video's id, the second and the number of the picture in the video. Of each second
there are four: in a video of R pictures per second, R rounded, those numbered R s + k (R // 4)
for k from 0 to 3. The rule is read off the lists of AVGN: 353 of their 355 videos hold to it, and
two of few pictures per second count them without rounding R.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tvsl.errors import MediaError

_PER_SECOND = 4
# The names have room for three and five digits.
_MOST_SECONDS = 1000
_MOST_PICTURES = 100_000
_SHORT_NAME = re.compile(r"(.{11,})_([0-9]{1,3})_([0-9]{1,5})")
_NAME = re.compile(r"(.+)_([0-9]{3})_([0-9]{5})")


def full_name(name: str) -> str | None:
    """A picture's name with as many digits as it should have; None where it is no picture's."""
    found = _SHORT_NAME.fullmatch(name)
    return None if found is None else f"{found[1]}_{int(found[2]):03d}_{int(found[3]):05d}"


def split_name(name: str) -> tuple[str, int, int] | None:
    """A picture's video, second and number; None where the name is no picture's."""
    found = _NAME.fullmatch(name)
    return None if found is None else (found[1], int(found[2]), int(found[3]))


def every_second(video: str, duration: float, rate: float) -> dict[str, float]:
    """The pictures of a video that are taken unless a list tells which.

    Args:
        video: The video's id.
        duration: Its length in seconds.
        rate: Its pictures per second.

    Returns:
        The moment of each picture in seconds by its name, in their order; names have room for the
        first 1000 seconds.
    """
    whole = max(1, round(rate))
    step = max(1, whole // _PER_SECOND)
    moments: dict[str, float] = {}
    for second in range(_MOST_SECONDS):
        for number in range(second * whole, (second + 1) * whole, step)[:_PER_SECOND]:
            if number / rate >= duration or number >= _MOST_PICTURES:
                return moments
            moments[f"{video}_{second:03d}_{number:05d}"] = number / rate
    return moments


def listed_pictures(names: Iterable[str], rate: float) -> dict[str, float]:
    """The moments of pictures that a list names.

    Args:
        names: Names of pictures of one video.
        rate: The video's pictures per second.

    Returns:
        The moment of each picture in seconds by its name, in their order.

    Raises:
        MediaError: Numbers and seconds do not belong together at this rate: the list was made for
            another version of the video.
    """
    whole = max(1, round(rate))
    moments: dict[str, float] = {}
    for name in names:
        parts = split_name(name)
        if parts is None or parts[1] not in (parts[2] // whole, int(parts[2] / rate)):
            raise MediaError(
                f"The list's '{name}' cannot be found at {rate:.2f} pictures per second.",
                "Get the version of the video that the list was made for.",
            )
        moments[name] = parts[2] / rate
    return dict(sorted(moments.items(), key=lambda item: item[1]))
