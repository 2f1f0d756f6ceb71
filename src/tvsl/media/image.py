"""Load pictures: any raster format that Pillow reads itself, as upright 8-bit RGB."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tvsl.errors import MediaLimitError, ShapeError, UnreadableMediaError
from tvsl.media.limits import DEFAULT_LIMITS, RAISE_LIMIT, MediaLimits, check_file, check_pixels

ImageSource: TypeAlias = "str | Path | Image.Image | NDArray[Any]"

# Formats with a signature of their own; none that Pillow hands to another program (EPS).
FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "BMP",
    "DIB",
    "GIF",
    "TIFF",
    "PPM",
    "AVIF",
    "JPEG2000",
    "ICO",
    "MPO",
)
# What Pillow's decoders raise on broken input, beside its own UnidentifiedImageError (an OSError).
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
EXIF_ORIENTATION = 0x0112
# What undoes each EXIF orientation: a mirrored or turned way in which the camera was held.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pixels of 16 bits to 8 bits: 65535 / 255.
DEEP_STEP = 257


def load_image(source: ImageSource, limits: MediaLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Load a picture.

    Transparent parts become white, 16-bit grey is scaled to 8 bits, the camera's orientation mark
    is obeyed, and of an animated file the first picture is taken. Colour profiles are ignored.

    Args:
        source: A file, a Pillow image (its current frame), or an array: uint8, (H, W, 3) RGB,
            (H, W) grey or (H, W, 4) RGB with alpha.
        limits: What is allowed.

    Returns:
        (H, W, 3) uint8 RGB; an RGB array comes back as it is, without a copy.

    Raises:
        MissingFileError: No such file.
        UnreadableMediaError: The file is broken, cut off or of no known format.
        MediaLimitError: The picture exceeds a limit.
        ShapeError: An array of another shape or type.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, limits)
    if isinstance(source, Image.Image):
        with _decode_errors(None):
            return _to_rgb(source, None, limits)
    if not isinstance(source, (str, Path)):
        raise ShapeError(
            f"A picture cannot be made from {type(source).__name__}.",
            "Give a path, a Pillow image or an array.",
        )
    path = check_file(source, limits)
    with open_image(path) as image:
        return _to_rgb(image, path, limits)


def shrink(picture: NDArray[np.uint8], short_side: int) -> NDArray[np.uint8]:
    """Reduce a picture so that its shorter side has a number of pixels, in its shape.

    Args:
        picture: (H, W, 3) RGB.
        short_side: Pixels of the shorter side.

    Returns:
        (H', W', 3); the given picture where its shorter side is no longer than that.
    """
    height, width = picture.shape[:2]
    factor = short_side / min(height, width)
    if factor >= 1:
        return picture
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open a picture file without decoding it; errors inside the block become our own.

    Args:
        path: A file that exists.

    Yields:
        The opened picture: its size is known, its pixels are not read yet.

    Raises:
        UnreadableMediaError: The file is broken or of no known format.
        MediaLimitError: The picture is larger than Pillow ever reads.
    """
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    with _decode_errors(path), warnings.catch_warnings():
        # Our own limit is checked right after, and names the file and the remedy.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path, formats=formats) as image:
            yield image


@contextmanager
def _decode_errors(path: Path | None) -> Iterator[None]:
    """Turn what Pillow raises on broken pictures into errors of this package."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise MediaLimitError(
            f"The picture has more pixels than Pillow reads ({error}).", RAISE_LIMIT, path
        ) from error
    except DECODE_ERRORS as error:
        # Pillow's reason would be the path once more.
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        raise UnreadableMediaError(
            f"The picture is broken, cut off or of no known format{why}.",
            "Convert it to JPEG or PNG, or copy it again.",
            path,
        ) from error


def _from_array(source: NDArray[Any], limits: MediaLimits) -> NDArray[np.uint8]:
    """A picture from an array, checked."""
    channels = 1 if source.ndim == 2 else source.shape[-1] if source.ndim == 3 else 0
    if source.dtype != np.uint8 or source.size == 0 or channels not in (1, 3, 4):
        raise ShapeError(
            f"A picture cannot be made from {source.dtype} of shape {source.shape}.",
            "Give uint8 of shape (H, W, 3), (H, W) or (H, W, 4).",
        )
    if source.ndim == 3 and channels == 1:
        raise ShapeError(
            f"A picture cannot be made from shape {source.shape}.",
            "Give a grey picture without the last axis: (H, W).",
        )
    check_pixels(None, source.shape[1], source.shape[0], limits)
    if channels == 1:
        return np.repeat(source[:, :, None], 3, axis=2)
    return source if channels == 3 else _over_white(source)


def _over_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a picture with alpha, (H, W, 4), over white; (H, W, 3)."""
    alpha = pixels[:, :, 3:].astype(np.uint16)
    colour = pixels[:, :, :3].astype(np.uint16)
    # At most 255 x 255 + 127, which 16 bits hold.
    blended: NDArray[np.uint8] = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(
        np.uint8
    )
    return blended


def _to_rgb(image: Image.Image, path: Path | None, limits: MediaLimits) -> NDArray[np.uint8]:
    """An opened picture as (H, W, 3) uint8, upright; its size is checked before it is decoded."""
    check_pixels(path, image.width, image.height, limits)
    turn = UPRIGHT.get(image.getexif().get(EXIF_ORIENTATION, 1))
    upright = image if turn is None else image.transpose(turn)
    if upright.mode.startswith("I") or upright.mode == "F":
        return _from_deep_grey(upright, path)
    if upright.has_transparency_data or image.has_transparency_data:
        return _over_white(np.asarray(upright.convert("RGBA")))
    return np.array(upright.convert("RGB"), dtype=np.uint8)


def _from_deep_grey(image: Image.Image, path: Path | None) -> NDArray[np.uint8]:
    """Grey of 16 bits as (H, W, 3) uint8; other deep pixels have no agreed range."""
    values = np.asarray(image)
    if image.mode == "F" or int(values.min()) < 0 or int(values.max()) > 65535:
        raise UnreadableMediaError(
            f"The picture's pixels (mode {image.mode}) have no agreed range.",
            "Save it with 8 or 16 bits per channel.",
            path,
        )
    grey = ((values.astype(np.uint32) + DEEP_STEP // 2) // DEEP_STEP).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
