"""Pictures, heat-maps and sounds as data URIs, which a page can hold in itself."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tvsl.localization import BOX_CUT, SoundSource, min_max, upscale
from tvsl.media.writing import wav_bytes
from tvsl.render.colors import Color, Picture, mix_tints

_LAYER_SCALE = 2
_LINE_SHARE = 160


def picture_uri(picture: Picture) -> str:
    """A picture (H, W, 3) as a data URI, PNG."""
    return _png_uri(Image.fromarray(picture))


def photo_uri(picture: Picture) -> str:
    """A picture (H, W, 3) as a data URI, JPEG: a fifth of the size, not without loss."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, format="JPEG", quality=88)
    return _uri("image/jpeg", content.getvalue())


def outline_uri(region: NDArray[np.bool_]) -> str:
    """The outline of a region (H, W) as a data URI: a white line in a dark casing, else clear.

    Args:
        region: The region.

    Returns:
        The URI; the picture has twice the size of the region's.
    """
    scaled = region.repeat(_LAYER_SCALE, axis=0).repeat(_LAYER_SCALE, axis=1)
    width = _line_width(len(scaled))
    line = _outline(scaled, width)
    casing = _outline(scaled & ~line, -(-width // 2)) | _outline(~scaled, -(-width // 2))
    image = Image.fromarray(line.astype(np.uint8) + 2 * casing.astype(np.uint8))
    image.putpalette(bytes((0, 0, 0, 255, 255, 255, 0, 0, 0)))
    return _png_uri(image, transparency=bytes((0, 255, 190)))


def heat_uri(source: SoundSource, color: Color) -> str:
    """A source's map as a data URI: a PNG of one colour, more opaque where it is hotter.

    A line runs around what is at least half as hot as the hottest place.

    Args:
        source: The source.
        color: Its colour.

    Returns:
        The URI; the picture has twice the size of the source's.
    """
    height, width = source.size
    heat = min_max(upscale(source.grid, (_LAYER_SCALE * height, _LAYER_SCALE * width)))
    opacity = np.rint(255 * mix_tints([heat], [color], 1.0)[3]).astype(np.uint8)
    opacity[_outline(heat >= BOX_CUT, _line_width(len(heat)))] = 255
    image = Image.fromarray(opacity)
    # All entries of the palette are one colour, and each is as opaque as its number says.
    image.putpalette(bytes(color) * 256)
    return _png_uri(image, transparency=bytes(range(256)))


def sound_uri(samples: NDArray[np.int16], rate: int) -> str:
    """A mono sound (n,) as a data URI, WAV."""
    return _uri("audio/wav", wav_bytes(samples, rate))


def _line_width(height: int) -> int:
    """Pixels of a line that is still seen where a high layer is shown small."""
    return max(1, round(height / _LINE_SHARE))


def _outline(region: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The pixels of a region that are no further than a width from what is outside of it."""
    inner = region
    for _ in range(width):
        outer, inner = inner, inner.copy()
        inner[1:] &= outer[:-1]
        inner[:-1] &= outer[1:]
        inner[:, 1:] &= outer[:, :-1]
        inner[:, :-1] &= outer[:, 1:]
    return region & ~inner


def _png_uri(image: Image.Image, transparency: bytes | None = None) -> str:
    content = io.BytesIO()
    image.save(content, format="PNG", optimize=True, transparency=transparency)
    return _uri("image/png", content.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
