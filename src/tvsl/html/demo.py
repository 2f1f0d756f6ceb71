"""The page of the demo."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from tvsl.demo.run import PROTOCOL, Demo, DemoResult, MapScore, threshold
from tvsl.html.data_uris import heat_uri, png_uri, sound_uri
from tvsl.html.page import Values, distinct_maps, render_page, sound_values
from tvsl.localization import BOX_PROTOCOL, SoundSource
from tvsl.media.writing import to_int16
from tvsl.render.colors import source_color
from tvsl.synthetic.pictures import SIDE
from tvsl.synthetic.sounds import SAMPLE_RATE, Wave
from tvsl.synthetic.world import WorldScene

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
        "scenes": [_scene(result, model) for result in demo.results],
    }
    colors = max(len(result.sources) + len(result.false) for result in demo.results)
    return render_page("demo.html", values, styles=["page.css"], colors=colors, script="page.js")


def _scene(result: DemoResult, model: str) -> Values:
    case, scene = result.case, result.case.scene
    panels = len(scene.panels)
    sound = "The sound" if panels == 1 else "The mixture: all that is heard"
    return {
        "name": case.kind.name,
        "title": case.kind.title,
        "description": case.kind.description,
        "id": case.id,
        "panels": panels,
        "side": SIDE,
        "labels": scene.labels,
        "picture": png_uri(scene.picture),
        "truth": case.boxes,
        "twins": [box for box in case.twins if box is not None],
        "sound": sound_values(scene.waveform, to_int16(scene.waveform), SAMPLE_RATE, sound),
        "hit_from": threshold(case),
        "sources": _sources(result),
        "off_screen": None
        if scene.off_screen is None
        else {
            "label": scene.off_screen,
            "note": _OFF_SCREEN,
            "sound": _sound_uri(case.off_screen_sound),
        },
        "commands": _commands(result, model),
    }


def _sound_uri(wave: Wave | None) -> str:
    return "" if wave is None else sound_uri(to_int16(wave), SAMPLE_RATE)


def _sources(result: DemoResult) -> list[Values]:
    """The true sources in their order, then the classes falsely detected."""
    sources: list[Values] = []
    for found, panel in zip(result.sources, result.case.scene.panels, strict=True):
        maps = {"given": found.given}
        if found.detected is not None:
            maps["detected"] = found.detected
        score = found.given_score
        sources.append(
            {
                "label": found.label,
                "note": "",
                "sound": _sound_uri(panel.waveform),
                "layers": _layers(maps, len(sources)),
                "missed": found.detected is None,
                "score": found.given.score,
                "box_iou": score.box_iou,
                "ciou": score.ciou,
                "given": _verdict(score),
                "detected": _verdict(found.detected_score),
                "right_twin": score.right_twin,
            }
        )
    for false in result.false:
        sources.append(
            {
                "label": false.label,
                "note": _false_note(result.case.scene, false.label),
                "sound": "",
                "layers": _layers({"detected": false}, len(sources)),
                "missed": False,
                "score": false.score,
                "box_iou": None,
                "ciou": None,
                "given": "",
                "detected": "false",
                "right_twin": None,
            }
        )
    return sources


def _layers(maps: Mapping[str, SoundSource], number: int) -> list[Values]:
    return [
        {
            "labels": labels,
            "image": heat_uri(source, source_color(number)),
            "box": None if source.box is None else source.box.to_list(),
        }
        for labels, source in distinct_maps(maps)
    ]


def _verdict(score: MapScore | None) -> str:
    if score is None:
        return "not detected"
    return "hit" if score.hit else "miss"


def _false_note(scene: WorldScene, label: str) -> str:
    """The reason why a class that was detected does not count."""
    if label == scene.off_screen:
        return _OFF_SCREEN
    visible = {thing.label for panel in scene.panels for thing in panel.objects}
    return "in the picture, but silent" if label in visible else "neither seen nor heard"


def _commands(result: DemoResult, model: str) -> str:
    """Commands that make the scene and localize it, with the same outcome as here."""
    case, scene = result.case, result.case.scene
    folder, count = f"world-{case.kind.name}", len(scene.panels)
    options = f"--sources {count} --scenes {scene.index + 1}"
    if case.world.classes != "seen":
        options += f" --classes {case.world.classes}"
    if case.world.seed:
        options += f" --seed {case.world.seed}"
    lines = (
        f"tvsl synthetic export {folder} {options}",
        f"tvsl localize {folder}/frames/{case.id}.png \\",
        f"  --audio {folder}/audio/{case.id}.wav --panels {count} \\",
        f"  --labels {shlex.quote(','.join(scene.labels))} --model {shlex.quote(model)} \\",
        f"  --output found-{case.kind.name}",
    )
    return "\n".join(lines)
