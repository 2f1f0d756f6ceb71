"""Pictures whose pixels are numbers of objects, not colours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import UnreadableMediaError
from tvsl.media.image import is_white_zero, lying, orientation, shallow_step, upright_shape
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, check_file
from tvsl.media.pillow import decode, open_image

_MODES: Final = ("P", "L", "1", "I", "I;16", "I;16B")
_LOSSY: Final = ("JPEG", "MPO")


def load_object_map(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> NDArray[np.int64]:
    """Load which object each pixel shows.

    Args:
        path: A picture of one value a pixel, such as a PNG with a palette or in grey.
        limits: What is allowed.

    Returns:
        (H, W): the values as they are stored, upright as the picture's; a palette is ignored.

    Raises:
        MissingFileError: No such file.
        UnreadableMediaError: The file is broken, its values are not those that were written, or
            it has several values a pixel or negative ones.
        MediaLimitError: The picture exceeds a limit.
    """
    target = check_file(path, limits)
    with open_image(target, limits) as image:
        if image.mode not in _MODES:
            raise _no_map(f"has several values a pixel (mode {image.mode})", target)
        if image.format in _LOSSY:
            raise _no_map("is a JPEG, which changes values", target)
        if is_white_zero(image):
            raise _no_map("is a TIFF whose values fall from black to white", target)
        step = shallow_step(image)
        decode(image, target)
        turned = orientation(image)
        values = np.empty(upright_shape(image, turned), np.int64)
        lying(values, turned)[...] = np.asarray(image)
    if values.min() < 0:
        raise _no_map(f"has negative values, down to {values.min()}", target)
    return values // step


def _no_map(what: str, path: Path) -> UnreadableMediaError:
    return UnreadableMediaError(
        f"The map of objects {what}.", "Save it as PNG in grey or with a palette.", path
    )
