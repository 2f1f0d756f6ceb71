"""Pictures from files: upright 8-bit RGB, resized, in panels, and maps of object numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tvsl.errors import MediaLimitError, ShapeError, UnreadableMediaError, UsageError
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, check_file, check_pixels
from tvsl.media.pillow import decode, open_image, pillow_calls
from tvsl.utils.devices import to_array

if TYPE_CHECKING:
    from torch import Tensor

ImageSource: TypeAlias = "str | Path | Image.Image | NDArray[Any] | Tensor"

Pixels: TypeAlias = NDArray[Any]

EXIF_ORIENTATION: Final = 0x0112
# The stored order of pixels as a view of the upright picture, by EXIF orientation.
_STORED_VIEWS: Final[dict[int, Callable[[Pixels], Pixels]]] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}
_SWAPS_SIDES: Final = 5
# Pixels that are converted at once: few enough that copies of them weigh little.
_BAND_PIXELS: Final = 2**20
_SAVE_ANEW: Final = "Save it with 8 or 16 bits per channel, e.g. as PNG."
# Numbers of TIFF's tags and of their values.
_TIFF_BITS, _TIFF_MEANING, _TIFF_BYTE_COUNTS, _TIFF_SAMPLES = 258, 262, 279, 339
_TIFF_WHITE_IS_ZERO, _TIFF_YCBCR, _TIFF_UNSIGNED = 0, 6, 1
# Factor by which Pillow multiplies grey of 2 and 4 bits, but not the transparent value.
_SHALLOW: Final = {"L;2": 85, "L;2R": 85, "L;4": 17, "L;4R": 17}

_MODES: Final = ("P", "L", "1", "I", "I;16", "I;16B")
_LOSSY: Final = ("JPEG", "MPO")

MAX_ASPECT: Final = 4.0
"""Longest side over shortest of a picture that is resized to whole cells."""


_BLOCKS = 32
# Coding a picture anew moves the mean of a block by one or two levels of 255; what moves, by more.
_CODING_NOISE = 3


def load_image(source: ImageSource, limits: MediaLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Load a picture.

    Transparent parts become white, 16-bit grey is scaled to 8 bits, the camera's orientation mark
    is obeyed (in EXIF, else in XMP), and of an animated file the first picture is taken. Colour
    profiles are ignored.

    Args:
        source: A file, a Pillow image (its current frame), or an array: uint8, or floats in
            [0, 1], of shape (H, W, 3) RGB, (H, W) grey or (H, W, 4) RGB with alpha. A tensor of
            torch may also have its channels first, as torch's own pictures do: (3, H, W), (1, H, W)
            or (4, H, W).
        limits: What is allowed.

    Returns:
        (H, W, 3) uint8 RGB; an RGB array of this type comes back as it is, without a copy.

    Raises:
        MissingFileError: No such file.
        UnreadableMediaError: The file is broken, cut off or of no known format, or its pixels
            have no agreed range.
        MediaLimitError: The picture exceeds a limit, or memory.
        ShapeError: An array of another shape, type or range, or a picture without pixels.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, limits)
    if hasattr(source, "detach"):
        return _from_array(_channels_last(to_array(source)), limits)
    if isinstance(source, Image.Image):
        return _to_rgb(source, None, limits)
    if not isinstance(source, (str, Path)):
        raise ShapeError(
            f"A picture cannot be made from {type(source).__name__}.",
            "Give a path, a Pillow image, an array or a tensor.",
        )
    path = check_file(source, limits)
    with open_image(path, limits) as image:
        return _to_rgb(image, path, limits)


def shrink(picture: NDArray[np.uint8], short_side: int) -> NDArray[np.uint8]:
    """Reduce a picture to a length of its shorter side; its aspect stays.

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
    """Resize a picture, bicubic with antialiasing.

    Args:
        image: (H, W, 3).
        size: Height and width of the result.

    Returns:
        The resized picture; the given one if it has that size.
    """
    if image.shape[:2] == size:
        return image
    resized = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def block_means(picture: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Mean colours, (32, 32, 3), of blocks of a picture (H, W, 3), by which two are compared."""
    blocks = Image.fromarray(picture).resize((_BLOCKS, _BLOCKS), Image.Resampling.BOX)
    return np.asarray(blocks).astype(np.int16)


def same_blocks(first: NDArray[np.int16], second: NDArray[np.int16]) -> bool:
    """Tell whether two pictures are the same but for the noise of coding.

    Args:
        first: ``block_means`` of one picture.
        second: Those of the other.
    """
    return bool(np.abs(first - second).max() <= _CODING_NOISE)


def orientation(image: Image.Image) -> int:
    """EXIF orientation of a decoded picture, from its EXIF or XMP mark.

    Of formats that Pillow turns upright itself (TIFF) nothing is left to do once it is decoded,
    whatever the file says.

    Returns:
        1 to 8; 1, upright, also if the marks cannot be read, as viewers do.
    """
    try:
        with pillow_calls(None):
            mark = image.getexif().get(EXIF_ORIENTATION, 1)
    except UnreadableMediaError:
        return 1
    return mark if mark in _STORED_VIEWS else 1


def _stored_view(upright: Pixels, turned: int) -> Pixels:
    """View of an upright picture, (H, W, ...), in the order of pixels that the file has."""
    return _STORED_VIEWS[turned](upright) if turned in _STORED_VIEWS else upright


def _upright_shape(image: Image.Image, turned: int) -> tuple[int, int]:
    """Height and width of a decoded picture once it is upright."""
    width, height = image.size
    return (width, height) if turned >= _SWAPS_SIDES else (height, width)


def _is_white_zero(image: Image.Image) -> bool:
    """Tell whether a TIFF stores white as zero; Pillow inverts such values of 8 bits only."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(_TIFF_MEANING, _TIFF_WHITE_IS_ZERO) == _TIFF_WHITE_IS_ZERO


def _grey_factor(image: Image.Image) -> int:
    """Factor by which Pillow multiplies the grey values of an opened file, not decoded yet."""
    return _SHALLOW.get(_raw_mode(image), 1)


def _from_array(source: NDArray[Any], limits: MediaLimits) -> NDArray[np.uint8]:
    """A picture from an array, checked."""
    channels = 1 if source.ndim == 2 else source.shape[-1] if source.ndim == 3 else 0
    known = source.dtype == np.uint8 or source.dtype.kind == "f"
    if not known or source.size == 0 or channels not in (1, 3, 4):
        raise ShapeError(
            f"A picture cannot be made from {source.dtype} of shape {source.shape}.",
            "Give one picture, of several pictures[0]."
            if source.ndim == 4
            else "Give uint8, or floats in [0, 1], of shape (H, W, 3), (H, W) or (H, W, 4); a "
            "tensor may be (3, H, W), too.",
        )
    if source.ndim == 3 and channels == 1:
        raise ShapeError(
            f"A picture cannot be made from shape {source.shape}.",
            "Give a grey picture without the last axis: (H, W).",
        )
    check_pixels(None, source.shape[1], source.shape[0], limits)
    pixels = source if source.dtype == np.uint8 else _to_bytes(source)
    if channels == 1:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    return pixels if channels == 3 else _over_white(pixels)


def _channels_last(array: NDArray[Any]) -> NDArray[Any]:
    """The picture of a tensor, (H, W, C) or (H, W); where both are possible, channels stand first.

    A stored value is neither moved nor copied.
    """
    if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
        return array
    return array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)


