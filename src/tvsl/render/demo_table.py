"""The table of a scene on the demo's page: a row for every class that sounds or was detected."""

from __future__ import annotations

from tvsl.evaluation.demo import DemoResult
from tvsl.evaluation.demo_scores import MapScore, threshold
from tvsl.localization import SoundSource
from tvsl.render.demo_parts import ShownMap, player
from tvsl.render.markup import Markup, joined, tag
from tvsl.synthetic.world import WorldScene

_TEXTS = ("Source", "Sound")
_NUMBERS = ("Score", "Box IoU", "cIoU")
_MARKS = ("Label given", "Label detected")
_NOTHING = "-"
_OFF_SCREEN = "heard, but not in the picture"


def source_table(result: DemoResult, maps: list[ShownMap]) -> Markup:
    """Write the table.

    Args:
        result: What became of the scene.
        maps: ``shown_maps`` of it.

    Returns:
        The table. Its numbers are those of the maps with given labels.
    """
    scene, count = result.shown.scene, len(result.sources)
    rows = [_source_row(result, place, maps[place]) for place in range(count)]
    rows += [
        _false_row(scene, one, found) for one, found in zip(maps[count:], result.false, strict=True)
    ]
    if scene.off_screen is not None:
        rows.append(_off_screen_row(result, scene.off_screen))
    heads = [tag("th", name, scope="col") for name in (*_TEXTS, *_NUMBERS, *_MARKS)]
    caption = f"A hit is a cIoU of {threshold(result.shown)} or more here."
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
    )


def _source_row(result: DemoResult, place: int, one: ShownMap) -> Markup:
    source = result.sources[place]
    wave, score = result.shown.scene.panels[place].waveform, source.given_score
    missed = source.detected is None
    return tag(
        "tr",
        _switch(one, source.label, not missed),
        tag("td", player(wave, f"{source.label} alone"), class_="play"),
        *_numbers(source.given.score, score.box_iou, score.ciou),
        *_marks(_mark(score), _mark(source.detected_score)),
        class_="missed" if missed else None,
    )


def _false_row(scene: WorldScene, one: ShownMap, found: SoundSource) -> Markup:
    visible = {thing.label for panel in scene.panels for thing in panel.objects}
    if found.label == scene.off_screen:
        note = _OFF_SCREEN
    elif found.label in visible:
        note = "in the picture, but silent"
    else:
        note = "neither seen nor heard"
    return tag(
        "tr",
        _switch(one, found.label, True, note),
        tag("td", class_="play"),
        *_numbers(found.score, None, None),
        *_marks(Markup(_NOTHING), tag("span", "✗ false", class_="bad")),
        class_="false",
    )


def _off_screen_row(result: DemoResult, label: str) -> Markup:
    wave = result.shown.off_screen_sound
    sound = Markup() if wave is None else player(wave, f"{label} alone")
    return tag(
        "tr",
        tag("th", label, " ", tag("small", _OFF_SCREEN), scope="row"),
        tag("td", sound, class_="play"),
        tag("td", "There is nothing to be found.", colspan="5", class_="quiet whole"),
    )


def _switch(one: ShownMap, label: str, detected: bool, note: str = "") -> Markup:
    """The name of a class, with a box that switches its map on and off."""
    box = tag(
        "input",
        type="checkbox",
        checked=True,
        data_switches=one.row,
        data_detected="yes" if detected else "no",
    )
    swatch = tag("span", class_=f"swatch {one.color_class}")
    small = joined(" ", tag("small", note)) if note else Markup()
    return tag("th", tag("label", box, swatch, tag("span", label, small)), scope="row")


def _numbers(*values: float | None) -> list[Markup]:
    texts = [_NOTHING if value is None else f"{value:.2f}" for value in values]
    return [
        tag("td", text, data_name=name, class_="number")
        for name, text in zip(_NUMBERS, texts, strict=True)
    ]


def _marks(*marks: Markup) -> list[Markup]:
    return [
        tag("td", mark, data_name=name, class_="mark")
        for name, mark in zip(_MARKS, marks, strict=True)
    ]


def _mark(score: MapScore | None) -> Markup:
    if score is None:
        return tag("span", "✗ not detected", class_="bad")
    text, kind = ("✓ hit", "good") if score.hit else ("✗ miss", "bad")
    return tag("span", text, class_=kind)
