"""Figures of the mini model on held-out scenes, and its model card.

    python benchmarks/mini_model.py BUNDLE -o results.json

Scenes are of the test split; every choice (readout, clamp, polarity, detector, threshold) is made
on validation, for all methods by the same rule.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.cli.output import progress
from tvsl.encoder import FlipAverage, ImageTokenMode
from tvsl.evaluation.batch import EncodedBatch, encode_scenes
from tvsl.evaluation.results import markdown_table
from tvsl.evaluation.score import SceneFigure, score_batches
from tvsl.methods import METHODS
from tvsl.methods.base import Method
from tvsl.methods.checkpoint_io import read_head
from tvsl.synthetic.vocabulary import CLASSES, WorldSplit, surface_and_shape
from tvsl.synthetic.world import World
from tvsl.tokens import Queries
from tvsl.training.calibrate import calibrate
from tvsl.utils.devices import keep_freed_memory

VALIDATION_SCENES = 200
Scenes = dict[str, EncodedBatch]
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class WorldRow:
    """Scenes of one row of the card.

    Attributes:
        title: What the table calls it.
        sources: K, the number of sources.
        world: Where the scenes come from.
        names: Classes among which is detected; those of the world when None.
    """

    title: str
    sources: int
    world: World
    names: tuple[str, ...] | None = None


def table_rows(split: WorldSplit = "test") -> tuple[WorldRow, ...]:
    """Ordinary scenes of one to four sources, unseen classes, twins alone, off-screen alone.

    Unseen classes are detected among the unseen ones, as zero-shot transfer to another vocabulary
    is measured, and once more among all 36, where the seen ones that training knew compete.
    """
    seen, unseen = World(split), World(split, "unseen")
    twins, off_screen = World(split, twins=1.0), World(split, off_screen=1.0)
    return (
        WorldRow("single", 1, seen),
        WorldRow("duet", 2, seen),
        WorldRow("3 sources", 3, seen),
        WorldRow("4 sources", 4, seen),
        WorldRow("unseen single", 1, unseen),
        WorldRow("unseen duet", 2, unseen),
        WorldRow("unseen single of 36", 1, unseen, CLASSES["all"]),
        WorldRow("unseen duet of 36", 2, unseen, CLASSES["all"]),
        WorldRow("twin single", 1, twins),
        WorldRow("twin duet", 2, twins),
        WorldRow("off-screen single", 1, off_screen),
        WorldRow("off-screen duet", 2, off_screen),
    )


def reach(method: Method, batch: EncodedBatch, on: str = "boxes") -> dict[str, Any]:
    """Figures of a calibrated head in a row of the card, by label source, and of its detection."""
    if on == "masks":
        assert batch.masks is not None
        batch = replace(batch, targets=batch.masks)
    figures = score_batches(method.eval(), [batch]).figures(batch.sources > 1)
    detected = figures.get("detected")
    detection = None if detected is None else detected.pop("detection")
    given = figures["given"] if "given" in figures else figures["none"]
    return {"given": given, "detected": detected, "detection": detection}


@dataclass(frozen=True)
class Mistakes:
    """Shares of wrong classes among those that a detector takes.

    Attributes:
        wrong: Taken classes that do not sound, in percent.
        surface: Of these, those that share their surface with a class that sounds, in percent;
            None if nothing is wrong.
        shape: The same of the shape. A class may share one with one source and one with another.
    """

    wrong: float
    surface: float | None
    shape: float | None


def mistakes(detection: Tensor, scenes: EncodedBatch) -> Mistakes:
    """Count mistakes; of each scene as many classes are taken as sound in it.

    Args:
        detection: Detection scores, (B, N).
        scenes: The scenes, of the synthetic world's classes.

    Returns:
        Their mistakes.

    Raises:
        VocabularyError: The classes are those of another world.
    """
    names = [surface_and_shape(name) for name in scenes.vocabulary.names]
    labels = scenes.labels.cpu()
    order = detection.sort(dim=1, descending=True, stable=True).indices
    first = torch.arange(detection.shape[1]) < labels.sum(dim=1)[:, None]
    taken = torch.zeros_like(labels).scatter_(1, order, first)
    shared = []
    for scene, wrong in (taken & ~labels).nonzero().tolist():
        sounding = [names[label] for label in labels[scene].nonzero()[:, 0].tolist()]
        heard = zip(*sounding, strict=True)  # all surfaces, all shapes
        shared.append([part in true for part, true in zip(names[wrong], heard, strict=True)])
    if not shared:
        return Mistakes(0.0, None, None)
    surface, shape = (100 * sum(column) / len(shared) for column in zip(*shared, strict=True))
    return Mistakes(100 * len(shared) / int(taken.sum()), surface, shape)


def encoder_of(
    bundle: Path, tokens: ImageTokenMode = "values", flip: FlipAverage = "none"
) -> AudioCLIPEncoder:
    return AudioCLIPEncoder(load_audioclip(bundle), image_tokens=tokens, flip_average=flip)


def with_vocabulary(
    batch: EncodedBatch, encoder: AudioCLIPEncoder, names: tuple[str, ...]
) -> EncodedBatch:
    """The same clips with another vocabulary; nothing is encoded again.

    Args:
        batch: The clips.
        encoder: Their encoder.
        names: Class names, all classes of the batch among them.

    Returns:
        The clips, queried by the new names.

    Raises:
        VocabularyError: A class of the batch is missing.
    """
    vocabulary = encoder.vocabulary(names)
    rows = torch.tensor(vocabulary.indices(batch.vocabulary.names))
    queries = Queries(batch.queries.clip, rows[batch.queries.label])
    return replace(batch, vocabulary=vocabulary, queries=queries)


def encoded(
    encoder: AudioCLIPEncoder, rows: tuple[WorldRow, ...], count: int, title: str
) -> Scenes:
    scenes = {}
    with progress(f"Encoding {title}") as report:
        made: dict[tuple[Any, int], EncodedBatch] = {}
        for done, row in enumerate(rows):
            key = (row.world, row.sources)
            if key not in made:
                made[key] = encode_scenes(encoder, *key, count)
            names = row.names or row.world.names
            scenes[row.title] = with_vocabulary(made[key], encoder, names)
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
    """Calibrate a head; the decision, and the score of each readout and detector."""
    mixtures = [validation[title] for title in ("single", "duet", "3 sources", "4 sources")]
    decided = calibrate(method, mixtures[:2], mixtures)
    return {
        "hyperparameters": decided.hyperparameters,
        "validation": decided.score,
        "trials": [(trial.hyperparameters, trial.score) for trial in decided.trials],
        "detection": [(trial.hyperparameters, trial.score) for trial in decided.detection],
    }


def measured(method: Method, scenes: Scenes, on: str = "boxes") -> dict[str, Any]:
    return {title: reach(method, part, on) for title, part in scenes.items()}


@torch.inference_mode()
def mistaken(method: Method, scenes: Scenes) -> dict[str, Any]:
    """Mistakes of a head that detects, in every row."""
    found = {}
    for title, part in scenes.items():
        detection = method.detect(part.tokens, part.vocabulary)
        assert detection is not None
        found[title] = vars(mistakes(detection, part))
    return found


def untrained(name: str, embedding: int) -> Method:
    method = METHODS[name]
    return method.from_config(method.config_type(embedding=embedding))


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
            trials = [chosen for chosen, _ in decided[name]["trials"]]  # best first
            for chosen in trials:
                if chosen["readout"] not in readouts:
                    readouts[chosen["readout"]] = _with(method, chosen, test)
            bare = next(chosen for chosen in trials if not chosen["affinity"])
            methods["T-VSL, maps not spread"] = _with(method, bare, test)
    return {
        "decided": decided,
        "methods": methods,
        "masks": masks,
        "mistakes": wrong,
        "readouts": readouts,
    }


def _with(method: Method, hyperparameters: dict[str, Any], test: Scenes) -> dict[str, Any]:
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


def card_tables(results: Figures) -> str:
    """All tables of the mini model's card.

    Args:
        results: The results of ``main``.

    Returns:
        Markdown.
    """
    conditions = (
        f"{results['scenes']} test scenes a row, protocol `paper`, figures in percent. Detected: "
        "the top K classes of each scene, and an undetected source scores 0."
    )
    mistaken = (
        "Of the classes that the head takes, as many as sound: how many are wrong, and how many of "
        "these share their surface or their shape with a source."
    )
    parts = [
        conditions,
        "### The shipped head, on boxes",
        _own_rows(results["methods"]["T-VSL"]),
        "### The same on masks",
        _own_rows(results["masks"]),
        "### What is taken for what",
        mistaken,
        _mistakes(results["mistakes"]),
    ]
    compared = {
        "Methods": "methods",
        "Readouts of the shipped head": "readouts",
        "Token modes and flip averages": "tokens",
    }
    for title, key in compared.items():
        for labels, source in (("true labels given", "given"), ("detected labels", "detected")):
            parts += [f"### {title}, {labels}", _compared(results[key], source)]
    return "\n\n".join(parts)


def _own_rows(rows: Figures) -> str:
    headers = ["row", "AP or CAP", "IoU@0.3", "IoU@0.5", "AUC", "right twin"]
    headers += ["detected: AP or CAP", "IoU@0.3", "IoU@0.5", "detection mAP"]
    cells = []
    for title, row in rows.items():
        given, detected = row["given"], row["detected"]
        names = _names(title)
        cells.append(
            [
                title,
                *(_figure(given, name) for name in (*names, "AUC")),
                _figure(given, "right twin"),
                *(_figure(detected, name) for name in names),
                "" if row["detection"] is None else f"{row['detection']:.1f}",
            ]
        )
    return markdown_table(headers, cells)


def _mistakes(rows: Figures) -> str:
    names = ("wrong", "surface", "shape")
    cells = [
        [title, *("" if row[name] is None else f"{row[name]:.1f}" for name in names)]
        for title, row in rows.items()
    ]
    return markdown_table(["row", "wrong", "same surface", "same shape"], cells)


def _compared(methods: Figures, labels: str) -> str:
    """One row per method, each cell AP (CAP) and the paper's success rate."""
    titles = list(next(iter(methods.values())))
    rows = []
    for name, row in methods.items():
        if any(row[title][labels] for title in titles):
            rows.append([name, *(_pair(title, row[title][labels]) for title in titles)])
    return markdown_table(["", *titles], rows)


