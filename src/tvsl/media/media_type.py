"""Media type of a file, by its content and not by the ending of its name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from tvsl.errors import UnreadableMediaError
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, check_file, open_container
from tvsl.media.pillow import PICTURE_ENDINGS, has_picture_signature, open_image
from tvsl.media.streams import audio_stream, video_stream

# Pictures that are not read: the error asks to save them in another format.
_OTHER_PICTURES = frozenset(
    {".tga", ".heic", ".heif", ".psd", ".exr", ".hdr", ".pcx", ".svg", ".eps", ".dds", ".sgi"}
    | {".xcf", ".icns", ".jxl", ".xbm", ".xpm", ".cr2", ".nef", ".arw", ".dng"}
)

MediaType: TypeAlias = Literal["video", "picture", "sound"]


def media_type_of(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> MediaType:
    """Media type of a file; nothing is decoded, so its content may still be broken.

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
    try:
        with open_image(target, limits):
            return "picture"
    except UnreadableMediaError as error:
        if has_picture_signature(target):
            raise
        no_picture = error.with_traceback(None)  # it would hold this frame in a cycle
    try:
        with open_container(target, limits) as container:
            if video_stream(container) is not None:
                return "video"
            if audio_stream(container) is not None:
                return "sound"
    except UnreadableMediaError as error:
        if target.suffix.lower() in {*PICTURE_ENDINGS, *_OTHER_PICTURES}:
            raise no_picture from error
        raise
    raise UnreadableMediaError(
        "The file holds neither picture nor sound.", "Give a picture, video or sound file.", target
    )
