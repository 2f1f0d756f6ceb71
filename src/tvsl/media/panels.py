"""Pictures that hold several frames side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import UsageError


def cut_panels(
    picture: NDArray[np.uint8], panels: int, path: str | Path | None = None
) -> list[NDArray[np.uint8]]:
    """Cut a picture into equal parts that stand side by side.

    Args:
        picture: (H, W, 3).
        panels: How many parts, at least 1.
        path: Where the picture is from, for the message.

    Returns:
        The parts from left to right, each (H, W / panels, 3); views of the picture.

    Raises:
        UsageError: The width cannot be divided so.
    """
    width = picture.shape[1]
    if panels < 1 or width % panels:
        raise UsageError(
            f"A picture {width} pixels wide cannot be cut into {panels} equal panels.",
            "Give the number of pictures that stand side by side in it, 1 for a usual picture.",
            path,
        )
    return np.split(picture, panels, axis=1)
