"""Predictions of a method for a batch: a map for each source, by the label source.

A permutation-invariant method says what sounds where, and not which is which. As its authors do,
its maps are assigned to the true sources one to one, for the highest sum of average precisions.
Whoever is scored so has seen the truth: such numbers are the best that the maps allow.

This is the one place that knows how a method is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tvsl.errors import UsageError
from tvsl.evaluation.batches import Group
from tvsl.evaluation.config import Counting
from tvsl.methods.base import Method
from tvsl.methods.operations import select
from tvsl.metrics import (
    UNASSIGNED,
    LabelSource,
    average_precision,
    best_assignment,
    minmax,
    resize_maps,
)
from tvsl.tokens import Queries, Tokens, Vocabulary


def assign(maps: Tensor, targets: Tensor, clips: Tensor) -> Tensor:
    """Assign the maps of clips to their sources.

    A source that is left without a map, because its clip has fewer maps than sources, gets the one
    that fits it best, as all sources do of a method with one map for all. Of a source that is
    nowhere the truth does not say which map is its: it gets the strongest that is left over, or
    the strongest of all.

    Args:
        maps: M maps of each of B clips, as they are shown, (B, M, h, w).
        targets: Where each of their P sources is, (P, H, W), bool or in [0, 1].
        clips: Which clip each source belongs to, (P,).

    Returns:
        Which of its clip's maps each source gets, from 0 to M - 1, (P,) int64 on the CPU.
    """
    chosen = torch.zeros(len(clips), dtype=torch.int64)
    # Clip by clip: full-size maps of all clips at once would take much memory.
    for clip, found in enumerate(maps):
        pairs = (clips.cpu() == clip).nonzero()[:, 0]
        truth = targets[pairs.to(targets.device)].to(found.device) > 0
        chosen[pairs] = _assigned(found.float(), truth)
    return chosen


def _assigned(maps: Tensor, truth: Tensor) -> Tensor:
    """Which of the maps (M, h, w) of a clip each of its sources (n, H, W) gets, (n,)."""
    full = minmax(resize_maps(maps, (truth.shape[1], truth.shape[2])))  # as all protocols do
    there = truth.flatten(1).any(dim=1).cpu()
    rows = [average_precision(full, one.expand(len(full), -1, -1)) for one in truth[there]]
    fit = torch.stack(rows).cpu() if rows else torch.zeros(0, len(maps))
    assigned = best_assignment(fit)
    chosen = torch.empty(len(truth), dtype=torch.int64)
    chosen[there] = torch.where(assigned == UNASSIGNED, fit.argmax(dim=1), assigned)
    strength = maps.amax(dim=(1, 2)).cpu()
    order = strength.sort(descending=True, stable=True).indices.tolist()
    left = [number for number in order if number not in assigned.tolist()] or order
    for place, source in enumerate((~there).nonzero()[:, 0].tolist()):
        chosen[source] = left[min(place, len(left) - 1)]
    return chosen


NOT_DETECTED = -1
"""The row of a source that has no map, because its class was not detected: it scores 0."""


@dataclass(frozen=True, eq=False)
class Detection:
    """What was detected in B clips.

    Attributes:
        scores: (B, N), float32.
        chosen: The classes of each clip that were taken, best first.
    """

    scores: Tensor
    chosen: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Asked:
    """The maps of P pairs.

    Attributes:
        maps: As they are shown and scored, (M, h, w).
        pairs: The pair that each is scored for, from 0 to P - 1, (M,).
        rows: By the source of labels: which of the maps is each pair's, (P,).
        detection: What was detected; None without detected labels.
    """

    maps: Tensor
    pairs: Tensor
    rows: Mapping[LabelSource, Tensor]
    detection: Detection | None = None


@torch.inference_mode()
def ask(
    method: Method,
    group: Group,
    vocabulary: Vocabulary,
    sources: Sequence[LabelSource],
    counting: Counting,
) -> Asked:
    """Ask a method for the maps of a group of items.

    With detected labels a method is asked for all classes that it detects in a clip, and a source
    gets the map of its class, or none. A source that is nowhere in the picture and whose class is
    not detected gets the map of the class that is detected first: to see nothing there is right,
    and to be sure of another class is wrong. So does any source without a class, also with given
    labels. Without labels a method has one map for all sources of a clip, or, where it is
    permutation-invariant, several that are assigned to them by the truth.

    Args:
        method: The method.
        group: The items.
        vocabulary: The classes.
        sources: Where labels come from, as ``label_sources`` says.
        counting: How many classes are detected.

    Returns:
        The maps.
    """
    every = torch.arange(len(group.clip))
    unknown = group.labels < 0
    detection = None
    if "detected" in sources or ("given" in sources and bool(unknown.any())):
        detection = detect(method, group, vocabulary, counting)
    maps, pairs = [], []
    rows: dict[LabelSource, Tensor] = {}
    if "given" in sources:
        labels = group.labels
        if detection is not None:
            first = torch.tensor([chosen[0] for chosen in detection.chosen])
            labels = torch.where(unknown, first[group.clip], labels)
        queries = Queries(group.clip, labels)
        maps.append(_shown(method, group.tokens, queries, vocabulary))
        pairs.append(every)
        rows["given"] = every
    if detection is not None and "detected" in sources:
        wanted = _wanted(group, detection, answered="given" in sources)
        if wanted.pairs or not maps:
            further = _shown(method, group.tokens, wanted.queries, vocabulary)
            maps.append(further[wanted.places])
            pairs.append(torch.tensor(wanted.pairs, dtype=torch.int64))
        rows["detected"] = torch.tensor(wanted.rows)
    if "none" in sources:
        rows["none"] = every + sum(len(some) for some in pairs)
        maps.append(_nameless(method, group, vocabulary))
        pairs.append(every)
    found = detection if "detected" in sources else None
    return Asked(torch.cat(maps), torch.cat(pairs), rows, found)


def _nameless(method: Method, group: Group, vocabulary: Vocabulary) -> Tensor:
    """Maps of all pairs that no class was asked for, (P, h, w)."""
    if not method.permutation_invariant:
        nothing = Queries(group.clip, torch.zeros_like(group.clip))
        return _shown(method, group.tokens, nothing, vocabulary)
    raw = method.unlabelled_maps(group.tokens)
    found = method.postprocess(raw.flatten(0, 1)).float().unflatten(0, raw.shape[:2])
    chosen = assign(found, group.targets, group.clip)
    maps: Tensor = found[group.clip.to(found.device), chosen.to(found.device)]
    return maps


def detect(method: Method, group: Group, vocabulary: Vocabulary, counting: Counting) -> Detection:
    """Detect the classes of each clip.

    Args:
        method: The method.
        group: The items.
        vocabulary: The classes.
        counting: How many are taken.

    Returns:
        Scores and classes.

    Raises:
        UsageError: The method cannot detect.
    """
    scores = method.detect(group.tokens, vocabulary)
    if scores is None:
        raise UsageError(
            f"The method '{method.name}' cannot detect classes.",
            "Evaluate it with --label-source given, on items that all have classes.",
        )
    scores = scores.float().cpu()
    chosen: list[list[int]] = [[] for _ in group.items]
    for clip, label in _taken(scores, group, method, counting):
        chosen[clip].append(label)
    return Detection(scores, tuple(tuple(labels) for labels in chosen))


def _taken(
    scores: Tensor, group: Group, method: Method, counting: Counting
) -> list[tuple[int, int]]:
    """Clip and class of all that is detected, best first within a clip."""
    if counting == "threshold":
        queries = select(scores, threshold=method.config.detection_threshold)
        return list(zip(queries.clip.tolist(), queries.label.tolist(), strict=True))
    order = scores.sort(dim=1, descending=True, stable=True).indices.tolist()
    return [
        (clip, label)
        for clip, classes in enumerate(_true_classes(group))
        for label in order[clip][: len(classes)]
    ]


def _true_classes(group: Group) -> list[set[int]]:
    classes: list[set[int]] = [set() for _ in group.items]
    for clip, label in zip(group.clip.tolist(), group.labels.tolist(), strict=True):
        classes[clip].add(label)
    return classes


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What detected labels ask for beyond what given ones have answered.

    Attributes:
        queries: What is asked.
        places: Which of the maps that this gives are scored.
        pairs: The pair that each of them is scored for.
        rows: Map of each of the P pairs, those of given labels first.
    """

    queries: Queries
    places: list[int]
    pairs: list[int]
    rows: list[int]


