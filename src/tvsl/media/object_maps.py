"""Pictures whose pixels are numbers of objects, not colours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import UnreadableMediaError
from tvsl.media.image import open_image
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, check_file, check_pixels

_MODES: Final = ("P", "L", "1", "I", "I;16", "I;16B")


def load_object_map(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> NDArray[np.int64]:
    """Load which object each pixel shows.

    Args:
        path: A picture of one value a pixel, such as a PNG with a palette or in grey.
        limits: What is allowed.

    Returns:
        (H, W): the values as they are stored; a palette is ignored.

    Raises:
        MissingFileError: No such file.
        UnreadableMediaError: The file is broken, or has several values a pixel.
        MediaLimitError: The picture exceeds a limit.
    """
    target = check_file(path, limits)
    with open_image(target) as image:
        check_pixels(target, image.width, image.height, limits)
        if image.mode not in _MODES:
            raise UnreadableMediaError(
                f"The map of objects has several values a pixel (mode {image.mode}).",
                "Save it as PNG in grey or with a palette; JPEG changes values.",
                target,
            )
        return np.array(image).astype(np.int64)