def _pair(title: str, figures: Figures | None) -> str:
    if figures is None:
        return ""
    average, at_03, at_05 = _names(title)
    success = at_05 if "single" in title else at_03
    return f"{_figure(figures, average)} / {_figure(figures, success)}"


def _names(title: str) -> tuple[SceneFigure, SceneFigure, SceneFigure]:
    """The figures of a row: average precision, and the success rates at 0.3 and at 0.5."""
    if "single" in title:
        return "AP", "IoU@0.3", "IoU@0.5"
    return "CAP", "CIoU@0.3", "CIoU@0.5"


def _figure(figures: Figures | None, name: SceneFigure) -> str:
    return "" if figures is None or name not in figures else f"{figures[name]:.1f}"


def seeds_table(results: Mapping[str, Figures]) -> str:
    """Several pre-training seeds beside each other.

    Args:
        results: What ``benchmarks/mini_model.py`` measured of each, by seed.

    Returns:
        A Markdown table: the score that validation gave the calibrated head, by which the shipped
        seed is chosen, and the test rows with detected labels.
    """
    rows = []
    titles: list[str] = []
    for seed, measured in results.items():
        ours = measured["methods"]["T-VSL"]
        titles = [title for title in ours if ours[title]["detected"]]
        validation = f"{measured['decided']['T-VSL']['validation']:.1f}"
        rows.append(
            [seed, validation, *(_pair(title, ours[title]["detected"]) for title in titles)]
        )
    return markdown_table(["seed", "validation", *titles], rows)


