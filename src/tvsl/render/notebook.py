"""A result in a notebook: as HTML, and as a plot of matplotlib."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from tvsl.boxes import min_max, reduced_size, upscale
from tvsl.errors import TvslError, printable
from tvsl.render.colors import RGBImage, certainty, heat_colors, label_colors
from tvsl.render.overlay import drawing_image, jpeg_bytes, moment_overlay, source_overlay
from tvsl.utils.lazy import optional

if TYPE_CHECKING:
    from tvsl.localization import Localization

_SIDE = 640
_MAP_SIDE = 160
_LARGEST = 200_000
_MOST_COLUMNS = 4
_INCHES = 4.0


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("tvsl.render"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def localization_html(found: Localization) -> str:
    """Write a result as a piece of HTML: its picture with all sources, and a table of them.

    Args:
        found: The result. Where its picture is not known, maps alone are shown; where it can no
            longer be read, the reason with them.

    Returns:
        The piece; pictures are in it, of 200 kB each at most.
    """
    drawn, colors = found.without_duplicates(), label_colors([found])
    picture, missing = None, None
    if found.picture is not None:
        try:
            image = drawing_image(found.image(), _SIDE)
            picture = _uri(moment_overlay(image, drawn, colors))
        except TvslError as error:  # a notebook is opened again when the video is gone
            missing = error.problem
    rows = [
        {
            "source": source,
            "color": "#{:02x}{:02x}{:02x}".format(*colors[source.label]),
            "map": _uri(heat_colors(_small_map(source.grid, found.size))),
        }
        for source in found.sources
    ]
    template = _environment().get_template("notebook.html")
    return template.render(found=found, picture=picture, missing=missing, rows=rows)


def _small_map(grid: np.ndarray[Any, np.dtype[np.float32]], size: tuple[int, int]) -> Any:
    return min_max(upscale(grid, reduced_size(size, _MAP_SIDE)))


def _uri(image: RGBImage) -> str:
    content = base64.b64encode(jpeg_bytes(np.asarray(image, np.uint8), _LARGEST)).decode()
    return f"data:image/jpeg;base64,{content}"


def plot_localization(found: Localization, image: RGBImage, ax: Any) -> tuple[Any, Any]:
    """Plot a result with matplotlib; see ``Localization.plot``.

    Args:
        found: The result.
        image: Its picture, (H, W, 3).
        ax: Axes to draw the overlay alone into; a new figure when None.

    Returns:
        The figure, and its axes.

    Raises:
        UsageError: matplotlib is not installed.
    """
    pyplot = optional("matplotlib.pyplot", "plot")
    drawn, colors = found.without_duplicates(), label_colors([found])
    picture = drawing_image(image)
    panels = [(_title(found), moment_overlay(picture, drawn, colors))]
    if ax is None:
        for source in drawn.sources:
            certain = certainty(source.score, found.threshold)
            panel = source_overlay(picture, source, colors[source.label], certain)
            panels.append((f"{source.label}  {source.score:.2f}", panel))
        columns = min(len(panels), _MOST_COLUMNS)
        rows = -(-len(panels) // columns)
        shape = picture.shape[0] / picture.shape[1]
        size = (_INCHES * columns, (_INCHES * shape + 0.4) * rows)
        figure, axes = pyplot.subplots(
            rows, columns, figsize=size, squeeze=False, layout="constrained"
        )
        places = list(axes.flat)
    else:
        figure, axes, places = ax.figure, ax, [ax]
    for place in places:
        place.axis("off")
    for place, (title, panel) in zip(places, panels, strict=False):
        place.imshow(Image.fromarray(panel))
        place.set_title(printable(title).replace("$", r"\$"), fontsize="medium")
    return figure, axes


def _title(found: Localization) -> str:
    time = "" if found.time is None else f" at {found.time:.2f} s"
    return f"labels {found.label_source}{time}"
