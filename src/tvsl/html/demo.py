"""The page of the demo."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from tvsl.boxes import BOX_PROTOCOL
from tvsl.demo.run import PROTOCOL, Demo, DemoResult, MapScore, threshold
from tvsl.demo.scenes import DemoScene
from tvsl.html.page import distinct_maps, heat_uri, jpeg_uri, png_uri, sound_uri, sound_values
from tvsl.html.rendering import Values, render_page
from tvsl.localization import SoundSource
from tvsl.media.writing import to_int16
from tvsl.render.colors import source_color
from tvsl.scenes import Scene

_OFF_SCREEN = "heard, but not in the picture"


def demo_page(demo: Demo, model: str, laboratory: str) -> str:
    """Write the page.

    Args:
        demo: What was localized.
        model: The name or path that the model of the real mixtures was loaded by, for commands
            that can be copied.
        laboratory: The same for the model of the made-up scenes.

    Returns:
        The HTML, the same for the same demo. It asks no network for anything.
    """
    models = {"real": model, "laboratory": laboratory}
    values: Values = {
        "seed": demo.seed,
        "protocol": PROTOCOL,
        "box_protocol": BOX_PROTOCOL,
        "yours": f"tvsl localize YOURS.mp4 --model {shlex.quote(model)} -o out/",
        "other": f"tvsl demo --seed {demo.seed + 1} --laboratory {shlex.quote(laboratory)} "
        "--output another",
        "parts": [
            {
                "name": part.name,
                "model": part.model,
                "sha256": part.encoder_sha256,
                "summary": part.summary,
                "detection_rule": part.detection_rule,
                "names": len(part.results[0].case.names),
                "scenes": [_scene(result, models[part.name]) for result in part.results],
            }
            for part in demo.parts
        ],
    }
    colors = max(len(result.sources) + len(result.false) for result in demo.results)
    return render_page("demo.html", values, styles=["page.css"], colors=colors, script="page.js")


def _scene(result: DemoResult, model: str) -> Values:
    case, scene = result.case, result.case.scene
    panels, (height, width) = len(scene.panels), scene.picture.shape[:2]
    sound = "The sound" if panels == 1 else "The mixture: all that is heard"
    samples = to_int16(scene.waveform)
    picture = png_uri(scene.picture) if case.export else jpeg_uri(scene.picture)
    return {
        "name": case.kind.name,
        "title": case.kind.title,
        "description": case.kind.description,
        "id": case.id,
        "panels": panels,
        "height": height,
        "width": width,
        "labels": scene.labels,
        "picture": picture,
        "truth": case.boxes,
        "twins": [box for box in case.twins if box is not None],
        "sound": sound_values(scene.waveform, samples, scene.sample_rate, sound),
        "hit_from": threshold(case),
        "sources": _sources(result),
        "off_screen": None
        if scene.off_screen is None
        else {
            "label": scene.off_screen,
            "note": _OFF_SCREEN,
            "sound": _sound_uri(case.off_screen_sound, scene.sample_rate),
        },
        "commands": _commands(case, model) if case.export else "",
        "credits": [asdict(credit) for credit in case.credits],
    }


def _sound_uri(wave: NDArray[np.float32] | None, rate: int) -> str:
    return "" if wave is None else sound_uri(to_int16(wave), rate)


def _sources(result: DemoResult) -> list[Values]:
    """The true sources in their order, then the classes falsely detected."""
    scene = result.case.scene
    mixed = len(scene.panels) > 1 or scene.off_screen is not None
    sources: list[Values] = []
    for found, panel in zip(result.sources, scene.panels, strict=True):
        maps = {"given": found.given}
        if found.detected is not None:
            maps["detected"] = found.detected
        score = found.given_score
        sources.append(
            {
                "label": found.label,
                "note": "",
                "sound": _sound_uri(panel.waveform, scene.sample_rate) if mixed else "",
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
                "note": _false_note(scene, false.label),
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


def _false_note(scene: Scene, label: str) -> str:
    """The reason why a class that was detected does not count."""
    if label == scene.off_screen:
        return _OFF_SCREEN
    visible = {thing.label for panel in scene.panels for thing in panel.objects}
    return "in the picture, but silent" if label in visible else "neither seen nor heard"


def _commands(case: DemoScene, model: str) -> str:
    """Commands that make the scene and localize it, with the same outcome as here."""
    lines = (
        case.export,
        f"tvsl localize {case.folder}/frames/{case.id}.png \\",
        f"  --audio {case.folder}/audio/{case.id}.wav --panels {len(case.scene.panels)} \\",
        f"  --labels {shlex.quote(','.join(case.scene.labels))} --model {shlex.quote(model)} \\",
        f"  --output found-{case.kind.name}",
    )
    return "\n".join(lines)
