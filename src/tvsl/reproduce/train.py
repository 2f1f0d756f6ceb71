"""Heads of a reproduction: trained, tuned on validation, scored."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import ChainDataset, DataLoader

from tvsl.data.token_store import TokenBatch
from tvsl.evaluation.predict import assign
from tvsl.evaluation.scenes import EncodedScenes
from tvsl.evaluation.score import Figures, PairScores, score_maps, score_named, stretched
from tvsl.methods.base import Method, with_overrides
from tvsl.metrics import (
    ciou,
    confidence,
    detection_mean_average_precision,
    negatives_average_precision,
    negatives_max_f1,
    resize_maps,
)
from tvsl.reproduce.bench import Bench, StorePart
from tvsl.reproduce.experiment import SINGLE, LabelSource, Regime, Task, Training
from tvsl.tokens import Vocabulary
from tvsl.training.calibrate import MAP_SOURCES, calibrate, located, one_figure
from tvsl.training.config import TrainConfig, find_head, recipe
from tvsl.training.modules import BatchPlan, HeadTraining, TokenBatches

_NOISE = (
    ".*no `val_dataloader`.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*`IterableDataset` has `__len__` defined.*",
    ".*does not have many workers.*",
    ".*`self.log\\(\\)` but `Trainer\\(barebones=True\\)`.*",
)


@dataclass(frozen=True, eq=False)
class Trained:
    """A head that is ready to be scored.

    Attributes:
        head: The head, in evaluation mode.
        validation: What candidates are compared by, for each task; higher is better.
        notes: What validation decided, and from what.
    """

    head: Method
    validation: dict[Task, float]
    notes: dict[str, Any]


def train_config(training: Training, bench: Bench) -> TrainConfig:
    """The recipe of one head, as `tvsl train` would have it.

    Raises:
        UsageError: There is no such method, preset or hyperparameter.
    """
    head, config = training.head, bench.config
    sizes = config.hyperparameters.get(head.method, {})
    return recipe(
        data=bench.setup.data,
        method=head.method,
        preset=head.preset,
        hyperparameters={**sizes, **dict(head.hyperparameters)},
        steps=config.steps,
        batch=config.batch,
        learning_rate=training.learning_rate,
        schedule=config.schedule,
        seed=training.seed,
    )


def train(training: Training, bench: Bench) -> Trained:
    """Have a head trained, and let validation decide its hyperparameters.

    Every head is trained by the module, the losses and the optimiser of `tvsl train`, for the same
    number of steps; what it is after the last one counts.

    Args:
        training: Which.
        bench: What it is trained with.

    Returns:
        The head.

    Raises:
        DivergedError: Its loss is no longer finite.
        VocabularyError: It cannot express the classes.
        UsageError: There is no such method or hyperparameter.
    """
    config = train_config(training, bench)
    vocabulary = bench.vocabulary(bench.testbed.names(SINGLE, training.half))
    head = _untrained(config, training, bench, vocabulary)
    if training.regime is not None:
        _fit(head, training.regime, config, bench, vocabulary)
    return _decided(head.eval(), bench.validation(training.mode, training.half), training)


def _untrained(
    config: TrainConfig, training: Training, bench: Bench, vocabulary: Vocabulary
) -> Method:
    kind, hyperparameters = find_head(config)
    encoder = bench.encoder_of(training.mode)
    hyperparameters = with_overrides(hyperparameters, flip_average=encoder.flip_average)
    torch.manual_seed(training.seed)
    built = kind.on_encoder(kind.config_for(hyperparameters, vocabulary), encoder)
    return built.to(encoder.device)


def _decided(head: Method, scenes: Sequence[EncodedScenes], training: Training) -> Trained:
    """By the one rule; candidates are then compared on the scenes of each task."""
    if not scenes:  # of half of the classes there may be none
        return Trained(head, {"single": 0.0, "several": 0.0}, {})
    judged = [part for part in scenes if part.sources in MAP_SOURCES]
    decided = calibrate(head, [part for part in judged if located(part)], scenes)
    scores = {part.sources: _score(head, part, training) for part in judged}
    single = scores[1]
    validation: dict[Task, float] = {"single": single, "several": scores.get(2, single)}
    return Trained(head, validation, {"calibration": asdict(decided)})


@torch.no_grad()
def _score(head: Method, scenes: EncodedScenes, training: Training) -> float:
    """AP and success rate; where nobody knows where sources are, the loss downwards.

    What a method detects is part of what it reaches: who finds the place and not the class is no
    better for it.
    """
    if located(scenes):
        found = score_named(head, scenes)
        return one_figure(found.detected or found.given, scenes.sources)
    if training.regime is None:
        return 0.0
    torch.manual_seed(training.seed)
    counts = scenes.counts.to(scenes.tokens.visual.device)
    losses = head.losses(scenes.tokens, counts, scenes.vocabulary)
    return -sum(float(loss) for loss in losses.values())


def _fit(
    head: Method, regime: Regime, config: TrainConfig, bench: Bench, vocabulary: Vocabulary
) -> None:
    """Train a head in place."""
    steps, device = bench.config.steps, bench.encoder.device
    module = HeadTraining(head, vocabulary, config, steps)
    with _quiet():
        trainer = Trainer(
            max_steps=steps,
            max_epochs=1,
            accelerator="cpu" if device.type == "cpu" else "gpu",
            devices=1 if device.index is None else [device.index],
            barebones=True,
        )
        trainer.fit(module, _loader(regime, config, bench, vocabulary))
    head.to(device)


def _loader(
    regime: Regime, config: TrainConfig, bench: Bench, vocabulary: Vocabulary
) -> DataLoader[TokenBatch]:
    part = StorePart(bench.store, vocabulary.names)
    phases, start = [], 0
    for phase in regime.phases:
        stop = round(phase.until * bench.config.steps)
        plan = BatchPlan(part.sizes_of(phase.sources), config.batch, config.seed)
        phases.append(TokenBatches(part, plan, range(start, stop)))
        start = stop
    return DataLoader(ChainDataset(phases), batch_size=None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's remarks on what is meant to be so."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for noise in _NOISE:
                warnings.filterwarnings("ignore", noise)
            yield
    finally:
        logger.setLevel(level)


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
            maps = (
                method.postprocess(_maps(method, scenes))
                if named
                else assigned_maps(method, scenes)
            )
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
    found = method.unlabelled_maps(scenes.tokens)
    maps: Tensor = method.postprocess(found.flatten(0, 1)).view_as(found)
    clips = scenes.queries.clip
    chosen = assign(maps.cpu(), scenes.boxes, clips)
    return maps[clips, chosen.to(clips.device)]
