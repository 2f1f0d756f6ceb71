"""What the mini model reaches on held-out scenes: every figure of its model card.

    python benchmarks/mini_model.py BUNDLE -o results.json

Scenes are of the test split; every choice (readout, clamp, polarity, detector, threshold) is made
on validation, for all methods by the same rule.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.weights import load_audioclip
from tvsl.cli.output import progress
from tvsl.encoder import FlipAverage, ImageTokenMode
from tvsl.evaluation.card import card_tables, model_card
from tvsl.evaluation.mistakes import mistakes
from tvsl.evaluation.scenes import EncodedScenes, encode_scenes, with_names
from tvsl.evaluation.world_rows import Row, reach, table_rows
from tvsl.methods import METHODS
from tvsl.methods.base import Method
from tvsl.methods.checkpoint_io import read_head
from tvsl.training.calibrate import calibrate
from tvsl.utils.devices import keep_freed_memory

VALIDATION_SCENES = 200
Scenes = dict[str, EncodedScenes]


def encoder_of(
    bundle: Path, tokens: ImageTokenMode = "values", flip: FlipAverage = "none"
) -> AudioCLIPEncoder:
    return AudioCLIPEncoder(load_audioclip(bundle), image_tokens=tokens, flip_average=flip)


def encoded(encoder: AudioCLIPEncoder, rows: tuple[Row, ...], count: int, title: str) -> Scenes:
    scenes = {}
    with progress(f"Encoding {title}") as report:
        made: dict[tuple[Any, int], EncodedScenes] = {}
        for done, row in enumerate(rows):
            kind = (row.world, row.sources)
            if kind not in made:
                made[kind] = encode_scenes(encoder, *kind, count)
            names = row.names or row.world.names
            scenes[row.title] = with_names(made[kind], encoder, names)
            report((done + 1) * count, len(rows) * count)
    return scenes


@dataclass(frozen=True, eq=False)
class Prepared:
    """Scenes as one encoder, with its image tokens and flip average, makes them."""

    encoder: AudioCLIPEncoder
    validation: Scenes
    test: Scenes


def prepared(bundle: Path, tokens: ImageTokenMode, flip: FlipAverage, count: int) -> Prepared:
    encoder = encoder_of(bundle, tokens, flip)
    title = f"{tokens}, flip {flip}"
    validation = encoded(
        encoder, table_rows("validation")[:4], VALIDATION_SCENES, f"validation, {title}"
    )
    return Prepared(encoder, validation, encoded(encoder, table_rows("test"), count, title))


def calibrated(method: Method, validation: Scenes) -> dict[str, Any]:
    """Let validation decide; what it decided, and what each readout and detector reached."""
    mixtures = [validation[title] for title in ("single", "duet", "3 sources", "4 sources")]
    decided = calibrate(method, mixtures[:2], mixtures)
    return {
        "hyperparameters": decided.hyperparameters,
        "validation": decided.score,
        "trials": [(trial.hyperparameters, trial.score) for trial in decided.trials],
        "detection": [(trial.hyperparameters, trial.score) for trial in decided.detection],
    }


def measured(method: Method, scenes: Scenes, on: str = "boxes") -> dict[str, Any]:
    return {title: vars(reach(method, part, on)) for title, part in scenes.items()}


@torch.inference_mode()
def mistaken(method: Method, scenes: Scenes) -> dict[str, Any]:
    """Of a head that detects: which classes it takes for which others, in every row."""
    found = {}
    for title, part in scenes.items():
        detection = method.detect(part.tokens, part.vocabulary)
        assert detection is not None
        found[title] = vars(mistakes(detection, part))
    return found


def untrained(name: str, embedding: int) -> Method:
    kind = METHODS[name]
    return kind.from_config(kind.config_type(embedding=embedding))


def compared_methods(encoder: AudioCLIPEncoder, heads: list[Path]) -> dict[str, Method]:
    size = encoder.config.embedding
    methods = {"T-VSL": read_head(heads[0]).build(encoder)}
    if len(heads) > 1:
        methods["EZ-VSL"] = read_head(heads[1]).build(encoder)
    names = {
        "T-VSL, untrained": "tvsl",
        "text only": "text-only",
        "AudioCLIP similarity": "audioclip",
        "whole frame": "whole-frame",
        "centre": "centre",
        "random": "random",
    }
    return methods | {title: untrained(name, size) for title, name in names.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="folder of the model, with its head in head/")
    parser.add_argument("--ez-vsl", type=Path, help="a trained EZ-VSL head for the same model")
    parser.add_argument("--scenes", type=int, default=500, help="scenes of each row")
    parser.add_argument("--output", "-o", type=Path, required=True, help="results as JSON")
    parser.add_argument("--card", type=Path, help="model card to write")
    parser.add_argument(
        "--beside",
        type=Path,
        nargs="*",
        default=[],
        help="results of other seeds for the card, each in a folder whose name ends in its seed",
    )
    options = parser.parse_args()
    keep_freed_memory()
    started = time.monotonic()
    heads = [options.bundle / "head"] + ([options.ez_vsl] if options.ez_vsl else [])
    flip = json.loads((heads[0] / "config.json").read_text())["config"]["flip_average"]
    results: dict[str, Any] = {"scenes": options.scenes, "flip_average": flip}
    shipped = prepared(options.bundle, "values", flip, options.scenes)
    results |= main_table(shipped, heads)
    results["tokens"], results["token_validation"] = token_table(
        options.bundle, heads[0], options.scenes, shipped
    )
    results["seconds"] = round(time.monotonic() - started)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1))
    if options.card is not None:
        others = {
            path.parent.name.rpartition("-")[2]: json.loads(path.read_text(encoding="utf-8"))
            for path in options.beside
            if path.resolve() != options.output.resolve()
        }
        options.card.write_text(model_card(results, options.bundle, others), encoding="utf-8")
    sys.stdout.write(card_tables(results) + "\n")


def main_table(shipped: Prepared, heads: list[Path]) -> dict[str, Any]:
    """All methods and all readouts in all rows, on boxes; our head on masks, too."""
    test = shipped.test
    methods, readouts, decided = {}, {}, {}
    for name, method in compared_methods(shipped.encoder, heads).items():
        decided[name] = calibrated(method, shipped.validation)
        methods[name] = measured(method, test)
        if name == "T-VSL":
            masks = measured(method, test, "masks")
            wrong = mistaken(method, test)
            trials = [
                hyperparameters for hyperparameters, _ in decided[name]["trials"]
            ]  # best first
            for hyperparameters in trials:
                if hyperparameters["readout"] not in readouts:
                    readouts[hyperparameters["readout"]] = _with_switches(
                        method, hyperparameters, test
                    )
            bare = next(
                hyperparameters for hyperparameters in trials if not hyperparameters["affinity"]
            )
            methods["T-VSL, maps not spread"] = _with_switches(method, bare, test)
    return {
        "decided": decided,
        "methods": methods,
        "masks": masks,
        "mistakes": wrong,
        "readouts": readouts,
    }


def _with_switches(method: Method, hyperparameters: dict[str, Any], test: Scenes) -> dict[str, Any]:
    kept = method.config
    method.set_tuned(**hyperparameters)
    reached = {title: measured(method, {title: test[title]})[title] for title in test}
    method.config = kept
    return reached


def token_table(
    bundle: Path, head: Path, count: int, shipped: Prepared
) -> tuple[dict[str, Any], dict[str, float]]:
    """Token modes and flip averages, with an untrained head and with ours."""
    variants: list[tuple[ImageTokenMode, FlipAverage]] = [
        ("values", "none"),
        ("values", "mirror"),
        ("values", "turn"),
        ("cells", "none"),
        ("cells", "turn"),
    ]
    results, scores = {}, {}
    for tokens, flip in variants:
        same = (tokens, flip) == ("values", shipped.encoder.flip_average)
        made = shipped if same else prepared(bundle, tokens, flip, count)
        methods = {"T-VSL, untrained": untrained("tvsl", made.encoder.config.embedding)}
        if tokens == "values":
            methods["T-VSL"] = read_head(head).build(made.encoder)
        for name, method in methods.items():
            title = f"{name}, {tokens}, flip {flip}"
            scores[title] = calibrated(method, made.validation)["validation"]
            results[title] = measured(method, made.test)
    return results, scores


if __name__ == "__main__":
    main()
