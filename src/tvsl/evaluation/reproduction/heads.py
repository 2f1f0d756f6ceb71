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
from tvsl.evaluation.reproduction.store_part import StorePart, all_mixtures, with_any, without
from tvsl.evaluation.reproduction.trainings import Regime, Task, Training
from tvsl.evaluation.scenes import EncodedScenes
from tvsl.methods.base import Method
from tvsl.methods.config import switched
from tvsl.tokens import Vocabulary
from tvsl.training.calibrate import calibrate, map_score
from tvsl.training.modules import BatchPlan, HeadTraining, TokenBatches
from tvsl.training.recipe import TrainConfig, find_head, recipe

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
    half = training.regime is not None and training.regime.half
    vocabulary = bench.vocabulary(bench.testbed.names(SINGLE, half))
    head = _untrained(config, training, bench, vocabulary)
    scenes = bench.validation(training.mode, half)
    held_out = 0.0
    if training.regime is not None:
        fitting = Fitting(training.regime, config, bench, vocabulary)
        fitting.fit(head, 0.0 if scenes else bench.config.held_out)
        held_out = 0.0 if scenes else fitting.held_out_loss(head, bench.config.held_out)
    head.eval()
    if scenes:
        return _decided(head, scenes)
    return Trained(head, {"single": -held_out, "several": -held_out}, {"held-out loss": held_out})


def _untrained(
    config: TrainConfig, training: Training, bench: Bench, vocabulary: Vocabulary
) -> Method:
    kind, switches = find_head(config)
    encoder = bench.encoder_of(training.mode)
    switches = switched(switches, flip_average=encoder.flip_average)
    torch.manual_seed(training.seed)
    built = kind.from_config(kind.config_for(switches, vocabulary), encoder.text_encoder)
    return built.to(encoder.device)


def _decided(head: Method, scenes: Sequence[EncodedScenes]) -> Trained:
    """By the one rule; candidates are then compared on the scenes of each task."""
    mapped = [part for part in scenes if part.sources <= 2]
    decided = calibrate(head, mapped, scenes)
    validation: dict[Task, float] = {}
    with torch.inference_mode():
        for part in mapped:
            raw = head.maps(part.tokens, part.queries, part.vocabulary)
            task: Task = "single" if part.sources == 1 else "several"
            validation[task] = map_score(head, [raw], [part])
    return Trained(head, validation, {"calibration": asdict(decided)})


@dataclass(frozen=True, eq=False)
class Fitting:
    """The training of heads on some mixtures.

    Attributes:
        regime: On which.
        config: The recipe.
        bench: Where tokens are.
        vocabulary: The classes.
    """

    regime: Regime
    config: TrainConfig
    bench: Bench
    vocabulary: Vocabulary

    def fit(self, head: Method, held_out: float) -> None:
        """Train a head in place.

        Args:
            head: The head.
            held_out: Share of the clips that it must not see.
        """
        steps, device = self.bench.config.steps, self.bench.encoder.device
        module = HeadTraining(head, self.vocabulary, self.config, steps)
        with _quiet():
            trainer = Trainer(
                max_steps=steps,
                max_epochs=1,
                accelerator="cpu" if device.type == "cpu" else "gpu",
                devices=1 if device.index is None else [device.index],
                barebones=True,
            )
            trainer.fit(module, self._loader(steps, held_out))
        head.to(device)

    def _loader(self, steps: int, held_out: float) -> DataLoader[TokenBatch]:
        wanted = without(held_out) if held_out else all_mixtures
        part = StorePart(self.bench.store, self.vocabulary.names, wanted)
        phases, start = [], 0
        for phase in self.regime.phases:
            stop = round(phase.until * steps)
            sizes = part.sizes_of(phase.sources)
            plan = BatchPlan(sizes, self.config.batch, self.config.seed)
            phases.append(TokenBatches(part, plan, range(start, stop)))
            start = stop
        return DataLoader(ChainDataset(phases), batch_size=None)

    @torch.no_grad()
    def held_out_loss(self, head: Method, held_out: float) -> float:
        """The mean loss on mixtures with clips that the head has not seen.

        Args:
            head: The head.
            held_out: Share of the clips that it has not seen.

        Returns:
            The mean over batches of the last phase's numbers of sources; 0 where there are none.
        """
        head.eval()
        part = StorePart(self.bench.store, self.vocabulary.names, with_any(held_out))
        device, losses = self.bench.encoder.device, []
        sizes = {number: part.sizes.get(number, 0) for number in self.regime.phases[-1].sources}
        for number, size in sizes.items():
            for start in range(0, size, self.config.batch):
                rows = torch.arange(start, min(start + self.config.batch, size))
                batch = part.batch(number, rows)
                tokens, labels = batch.tokens.to(device), batch.labels.to(device)
                terms = head.losses(tokens, labels, self.vocabulary)
                losses.append(sum(float(term) for term in terms.values()))
        return sum(losses) / max(1, len(losses))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's remarks on what is meant to be so."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for noise in _NOISE:
            warnings.filterwarnings("ignore", noise)
        yield
    logger.setLevel(level)
