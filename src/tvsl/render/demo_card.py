"""One scene of the demo's page: pictures under heat-maps, the sound, and what was found."""

from __future__ import annotations

import shlex

from tvsl.evaluation.demo import DemoResult
from tvsl.render.colormap import source_color
from tvsl.render.data_uris import heat_uri, picture_uri
from tvsl.render.demo_parts import ShownMap, player, shown_maps
from tvsl.render.demo_table import source_table
from tvsl.render.markup import Markup, tag
from tvsl.render.spectrogram import LOWEST, spectrogram_picture
from tvsl.synthetic.layout import SIDE
from tvsl.synthetic.sounds import SAMPLE_RATE, SAMPLES
from tvsl.synthetic.world import Box, WorldScene

_SPECTROGRAM = (96, 360)
_TWINS = {
    True: ("✓", "good", "is higher on the object that sounds than on its silent twin"),
    False: ("✗", "bad", "is higher on the silent twin than on the object that sounds"),
}


def scene_card(result: DemoResult, model: str) -> Markup:
    """A section of the page.

    Args:
        result: What became of the scene.
        model: Name or path of the model, for commands that can be copied.

    Returns:
        The section.
    """
    shown, count = result.shown, len(result.sources)
    maps = shown_maps(result)
    says = tag("p", shown.kind.says, " ", tag("code", shown.id))
    below = tag(
        "div", source_table(result, maps), *_verdicts(result), _again(result, model), class_="found"
    )
    return tag(
        "section",
        tag("header", tag("h2", shown.kind.title), says),
        _stage(result, maps),
        _mixture(shown.scene),
        below,
        class_=f"card scene {f'k{count}' if count <= 2 else 'many'}",
        id=shown.kind.name,
    )


def _stage(result: DemoResult, maps: list[ShownMap]) -> Markup:
    """The pictures side by side, with everything that can be laid over them."""
    scene, count = result.shown.scene, len(result.sources)
    side = "The picture" if count == 1 else f"{count} pictures side by side"
    alt = f"{side}; what sounds: {', '.join(scene.labels)}"
    layers, boxes = [], []
    for one in maps:
        for labels, source in one.variants:
            image = heat_uri(source, source_color(one.color))
            layers.append(tag("img", class_=f"layer {labels}", data_row=one.row, src=image, alt=""))
            if source.box is not None:
                box = _rectangle(source.box.to_list())
                boxes.append(tag("g", *box, class_=f"{labels} {one.color_class}", data_row=one.row))
    truth = [part for box in result.shown.boxes for part in _rectangle(box)]
    twins = [part for box in result.shown.twins if box is not None for part in _rectangle(box)]
    places = [str(SIDE * number) for number in range(1, count)]
    seams = [tag("line", x1=place, y1="0", x2=place, y2=str(SIDE)) for place in places]
    return tag(
        "div",
        tag("img", class_="picture", src=picture_uri(scene.picture), alt=alt),
        *layers,
        _drawing("seams", count, seams),
        _drawing("truth", count, truth),
        _drawing("twin", count, twins),
        _drawing("box off", count, boxes),
        class_="stage",
    )


def _drawing(name: str, panels: int, parts: list[Markup]) -> Markup:
    view = f"0 0 {SIDE * panels} {SIDE}"
    return tag("svg", *parts, class_=name, viewBox=view, aria_hidden="true")


def _rectangle(box: Box | list[int]) -> tuple[Markup, Markup]:
    """A box over its own dark casing, so that it shows on every ground."""
    left, top, right, bottom = box
    place = {
        "x": str(left),
        "y": str(top),
        "width": str(right - left),
        "height": str(bottom - top),
    }
    return tag("rect", class_="casing", **place), tag("rect", **place)


def _mixture(scene: WorldScene) -> Markup:
    picture = spectrogram_picture(scene.waveform, SAMPLE_RATE, _SPECTROGRAM)
    what = "The sound" if len(scene.panels) == 1 else "The mixture: all that is heard"
    pitch = f"{LOWEST:.0f} Hz to {SAMPLE_RATE / 2000:.0f} kHz"
    image = tag("img", src=picture_uri(picture), alt="Its spectrogram")
    return tag(
        "figure",
        tag("div", image, tag("span", class_="head")),
        player(scene.waveform, what),
        tag("figcaption", f"{what}. {SAMPLES / SAMPLE_RATE:.2f} s from left to right, {pitch}."),
        class_="sound",
    )


def _verdicts(result: DemoResult) -> list[Markup]:
    """Whether the right one of two twins was found."""
    lines = []
    for source in result.sources:
        right = source.given_score.right_twin
        if right is not None:
            mark, kind, text = _TWINS[right]
            lines.append(
                tag("p", tag("span", mark, class_=kind), f" The map of {source.label} {text}.")
            )
    return lines


def _again(result: DemoResult, model: str) -> Markup:
    """Commands that make the scene and localize it, with the same outcome as here."""
    shown, scene = result.shown, result.shown.scene
    folder, count = f"world-{shown.kind.name}", len(scene.panels)
    options = f"--sources {count} --scenes {scene.index + 1}"
    if shown.world.classes != "seen":
        options += f" --classes {shown.world.classes}"
    if shown.world.seed:
        options += f" --seed {shown.world.seed}"
    lines = (
        f"tvsl synthetic export {folder} {options}",
        f"tvsl localize {folder}/frames/{shown.id}.png \\",
        f"  --audio {folder}/audio/{shown.id}.wav --panels {count} \\",
        f"  --labels {shlex.quote(','.join(scene.labels))} --model {shlex.quote(model)} \\",
        f"  --output found-{shown.kind.name}",
    )
    summary = tag("summary", "The same on the command line")
    return tag("details", summary, tag("pre", "\n".join(lines)))