def _wanted(group: Group, detection: Detection, answered: bool) -> _Wanted:
    classes, chosen = _true_classes(group), detection.chosen
    # Where exactly the true classes are detected, the question has been answered already.
    again = [not (answered and set(taken) == classes[n]) for n, taken in enumerate(chosen)]
    asked = [(clip, label) for clip, taken in enumerate(chosen) if again[clip] for label in taken]
    place = {pair: number for number, pair in enumerate(asked)}
    places: list[int] = []
    pairs: list[int] = []
    rows: list[int] = []
    earlier = len(group.clip) if answered else 0
    truth = zip(group.clip.tolist(), group.labels.tolist(), group.sounding.tolist(), strict=True)
    for number, (clip, label, sounding) in enumerate(truth):
        if not again[clip]:
            rows.append(number)
        elif label not in chosen[clip] and sounding and label >= 0:
            rows.append(NOT_DETECTED)
        else:
            rows.append(earlier + len(pairs))
            shown = label if label in chosen[clip] else chosen[clip][0]
            places.append(place[clip, shown])
            pairs.append(number)
    clips, labels = torch.tensor(asked, dtype=torch.int64).reshape(-1, 2).unbind(1)
    return _Wanted(Queries(clips, labels), places, pairs, rows)


def _shown(method: Method, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
    asked = queries.to(tokens.visual.device)
    return method.postprocess(method.maps(tokens, asked, vocabulary)).float()
