"""From uint8 pictures to what CLIP's image encoder was trained on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tvsl.errors import ShapeError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
MAX_ASPECT = 4.0


def fitting_size(size: tuple[int, int], resolution: int, cell: int) -> tuple[int, int]:
    """Height and width in whole cells that keep a picture's aspect.

    Args:
        size: Height and width of the picture.
        resolution: Length of the shorter side.
        cell: Side of a cell; both results are multiples of it.

    Returns:
        Height and width; the longer side at most ``MAX_ASPECT`` times the shorter.
    """
    height, width = size
    aspect = min(max(height, width) / min(height, width), MAX_ASPECT)
    longer = max(resolution, round(resolution * aspect / cell) * cell)
    return (longer, resolution) if height > width else (resolution, longer)


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a picture (H, W, 3) to ``size`` (height, width), bicubic with antialiasing."""
    if image.shape[:2] == size:
        return image
    resized = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def normalise(images: NDArray[np.uint8]) -> Tensor:
    """Scale pictures by CLIP's mean and deviation.

    Args:
        images: RGB, (B, H, W, 3), uint8.

    Returns:
        (B, 3, H, W), float32.

    Raises:
        ShapeError: Another shape or type.
    """
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ShapeError(
            f"Pictures must be uint8 (B, H, W, 3), got {images.shape} {images.dtype}.",
            "Load them with `tvsl.media.load_image`.",
        )
    pixels = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255.0
    mean, deviation = torch.tensor(CLIP_MEAN), torch.tensor(CLIP_DEVIATION)
    return (pixels - mean[:, None, None]) / deviation[:, None, None]
