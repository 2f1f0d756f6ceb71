"""Predictions of a method for a batch: one map for each (clip, source) pair, by label source.

Every evaluation asks methods here: `tvsl evaluate`, the paper's tables, validation and model cards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import ConfigDict, Field, ValidationError, field_validator
from torch import Tensor

from tvsl.errors import UsageError, first_problem
from tvsl.evaluation.batch import EncodedBatch
from tvsl.methods.base import Method
from tvsl.methods.operations import select
from tvsl.metrics import (
    PAPER,
    UNASSIGNED,
    LabelSource,
    Protocol,
    average_precision,
    best_assignment,
    find_protocol,
    minmax,
    resize_maps,
)
from tvsl.tokens import Queries
from tvsl.utils.strict_model import StrictModel

LabelChoice = Literal["given", "detected"]
Counting = Literal["oracle", "threshold"]


NO_MAP = -1
"""Row of a pair without a map, because its class was not detected: it scores 0."""


class EvaluationConfig(StrictModel):
    """Settings that decide the numbers of an evaluation, beside model and data.

    Attributes:
        protocols: Names of the protocols that maps are scored by.
        labels: Sources of class names; all that method and data set allow when None.
        counting: Number of detected classes: ``oracle``, as many as the item has; ``threshold``,
            those that reach the threshold that was calibrated on validation data, at least one.
        vocabulary: Class names among which to detect; those of the data set when None.
        batch: Items that are encoded together. Another number gives other last digits.
        seed: Of the random maps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    protocols: tuple[str, ...] = Field((PAPER.name,), min_length=1)
    labels: tuple[LabelChoice, ...] | None = Field(None, min_length=1)
    counting: Counting = "oracle"
    vocabulary: tuple[str, ...] | None = Field(None, min_length=1)
    batch: int = Field(32, gt=0)
    seed: int = Field(0, ge=0, lt=2**63)

    @field_validator("protocols", "labels")
    @classmethod
    def _each_once(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(dict.fromkeys(value))

    @property
    def chosen(self) -> tuple[Protocol, ...]:
        """The protocols themselves."""
        return tuple(find_protocol(name) for name in self.protocols)


def evaluation_config(**fields: Any) -> EvaluationConfig:
    """Settings of an evaluation, checked.

    Raises:
        UsageError: There is no such protocol, or a value that a field cannot have.
    """
    try:
        checked = EvaluationConfig.model_validate(fields)
    except ValidationError as error:
        raise UsageError(
            f"The conditions of the evaluation are wrong: {first_problem(error)}.",
            "Correct this option.",
        ) from error
    if not checked.chosen:
        raise UsageError("No protocol was named.", "Name at least one.")
    return checked


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted maps of the P pairs of a batch.

    Attributes:
        maps: M maps after ``Method.postprocess``, (M, h, w).
        pairs: Pair that each map is scored for, (M,).
        rows: Row of each pair's map by label source, (P,), or ``NO_MAP``.
        scores: Detection scores, (B, N) float32 on the CPU; None where nothing was detected.
        detected: Classes taken of each clip, best first.
    """

    maps: Tensor
    pairs: Tensor
    rows: Mapping[LabelSource, Tensor]
    scores: Tensor | None = None
    detected: tuple[tuple[int, ...], ...] = ()


def label_sources(
    method: Method | type[Method],
    labelled: bool = True,
    choices: Sequence[LabelChoice] | None = None,
    complete: bool = True,
) -> tuple[LabelSource, ...]:
    """Label sources that a method is evaluated with.

    Args:
        method: The method.
        labelled: Whether the sources of the data set have classes.
        choices: Label sources that the user asks for; all that are possible when None.
        complete: Whether every source has a class. One that is nowhere in the picture may have
            none; it is queried by the class that the method detects.

    Returns:
        ``none`` for a method that is not queried by class, else ``given`` and ``detected`` as far
        as possible; ``assigned`` is added for a permutation-invariant method.

    Raises:
        UsageError: The choice is impossible, or nothing is possible.
    """
    if not method.class_aware:
        return ("none",)
    if choices is not None and "given" in choices and not labelled:
        raise UsageError(
            "The items of this data set have no class labels that could be given.",
            "Evaluate with `--label-source detected`.",
        )
    detects = method.can_detect()
    possible: Mapping[LabelChoice, bool] = {
        "given": labelled and (complete or detects),
        "detected": detects,
    }
    sources: tuple[LabelSource, ...] = tuple(one for one in choices or possible if possible[one])
    if method.permutation_invariant:
        return (*sources, "assigned")
    if not sources:
        raise UsageError(
            f"The method '{method.name}' cannot detect classes, and not all are given.",
            "Evaluate it with `--label-source given` on a data set with class labels.",
        )
    return sources


@torch.inference_mode()
def predict(
    method: Method,
    batch: EncodedBatch,
    sources: Sequence[LabelSource],
    counting: Counting = "oracle",
) -> Predictions:
    """Predict the maps of a batch.

    With detected labels a method is queried by all classes that it detects in a clip, and a pair
    gets the map of its class, or none. A source that is nowhere in the picture and whose class is
    not detected gets the map of the first detected class: no response there is right, and a
    confident one is wrong. So does a source without a class, also with given labels.

    Args:
        method: The method, in evaluation mode.
        batch: The clips.
        sources: Label sources, as ``label_sources`` gives them.
        counting: Number of detected classes: ``oracle``, as many as the clip has, or ``threshold``.

    Raises:
        UsageError: Classes must be detected and the method cannot.
    """
    queries = batch.queries.to("cpu")
    every = torch.arange(len(queries))
    unknown = queries.label < 0
    scores: Tensor | None = None
    detected: tuple[tuple[int, ...], ...] = ()
    if "detected" in sources or ("given" in sources and bool(unknown.any())):
        scores, detected = detect(method, batch, counting)
    maps, pairs = [], []
    rows: dict[LabelSource, Tensor] = {}
    if "given" in sources:
        labels = queries.label
        if detected:
            first = torch.tensor([taken[0] for taken in detected])
            labels = torch.where(unknown, first[queries.clip], labels)
        maps.append(_maps(method, batch, Queries(queries.clip, labels)))
        pairs.append(every)
        rows["given"] = every
    if "detected" in sources:
        queried, scored, rows["detected"] = _detected_rows(batch, detected, "given" in sources)
        if scored or not maps:
            found = _maps(method, batch, Queries.from_lists(queried))
            maps.append(found[[place for place, _ in scored]])
            pairs.append(torch.tensor([pair for _, pair in scored], dtype=torch.int64))
    for source in ("none", "assigned"):
        if source in sources:
            rows[source] = every + sum(len(some) for some in pairs)
            maps.append(_unlabelled_maps(method, batch))
            pairs.append(every)
    if "detected" not in sources:
        scores, detected = None, ()
    return Predictions(torch.cat(maps), torch.cat(pairs), rows, scores, detected)


def detect(
    method: Method, batch: EncodedBatch, counting: Counting = "oracle"
) -> tuple[Tensor, tuple[tuple[int, ...], ...]]:
    """Detect the classes that sound.

    Args:
        method: The method.
        batch: The clips.
        counting: As for ``predict``.

    Returns:
        Scores, (B, N) float32 on the CPU, and the classes taken of each clip, best first.

    Raises:
        UsageError: The method cannot detect.
    """
    scores = method.detect(batch.tokens, batch.vocabulary)
    if scores is None:
        raise UsageError(
            f"The method '{method.name}' cannot detect classes.",
            "Evaluate it with --label-source given, on items that all have classes.",
        )
    scores = scores.float().cpu()
    if counting == "threshold":
        queries = select(scores, threshold=method.config.detection_threshold)
    else:
        counts = [min(len(classes), scores.shape[1]) for classes in true_classes(batch)]
        queries = select(scores, counts)
    taken: list[list[int]] = [[] for _ in scores]
    for clip, label in zip(queries.clip.tolist(), queries.label.tolist(), strict=True):
        taken[clip].append(label)
    return scores, tuple(map(tuple, taken))


def true_classes(batch: EncodedBatch) -> list[set[int]]:
    """Classes of each clip's sources; -1 stands for a source without one."""
    classes: list[set[int]] = [set() for _ in range(batch.tokens.batch)]
    for clip, label in zip(batch.queries.clip.tolist(), batch.queries.label.tolist(), strict=True):
        classes[clip].add(label)
    return classes


def _detected_rows(
    batch: EncodedBatch, detected: Sequence[Sequence[int]], given: bool
) -> tuple[list[Sequence[int]], list[tuple[int, int]], Tensor]:
    """Queries by detected labels, beyond those of given ones.

    Args:
        batch: The clips.
        detected: Classes taken of each clip.
        given: Whether there is a map for each pair's own class already: where exactly the true
            classes are detected, they are not queried again.

    Returns:
        The classes to query in each clip; (place among these queries, pair) of the maps that are
        scored; the row of each pair's map, those of given labels first.
    """
    classes = true_classes(batch)
    queried: list[Sequence[int]] = [
        () if given and set(taken) == true else taken
        for taken, true in zip(detected, classes, strict=True)
    ]
    pairs = ((clip, label) for clip, labels in enumerate(queried) for label in labels)
    place = {pair: number for number, pair in enumerate(pairs)}
    scored: list[tuple[int, int]] = []
    rows: list[int] = []
    earlier = len(batch.queries) if given else 0
    clips, labels = batch.queries.clip.tolist(), batch.queries.label.tolist()
    there = batch.foreground.tolist()
    for pair, (clip, label, seen) in enumerate(zip(clips, labels, there, strict=True)):
        taken = detected[clip]
        if not queried[clip]:
            rows.append(pair)
        elif label not in taken and seen and label >= 0:
            rows.append(NO_MAP)
        else:
            rows.append(earlier + len(scored))
            scored.append((place[clip, label if label in taken else taken[0]], pair))
    return queried, scored, torch.tensor(rows)


def _maps(method: Method, batch: EncodedBatch, queries: Queries) -> Tensor:
    raw = method.spread_maps(batch.tokens, queries.to(batch.tokens.visual.device), batch.vocabulary)
    return method.postprocess(raw).float()


def _unlabelled_maps(method: Method, batch: EncodedBatch) -> Tensor:
    """Maps of all pairs that no class was queried for, (P, h, w)."""
    clip = batch.queries.clip.to(batch.tokens.visual.device)
    if not method.permutation_invariant:
        return _maps(method, batch, Queries(clip, torch.zeros_like(clip)))
    raw = method.spread_unlabelled_maps(batch.tokens)
    found = method.postprocess(raw.flatten(0, 1)).float().unflatten(0, raw.shape[:2])
    maps: Tensor = found[clip, assign(found, batch.targets, clip).to(clip.device)]
    return maps


def assign(maps: Tensor, targets: Tensor, clips: Tensor) -> Tensor:
    """Assign maps without labels to the sources of their clip by the truth (PIAP).

    A permutation-invariant method finds sources, but not which is which. As its authors do, its
    maps are assigned to the true sources one to one, for the highest sum of average precisions:
    such scores are the best that the maps allow. Where a clip has fewer maps than sources, a source
    that is left over gets the map that fits it best. A source that is nowhere in the picture gets
    the strongest map that is left over, or the strongest of all.

    Args:
        maps: M maps of each of B clips after postprocessing, (B, M, h, w).
        targets: Masks of their P sources, (P, H, W), bool or in [0, 1].
        clips: Clip of each source, (P,).

    Returns:
        Which of its clip's maps each source gets, from 0 to M - 1, (P,) int64 on the CPU.
    """
    chosen = torch.zeros(len(clips), dtype=torch.int64)
    # Clip by clip: full-size maps of all clips at once would take much memory.
    for clip, found in enumerate(maps):
        pairs = (clips.cpu() == clip).nonzero()[:, 0]
        truth = targets[pairs.to(targets.device)].to(found.device) > 0
        chosen[pairs] = _assign_clip(found.float(), truth)
    return chosen


def _assign_clip(maps: Tensor, truth: Tensor) -> Tensor:
    """Map among those of a clip (M, h, w) for each of its sources (n, H, W), (n,)."""
    full = minmax(resize_maps(maps, (truth.shape[1], truth.shape[2])))
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
