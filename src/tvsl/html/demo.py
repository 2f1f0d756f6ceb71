"""The page of the demo."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import numpy as np

from tvsl.demo.run import Demo, DemoResult
from tvsl.demo.scores import PROTOCOL, MapScore, threshold
from tvsl.html.data_uris import heat_uri, picture_uri, sound_uri
from tvsl.html.page import Markup, color_rules, fill_page, joined, tag, template
from tvsl.localization import BOX_PROTOCOL, SoundSource
from tvsl.render.colors import source_color
from tvsl.render.spectrogram import LOWEST, spectrogram_picture
from tvsl.synthetic.pictures import SIDE
from tvsl.synthetic.sounds import SAMPLE_RATE, SAMPLES, Wave, quantised, to_int16
from tvsl.synthetic.world import Box, WorldScene


@dataclass(frozen=True, eq=False)
class ShownMap:
    """A class that was localized: a row of the table, and a map that the row switches.

    Attributes:
        row: Names both.
        color: Number of its colour.
        given: What was localized with given labels, if it was.
        detected: What was localized with detected labels, if it was.
    """

    row: str
    color: int
    given: SoundSource | None
    detected: SoundSource | None

    @property
    def color_class(self) -> str:
        """The style sheet's class of its colour."""
        return f"c{self.color}"

    @property
    def variants(self) -> list[tuple[str, SoundSource]]:
        """The different maps, each under the kinds of labels that it is for."""
        given, detected = self.given, self.detected
        if given is not None and detected is not None and np.array_equal(given.grid, detected.grid):
            return [("given detected", given)]
        both = (("given", given), ("detected", detected))
        return [(labels, source) for labels, source in both if source is not None]


def shown_maps(result: DemoResult) -> list[ShownMap]:
    """The true sources of a scene in their order, then the classes that were falsely detected."""
    pairs = [(source.given, source.detected) for source in result.sources]
    every = [*pairs, *((None, found) for found in result.false)]
    name = result.shown.kind.name
    return [ShownMap(f"{name}-{number}", number, *pair) for number, pair in enumerate(every)]


def player(wave: Wave, name: str) -> Markup:
    """Controls that play a sound of the world, (20480,).

    Args:
        wave: The sound.
        name: What it is, for those who cannot see where it stands.
    """
    source = sound_uri(to_int16(quantised(wave)), SAMPLE_RATE)
    return tag("audio", controls=True, preload="metadata", src=source, aria_label=name)


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


def demo_page(demo: Demo, model: str) -> str:
    """Write the page.

    Args:
        demo: What was localized.
        model: The name or path that the model was loaded by, for commands that can be copied.

    Returns:
        The HTML, the same for the same demo. Its content security policy lets no other style,
        script, picture or sound in than those that it holds.
    """
    most = max(len(result.sources) + len(result.false) for result in demo.results)
    style = template("page.css") + "\n" + color_rules(most)
    values = {
        "lead": _lead(demo),
        "figures": _figures(demo),
        "scenes": joined(*(scene_card(result, model) for result in demo.results)),
        "detection_rule": joined(demo.detection_rule),
        "protocol": joined(PROTOCOL),
        "box_protocol": joined(BOX_PROTOCOL),
        "sources": joined(str(demo.summary.sources)),
        "other_seed": joined(str(demo.seed + 1)),
        "model": joined(shlex.quote(model)),
        "sha256": joined(demo.encoder_sha256),
    }
    return fill_page("demo.html", style, template("page.js"), values)


def _lead(demo: Demo) -> Markup:
    return joined(
        f"{len(demo.results)} made-up scenes of tvsl's synthetic world, from the split that no "
        "model is trained on, localized with ",
        tag("code", demo.model),
        ". One heat-map for every sounding object. Of each kind it is the first scene of seed "
        f"{demo.seed}: none was chosen for its result.",
    )


def _figures(demo: Demo) -> Markup:
    summary = demo.summary
    whole = tag("small", f" of {summary.sources}")
    figures = (
        ("Sources hit, labels given", joined(str(summary.given_hits), whole)),
        ("Sources hit, labels detected", joined(str(summary.detected_hits), whole)),
        ("Classes detected", joined(str(summary.detected), whole)),
        ("Classes falsely detected", joined(str(summary.false))),
    )
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", value)) for name, value in figures),
        class_="figures",
    )