def _to_bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Floats in [0, 1] as levels of 8 bits, rounded."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ShapeError(
            "The picture holds values that are not finite.", "Give uint8, or floats in [0, 1]."
        )
    if low < 0 or high > 1:
        raise ShapeError(
            f"The picture holds floats from {low:g} to {high:g}; they are meant to lie in [0, 1].",
            "Undo the normalisation, or give uint8."
            if low < 0
            else "Divide it by its largest possible value, 255 of 8 bits, or give uint8.",
        )
    levels: NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return levels


def _over_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a picture with alpha, (H, W, 4), over white; (H, W, 3)."""
    alpha = pixels[:, :, 3:].astype(np.uint16)
    colour = pixels[:, :, :3].astype(np.uint16)
    # At most 255 x 255 + 127, which 16 bits hold.
    blended: NDArray[np.uint8] = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(
        np.uint8
    )
    return blended


@dataclass(frozen=True)
class _Grey:
    """Meaning of the values of a grey picture; ``clear`` is transparent."""

    black: int
    white: int
    clear: int | None

    def to_uint8(self, values: Pixels) -> NDArray[np.uint8]:
        """Values (H, W) as grey of 8 bits, rounded, over white."""
        span = self.white - self.black
        if abs(span) == 255 and values.dtype == np.uint8:
            grey = values if span > 0 else 255 - values
        else:
            away = np.abs(values.astype(np.int64) - self.black)
            grey = ((away * 255 + abs(span) // 2) // abs(span)).astype(np.uint8)
        return grey if self.clear is None else np.where(values == self.clear, np.uint8(255), grey)


def _to_rgb(image: Image.Image, path: Path | None, limits: MediaLimits) -> NDArray[np.uint8]:
    """An opened picture as (H, W, 3) uint8, upright; its size is checked before it is decoded."""
    if 0 in image.size:
        raise ShapeError(
            f"A picture of {image.width} x {image.height} pixels shows nothing.",
            "Give one of at least 1 x 1 pixel.",
            path,
        )
    check_pixels(path, image.width, image.height, limits)
    _check_pixels_known(image, path)
    grey = _grey(image)
    decode(image, path)
    check_pixels(path, image.width, image.height, limits)
    turned = orientation(image)
    with _enough_memory(path):
        upright = np.empty((*_upright_shape(image, turned), 3), np.uint8)
        stored = _stored_view(upright, turned)
        rows = max(1, _BAND_PIXELS // image.width)
        for top in range(0, image.height, rows):
            bottom = min(top + rows, image.height)
            with pillow_calls(path):
                band = image.crop((0, top, image.width, bottom))
            stored[top:bottom] = _band(band, grey, path)
    return upright


def _band(band: Image.Image, grey: _Grey | None, path: Path | None) -> NDArray[np.uint8]:
    """Rows of a picture as (h, W, 3) uint8, or (h, W, 1) where it is grey."""
    if grey is not None:
        with pillow_calls(path):
            values = np.asarray(band.convert("L") if band.mode == "1" else band)
        if values.dtype != np.uint8 and (values.min() < 0 or values.max() > 65535):
            raise _range_error(band.mode, path)
        return grey.to_uint8(values)[:, :, None]
    with pillow_calls(path):
        # Premultiplied grey has no way of its own to colours.
        band = band.convert("LA") if band.mode == "La" else band
        clear = band.has_transparency_data
        wanted = "RGBA" if clear else "RGB"
        pixels = np.asarray(band if band.mode == wanted else band.convert(wanted))
    return _over_white(pixels) if clear else pixels


def _grey(image: Image.Image) -> _Grey | None:
    """Meaning of grey values; None for a picture in colours or with an alpha channel.

    Call it before decoding: afterwards Pillow no longer knows how the file stores them.
    """
    if image.mode not in ("1", "L") and not image.mode.startswith("I"):
        return None
    black, white = 0, 65535 if image.mode.startswith("I") else 255
    tags = getattr(image, "tag_v2", None)
    if tags is not None and image.mode.startswith("I"):
        white = 2 ** _tag(tags, _TIFF_BITS, 16) - 1
        if _is_white_zero(image):
            black, white = white, black
    clear = image.info.get("transparency")
    return _Grey(black, white, clear * _grey_factor(image) if isinstance(clear, int) else None)


def _check_pixels_known(image: Image.Image, path: Path | None) -> None:
    """Refuse an opened picture whose pixels Pillow changes while decoding."""
    tags = getattr(image, "tag_v2", None)
    # Grey of 16 bits was mode I in PNG, until Pillow 11, and is so in PGM.
    deep = image.mode == "I" and image.format not in (None, "PNG", "PPM")
    if image.mode == "F" or deep or (tags and _tag(tags, _TIFF_SAMPLES, 1) != _TIFF_UNSIGNED):
        raise _range_error(image.mode, path)
    clear = image.info.get("transparency")
    if isinstance(clear, tuple) and (_raw_mode(image) == "RGB;16B" or max(clear) > 255):
        raise UnreadableMediaError(
            "The picture has a transparent colour of 16 bits.",
            "Save it with an alpha channel, or with 8 bits per channel.",
            path,
        )
    raw = tags is not None and image.info.get("compression") == "raw"
    if raw and tags is not None and tags.get(_TIFF_MEANING) == _TIFF_YCBCR:
        counts = tags.get(_TIFF_BYTE_COUNTS, ())
        if sum(counts) < image.width * image.height * len(image.getbands()):
            raise UnreadableMediaError(
                "The picture's colours are stored with fewer pixels than its brightness, without "
                "compression.",
                _SAVE_ANEW,
                path,
            )


def _range_error(mode: str, path: Path | None) -> UnreadableMediaError:
    return UnreadableMediaError(
        f"The picture's pixels (mode {mode}) have no agreed range.", _SAVE_ANEW, path
    )


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name of how the file holds the pixels; empty once they are decoded."""
    tile = getattr(image, "tile", None)
    given = tile[0][3] if tile else ""
    first = given[0] if isinstance(given, tuple) and given else given
    return first if isinstance(first, str) else ""


