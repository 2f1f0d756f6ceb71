"""The tables of a model card, written from measured results and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tvsl.evaluation.score import SceneFigure

Figures = Mapping[str, Any]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table.

    Args:
        head: Titles of the columns.
        rows: Cells, row by row.

    Returns:
        The table, first column to the left, the others to the right.
    """
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def card_tables(results: Figures) -> str:
    """All tables of the mini model's card.

    Args:
        results: What ``benchmarks/mini_model.py`` measured.

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
        "### Methods, true labels given",
        _compared(results["methods"], "given"),
        "### Methods, detected labels",
        _compared(results["methods"], "detected"),
        "### Readouts of the shipped head, true labels given",
        _compared(results["readouts"], "given"),
        "### Readouts of the shipped head, detected labels",
        _compared(results["readouts"], "detected"),
        "### Token modes and flip averages, true labels given",
        _compared(results["tokens"], "given"),
        "### Token modes and flip averages, detected labels",
        _compared(results["tokens"], "detected"),
    ]
    return "\n\n".join(parts)


def _own_rows(rows: Figures) -> str:
    head = ["row", "AP or CAP", "IoU@0.3", "IoU@0.5", "AUC", "right twin"]
    head += ["detected: AP or CAP", "IoU@0.3", "IoU@0.5", "detection mAP"]
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
    return markdown_table(head, cells)


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
    """What listening adds to the given name, in AP, row by row."""
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