def model_card(results: Figures, bundle: Path, others: Mapping[str, Figures] | None = None) -> str:
    """The whole model card of the mini model.

    Args:
        results: What ``benchmarks/mini_model.py`` measured.
        bundle: Folder of the model.
        others: The same of models of other pre-training seeds, by seed.

    Returns:
        Markdown.
    """
    size = sum(path.stat().st_size for path in bundle.rglob("*.safetensors")) / 1e6
    notes = json.loads((bundle / "head" / "config.json").read_text(encoding="utf-8"))["notes"]
    seed, decided = notes["recipe"]["seed"], results["decided"]["T-VSL"]
    choices = ", ".join(f"{name} {value}" for name, value in decided["hyperparameters"].items())
    flips = ", ".join(
        f"{title.split(', flip ')[1]} {score:.1f}"
        for title, score in results["token_validation"].items()
        if title.startswith("T-VSL, values")
    )
    trials = ", ".join(f"{_readout(s)} {score:.1f}" for s, score in decided["trials"])
    detectors = ", ".join(f"{s['detector']} {score:.1f}" for s, score in decided["detection"])
    return _CARD.format(
        size=size,
        seed=seed,
        choices=choices,
        flips=flips,
        trials=trials,
        detectors=detectors,
        gaps=_gaps(results["methods"]),
        tables=card_tables(results),
        seeds=seeds_table({str(seed): results, **(others or {})}),
    )


def _readout(hyperparameters: Mapping[str, Any]) -> str:
    return (
        f"{hyperparameters['readout']}, spread"
        if hyperparameters.get("affinity")
        else hyperparameters["readout"]
    )


def _gaps(methods: Figures) -> str:
    """Gain in AP over text only with given labels, row by row."""
    ours, text = methods["T-VSL"], methods["text only"]
    parts = []
    for title, row in ours.items():
        name = _names(title)[0]
        gap = row["given"][name] - text[title]["given"][name]
        parts.append(f"{title} {gap:+.1f}")
    return ", ".join(parts)


_CARD = """# mini: a small AudioCLIP with a T-VSL head, for tvsl's synthetic world

Image, audio and text encoders and a head, {size:.1f} MB, trained from nothing by tvsl's own code on
tvsl's own made-up world (seed {seed}). It knows 6 shapes, 6 surfaces and 3 sizes, half of their 36
combinations from training. It knows nothing of the real world: use AudioCLIP for that.

Licence: Apache-2.0, as the package. How it is built: docs/mini-model.md. Rebuild and measure it:

    make mini SEED={seed}
    make mini-card SEED={seed}

This card is written by the second command; every figure in it is measured.

## What validation decided

- Head: {choices}.
- Flip average, score of the head on validation: {flips}.
- Readouts, score on validation, maps spread over alike cells or not: {trials}.
- Detectors, mean average precision on validation mixtures of 1 to 4 sources: {detectors}.

## What listening adds

T-VSL minus text only, true labels given, AP (CAP with several sources): {gaps}.

## Pre-training seeds

Detected labels; the shipped seed is the one that validation prefers.

{seeds}

## Results

{tables}
"""


if __name__ == "__main__":
    main()
