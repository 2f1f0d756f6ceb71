"""Tell pictures, videos and sounds apart by what a file holds, whatever its name ends in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from tvsl.errors import UnreadableMediaError
from tvsl.media.image import open_image
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, check_file, check_pixels, open_container
from tvsl.media.streams import picture_stream, sound_stream

Sort: TypeAlias = Literal["video", "picture", "sound"]


def sort_of(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> Sort:
    """Decide what a file is; nothing is decoded, so its content may still turn out broken.

    Args:
        path: The file.
        limits: What is allowed.

    Returns:
        ``picture`` for everything that Pillow knows (an animated GIF too), else ``video`` where
        there is a video stream other than cover art, else ``sound``.

    Raises:
        MissingFileError: No such file.
        UnreadableMediaError: It is none of the three.
        MediaLimitError: The file exceeds a limit.
    """
    target = check_file(path, limits)
    if _is_picture(target, limits):
        return "picture"
    with open_container(target, limits) as container:
        if picture_stream(container) is not None:
            return "video"
        if sound_stream(container) is not None:
            return "sound"
    raise UnreadableMediaError(
        "The file holds neither picture nor sound.", "Give a picture, video or sound file.", target
    )


def is_video(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> bool:
    """Whether a file is a video.

    Args:
        path: The file.
        limits: What is allowed.

    Returns:
        True for a video, False for a picture or sound.

    Raises:
        MissingFileError: No such file.
        UnreadableMediaError: It is neither picture, video nor sound.
        MediaLimitError: The file exceeds a limit.
    """
    return sort_of(path, limits) == "video"


def _is_picture(path: Path, limits: MediaLimits) -> bool:
    """Whether Pillow knows the file's format."""
    try:
        with open_image(path) as image:
            check_pixels(path, image.width, image.height, limits)
    except UnreadableMediaError:
        return False  # not a picture; what it is instead is found out by the caller
    return True
