"""What a calibrated head reaches on scenes, by the sources of its labels."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from tvsl.evaluation.assigning import assign
from tvsl.evaluation.reproduction.specs import LabelSource
from tvsl.evaluation.scenes import EncodedScenes
from tvsl.evaluation.scoring import Figures, PairScores, score_maps, score_named, stretched
from tvsl.methods.base import Method
from tvsl.metrics import (
    ciou,
    confidence,
    detection_mean_average_precision,
    negatives_average_precision,
    negatives_max_f1,
    resize_maps,
)

_CHUNK = 128


def label_sources(method: Method) -> tuple[LabelSource, ...]:
    """Where the labels of a method may come from at test."""
    if not method.class_aware:
        return ("none",)
    if method.permutation_invariant:
        return ("given", "assigned")
    detects = type(method).detect is not Method.detect
    return ("given", "detected") if detects else ("given",)


@torch.inference_mode()
def figures(
    method: Method, blocks: Iterable[EncodedScenes], count: int
) -> dict[LabelSource, Figures]:
    """Score a head by the protocol ``paper``.

    Args:
        method: The head, in evaluation mode.
        blocks: The scenes, some at a time.
        count: How many sources each has.

    Returns:
        Figures by the source of labels; with detected ones a source whose class is not among the
        likeliest, as many as sound, scores 0, and the figures include the detection's mean average
        precision. Pairs without anything to be found are left out.
    """
    sources = label_sources(method)
    scores: dict[LabelSource, list[PairScores]] = {source: [] for source in sources}
    detections, labels = [], []
    for scenes in blocks:
        there = scenes.boxes.flatten(1).any(dim=1)
        named = score_named(method, scenes)
        for source in sources:
            found = named.given
            if source == "assigned":
                found = score_maps(assigned_maps(method, scenes), scenes)
            elif source == "detected":
                assert named.detected is not None
                assert named.detection is not None
                found = named.detected
                detections.append(named.detection)
                labels.append(scenes.labels)
            scores[source].append(found.only(there))
    result = {source: PairScores.joined(parts).summary(count) for source, parts in scores.items()}
    if detections:
        precision = detection_mean_average_precision(torch.cat(detections), torch.cat(labels))
        result["detected"]["detection"] = 100 * float(precision)
    return result


@torch.inference_mode()
def negative_figures(method: Method, blocks: Iterable[EncodedScenes]) -> dict[LabelSource, Figures]:
    """Score a head where some of the sounds are of nothing visible, by the protocol ``negatives``.

    Places are scored on stretched maps, as ever; how sure a head is, on maps as they are.

    Args:
        method: The head, in evaluation mode.
        blocks: The scenes, some at a time; a silent pair has no target.

    Returns:
        Figures by the source of labels.
    """
    sources: list[LabelSource] = [one for one in label_sources(method) if one != "detected"]
    columns: dict[LabelSource, list[Tensor]] = {source: [] for source in sources}
    for scenes in blocks:
        for source in sources:
            named = source != "assigned"
            maps = method.shown(_maps(method, scenes)) if named else assigned_maps(method, scenes)
            columns[source].append(_sure(maps.float().cpu(), scenes))
    result: dict[LabelSource, Figures] = {}
    for source, parts in columns.items():
        sure, overlap, there = torch.cat(parts).T
        sounding = there.bool()
        result[source] = {
            "confident AP": 100 * float(negatives_average_precision(sure, overlap, sounding)),
            "max-F1": 100 * float(negatives_max_f1(sure, overlap, sounding)),
            "LocAcc": 100 * float((overlap[sounding] > 0.5).double().mean()),
        }
    return result


def _sure(maps: Tensor, scenes: EncodedScenes) -> Tensor:
    """Confidence, cIoU and whether anything is there, (P, 3)."""
    parts = []
    for rows in torch.arange(len(maps)).split(_CHUNK):
        targets = scenes.boxes[rows]
        sure = confidence(resize_maps(maps[rows], scenes.size))
        overlap = ciou(stretched(maps[rows], scenes.size), targets)
        parts.append(torch.stack([sure, overlap, targets.flatten(1).any(dim=1)], dim=1))
    return torch.cat(parts)


def _maps(method: Method, scenes: EncodedScenes) -> Tensor:
    return method.maps(scenes.tokens, scenes.queries, scenes.vocabulary)


def assigned_maps(method: Method, scenes: EncodedScenes) -> Tensor:
    """The maps of a method that finds sources without names, assigned to the true ones (PIAP).

    Args:
        method: The method.
        scenes: The scenes.

    Returns:
        A map for each pair, as shown, (P, h, w).
    """
    found = method.candidates(scenes.tokens)
    maps: Tensor = method.shown(found.flatten(0, 1)).view_as(found)
    clips = scenes.queries.clip
    chosen = assign(maps.cpu(), scenes.boxes, clips)
    return maps[clips, chosen.to(clips.device)]