def _tag(tags: Any, number: int, usual: int) -> int:
    """A TIFF's tag of one value, or the first of several."""
    value = tags.get(number, usual)
    return int(value[0]) if isinstance(value, tuple) else int(value)


@contextmanager
def _enough_memory(path: Path | None) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise MediaLimitError(
            "There is not enough memory for the picture.", "Make it smaller.", path
        ) from error


def cut_panels(
    picture: NDArray[np.uint8], panels: int, path: str | Path | None = None
) -> list[NDArray[np.uint8]]:
    """Cut a picture into equal parts that stand side by side.

    Args:
        picture: (H, W, 3).
        panels: Number of parts, at least 1.
        path: The file of the picture, for the message.

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


def load_object_map(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> NDArray[np.int64]:
    """Load a map of object numbers, one for each pixel.

    Args:
        path: A picture of one value a pixel, such as a PNG with a palette or in grey.
        limits: What is allowed.

    Returns:
        (H, W): the stored values, upright as the picture; a palette is ignored.

    Raises:
        MissingFileError: No such file.
        UnreadableMediaError: The file is broken, its format changes values, or it has several
            values a pixel or negative ones.
        MediaLimitError: The picture exceeds a limit.
    """
    target = check_file(path, limits)
    with open_image(target, limits) as image:
        if image.mode not in _MODES:
            raise _no_map(f"has several values a pixel (mode {image.mode})", target)
        if image.format in _LOSSY:
            raise _no_map("is a JPEG, which changes values", target)
        if _is_white_zero(image):
            raise _no_map("is a TIFF whose values fall from black to white", target)
        step = _grey_factor(image)
        decode(image, target)
        turned = orientation(image)
        values = np.empty(_upright_shape(image, turned), np.int64)
        _stored_view(values, turned)[...] = np.asarray(image)
    if values.min() < 0:
        raise _no_map(f"has negative values, down to {values.min()}", target)
    return values // step


def _no_map(what: str, path: Path) -> UnreadableMediaError:
    return UnreadableMediaError(
        f"The map of objects {what}.", "Save it as PNG in grey or with a palette.", path
    )
