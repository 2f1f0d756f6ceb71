"""One head: built, trained, and with its switches decided on validation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.utils.data import ChainDataset, DataLoader

from tvsl.data.token_store import TokenBatch
from tvsl.evaluation.reproduction.bench import Bench
from tvsl.evaluation.reproduction.kinds import SINGLE
from tvsl.evaluation.reproduction.store_part import StorePart
from tvsl.evaluation.reproduction.trainings import Regime, Task, Training
from tvsl.evaluation.scenes import EncodedScenes
from tvsl.evaluation.scoring import score_named
from tvsl.methods.base import Method
from tvsl.methods.config import switched
from tvsl.tokens import Vocabulary
from tvsl.training.calibrate import calibrate, one_figure
from tvsl.training.modules import BatchPlan, HeadTraining, TokenBatches
from tvsl.training.recipe import TrainConfig, find_head, recipe
from tvsl.training.validation import MAP_SOURCES, located

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
        UsageError: There is no such method, preset or switch.
    """
    head, config = training.head, bench.config
    sizes = config.switches.get(head.method, {})
    return recipe(
        data=bench.setup.data,
        method=head.method,
        preset=head.preset,
        switches={**sizes, **dict(head.switches)},
        steps=config.steps,
        batch=config.batch,
        learning_rate=training.learning_rate,
        schedule=config.schedule,
        seed=training.seed,
    )


def train(training: Training, bench: Bench) -> Trained:
    """Have a head trained, and let validation decide its switches.

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
        UsageError: There is no such method or switch.
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
    kind, switches = find_head(config)
    encoder = bench.encoder_of(training.mode)
    switches = switched(switches, flip_average=encoder.flip_average)
    torch.manual_seed(training.seed)
    built = kind.on_encoder(kind.config_for(switches, vocabulary), encoder)
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
