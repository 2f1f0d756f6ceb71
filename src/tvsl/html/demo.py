"""The page of the demo."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tvsl.demo.run import Demo, DemoResult
from tvsl.demo.scores import PROTOCOL, MapScore, threshold
from tvsl.html.data_uris import heat_uri, png_uri, sound_uri
from tvsl.html.page import Values, distinct_maps, render_page, sound_values
from tvsl.localization import BOX_PROTOCOL
from tvsl.render.colors import source_color
from tvsl.synthetic.pictures import SIDE
from tvsl.synthetic.sounds import SAMPLE_RATE, Wave, quantised, to_int16
from tvsl.synthetic.world import WorldScene

_NUMBERS = ("Score", "Box IoU", "cIoU")
_VERDICTS = ("Label given", "Label detected")
_OFF_SCREEN = "heard, but not in the picture"


def demo_page(demo: Demo, model: str) -> str:
    """Write the page.

    Args:
        demo: What was localized.
        model: The name or path that the model was loaded by, for commands that can be copied.

    Returns:
        The HTML, the same for the same demo. It asks no network for anything.
    """
    values: Values = {
        "model": demo.model,
        "seed": demo.seed,
        "summary": demo.summary,
        "detection_rule": demo.detection_rule,
        "protocol": PROTOCOL,
        "box_protocol": BOX_PROTOCOL,
        "sha256": demo.encoder_sha256,
        "other": f"tvsl demo --seed {demo.seed + 1} --model {shlex.quote(model)} --output another",
        "columns": ("Source", "Sound", *_NUMBERS, *_VERDICTS),
        "scenes": [_scene(result, model) for result in demo.results],
    }
    colors = max(len(result.sources) + len(result.false) for result in demo.results)
    return render_page("demo.html", values, styles=["page.css"], colors=colors, script="page.js")


def _scene(result: DemoResult, model: str) -> Values:
    shown, scene = result.shown, result.shown.scene
    panels = len(scene.panels)
    sound = "The sound" if panels == 1 else "The mixture: all that is heard"
    return {
        "name": shown.kind.name,
        "title": shown.kind.title,
        "says": shown.kind.says,
        "id": shown.id,
        "panels": panels,
        "side": SIDE,
        "labels": scene.labels,
        "picture": png_uri(scene.picture),
        "truth": shown.boxes,
        "twins": [box for box in shown.twins if box is not None],
        "maps": _maps(result),
        "sound": sound_values(scene.waveform, _samples(scene.waveform), SAMPLE_RATE, sound),
        "hit_from": threshold(shown),
        "rows": _rows(result),
        "off_screen": scene.off_screen,
        "off_screen_sound": _sound_uri(shown.off_screen_sound),
        "off_screen_note": _OFF_SCREEN,
        "twin_verdicts": [
            (source.label, source.given_score.right_twin)
            for source in result.sources
            if source.given_score.right_twin is not None
        ],
        "commands": _commands(result, model),
    }


def _samples(wave: Wave) -> NDArray[np.int16]:
    return to_int16(quantised(wave))


def _sound_uri(wave: Wave | None) -> str:
    return "" if wave is None else sound_uri(_samples(wave), SAMPLE_RATE)


def _row_name(result: DemoResult, number: int) -> str:
    """The name of a row of the table, and of the maps that it switches."""
    return f"{result.shown.kind.name}-{number}"


def _maps(result: DemoResult) -> list[Values]:
    """The maps of the true sources in their order, then of the classes falsely detected."""
    found = [{"given": source.given, "detected": source.detected} for source in result.sources]
    found += [{"detected": source} for source in result.false]
    return [
        {
            "row": _row_name(result, number),
            "color": number,
            "labels": labels,
            "image": heat_uri(source, source_color(number)),
            "box": None if source.box is None else source.box.to_list(),
        }
        for number, maps in enumerate(found)
        for labels, source in distinct_maps(
            {labels: source for labels, source in maps.items() if source is not None}
        )
    ]


def _rows(result: DemoResult) -> list[Values]:
    """Rows of the table: the true sources, then the classes falsely detected."""
    rows = []
    for source, panel in zip(result.sources, result.shown.scene.panels, strict=True):
        score = source.given_score
        numbers = (source.given.score, score.box_iou, score.ciou)
        verdicts = (_verdict(score), _verdict(source.detected_score))
        missed = source.detected is None
        row = _row(source.label, numbers, verdicts)
        rows.append(row | {"sound": _sound_uri(panel.waveform), "missed": missed})
    for found in result.false:
        row = _row(found.label, (found.score, None, None), ("", "false"))
        rows.append(row | {"note": _false_note(result.shown.scene, found.label)})
    return [
        row | {"row": _row_name(result, number), "color": number} for number, row in enumerate(rows)
    ]


def _row(label: str, numbers: Sequence[float | None], verdicts: Sequence[str]) -> Values:
    texts = ("-" if number is None else f"{number:.2f}" for number in numbers)
    return {
        "label": label,
        "sound": "",
        "missed": False,
        "note": "",
        "numbers": list(zip(_NUMBERS, texts, strict=True)),
        "verdicts": list(zip(_VERDICTS, verdicts, strict=True)),
    }


def _verdict(score: MapScore | None) -> str:
    if score is None:
        return "not detected"
    return "hit" if score.hit else "miss"


def _false_note(scene: WorldScene, label: str) -> str:
    """Why a class that was detected does not count."""
    if label == scene.off_screen:
        return _OFF_SCREEN
    visible = {thing.label for panel in scene.panels for thing in panel.objects}
    return "in the picture, but silent" if label in visible else "neither seen nor heard"


def _commands(result: DemoResult, model: str) -> str:
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
    return "\n".join(lines)
