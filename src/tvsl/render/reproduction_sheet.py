"""Figures 3 and 4: scenes under the maps of several methods."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tvsl.evaluation.reproduction.figures import HeatMaps, Sheet, ShownCase
from tvsl.render.colormap import Color, Picture, source_color
from tvsl.render.data_uris import picture_uri
from tvsl.render.markup import Markup, tag
from tvsl.render.overlay import tinted_overlay

_ONE_FOR_ALL: Color = (255, 255, 255)
_OUTLINE = 2


def sheet_card(sheet: Sheet) -> Markup:
    """A section with a grid: a row for each scene, a column for each method.

    Args:
        sheet: The figure.

    Returns:
        The section.
    """
    heads = [tag("th", text, scope="col") for text in ("scene", "truth", *sheet.methods)]
    rows = [_row(sheet, case) for case in sheet.cases]
    grid = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sheet")
    return tag(
        "section",
        tag(
            "header",
            tag("h2", f"Figure {sheet.spec.paper}: {sheet.spec.title}"),
            tag(
                "p",
                "Test scenes drawn by the recipe's seed: none was chosen for its result. Each "
                "source has its own colour; a method that has one map for all shows it in white. "
                "Labels are given to methods that ask for them.",
            ),
        ),
        tag("div", grid, class_="scroll"),
        class_="card",
        id=sheet.spec.name,
    )


def _row(sheet: Sheet, case: ShownCase) -> Markup:
    names = [
        tag("span", tag("i", class_=f"swatch c{number}"), f" {label}", class_="label")
        for number, label in enumerate(case.labels)
    ]
    cells = [_cell(_outlined(case), f"where {', '.join(case.labels)} are")]
    for method, maps in zip(sheet.methods, case.maps, strict=True):
        cells.append(
            tag("td", "cannot answer", class_="quiet")
            if maps is None
            else _cell(_tinted(case, maps), f"maps of {method}")
        )
    return tag("tr", tag("th", *names, scope="row"), *cells)


def _cell(picture: Picture, says: str) -> Markup:
    return tag("td", tag("img", src=picture_uri(picture), alt=says))


def _tinted(case: ShownCase, maps: HeatMaps) -> Picture:
    colors = [source_color(number) for number in range(len(maps))]
    if len(maps) == 1 and len(case.labels) > 1:
        colors = [_ONE_FOR_ALL]
    # Objects have colours of their own, which would pass for maps.
    grey = np.asarray(Image.fromarray(case.picture).convert("L"))
    return tinted_overlay(np.repeat(grey[..., None], 3, axis=2), list(maps), colors)


def _outlined(case: ShownCase) -> Picture:
    """The picture with a line around each source."""
    picture: Picture = case.picture.copy()
    for number, truth in enumerate(case.truth):
        if truth.any():
            picture[_edge(truth)] = source_color(number)
    return picture


def _edge(region: np.ndarray) -> np.ndarray:
    """A line just inside of a region's edge, (H, W) bool."""
    inner = np.pad(region, _OUTLINE)
    for axis in (0, 1):
        moved = [np.roll(inner, step, axis) for step in (-_OUTLINE, _OUTLINE)]
        inner = inner & moved[0] & moved[1]
    kept = inner[_OUTLINE:-_OUTLINE, _OUTLINE:-_OUTLINE]
    edge: np.ndarray = region & ~kept
    return edge
