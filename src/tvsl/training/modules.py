"""Training of heads on frozen tokens with Lightning: batches, module, and the run of both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from tvsl.data.token_store import TokenBatch, TokenStore
from tvsl.encoder import Encoder
from tvsl.errors import DivergedError, UsageError
from tvsl.evaluation.batch import EncodedBatch
from tvsl.evaluation.score import PairScores, score_maps
from tvsl.global_batch import BatchShare, share_of_batch, sharing_batch
from tvsl.methods.base import Method, with_overrides
from tvsl.metrics import Figure
from tvsl.tokens import Vocabulary
from tvsl.training.calibrate import located
from tvsl.training.config import TrainConfig, find_head
from tvsl.training.trainer import build_trainer, fit, quiet, trainer_options
from tvsl.utils.processes import Progress, current, no_progress
from tvsl.utils.run_folder import CHECKPOINTS
from tvsl.utils.seeds import seed_of_step

VALIDATION_SCORE = "validation/score"
VALIDATION_KEY = "validation"


class BatchPlan:
    """Mixtures of the batch of each step: a function of the seed and the step alone.

    In an epoch each mixture is seen once, but for a remainder smaller than a batch for each number
    of sources, which is another one in each epoch.

    Args:
        sizes: Number of mixtures of each number of sources.
        batch: Mixtures of a step; all of a number of sources where there are fewer.
        seed: Decides their order.
    """

    def __init__(self, sizes: Mapping[int, int], batch: int, seed: int) -> None:
        self.sizes = {number: size for number, size in sizes.items() if size}
        self.batch = batch
        self.seed = seed
        self.steps_of_epoch = sum(max(1, size // batch) for size in self.sizes.values())
        self._epoch: tuple[int, list[tuple[int, NDArray[np.int64]]]] | None = None

    def at(self, step: int) -> tuple[int, NDArray[np.int64]]:
        """The batch of a step, from 0: number of sources, and rows of the mixtures."""
        epoch, place = divmod(step, self.steps_of_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._draw(epoch))
        return self._epoch[1][place]

    def _draw(self, epoch: int) -> list[tuple[int, NDArray[np.int64]]]:
        rng = np.random.default_rng((self.seed, epoch))
        batches: list[tuple[int, NDArray[np.int64]]] = []
        for number, size in sorted(self.sizes.items()):
            order = rng.permutation(size).astype(np.int64)
            count = max(1, size // self.batch)
            batches += [
                (number, order[self.batch * place : self.batch * (place + 1)])
                for place in range(count)
            ]
        return [batches[place] for place in rng.permutation(len(batches))]


class Batches(Protocol):
    """Source of batches: a token store, or a part of one."""

    def batch(self, sources: int, rows: Tensor) -> TokenBatch:
        """Read mixtures.

        Args:
            sources: Their number of sources.
            rows: Their rows, (B,).
        """


@dataclass(frozen=True)
class TrainingShare:
    """The part of the training that falls to a process, of batches of any size.

    Attributes:
        rank: Number of the process.
        count: Number of processes.
        together: Neighbouring clips of a batch that are not parted; None for a method whose losses
            need the whole batch in every process.
    """

    rank: int = 0
    count: int = 1
    together: int | None = 1

    def of(self, size: int) -> BatchShare | None:
        """The share of this process of a batch; None where each does all of it."""
        if self.together is None:
            return None
        return share_of_batch(size, self.rank, self.count, self.together)

    @classmethod
    def for_method(cls, method: Method) -> TrainingShare:
        """The share of this process in training a method."""
        team = current()
        return cls(team.rank, team.count, method.rows_together if method.shares_batch else None)


WHOLE = TrainingShare()


class SharedTokenBatch(NamedTuple):
    """The part of a training batch that falls to a process.

    Attributes:
        part: The clips.
        share: Their place in the batch; None where they are all of it.
    """

    part: TokenBatch
    share: BatchShare | None


class TokenBatches(IterableDataset[SharedTokenBatch]):
    """Batches of some steps.

    Args:
        store: The tokens.
        plan: Mixtures of each batch.
        steps: The steps.
        share: The part of each batch that is read.
    """

    def __init__(
        self, store: Batches, plan: BatchPlan, steps: range, share: TrainingShare = WHOLE
    ) -> None:
        self.store, self.plan, self.steps, self.share = store, plan, steps, share

    def __iter__(self) -> Iterator[SharedTokenBatch]:
        """Read the batches, step by step."""
        for step in self.steps:
            sources, rows = self.plan.at(step)
            share = self.share.of(len(rows))
            own = torch.from_numpy(rows if share is None else rows[share.rows])
            yield SharedTokenBatch(self.store.batch(sources, own), share)

    def __len__(self) -> int:
        return len(self.steps)


class TokenData(LightningDataModule):
    """Training batches by epoch, and the same validation scenes each time.

    An epoch of Lightning is the stretch between two validations.

    Args:
        config: The recipe.
        store: Tokens to train on.
        scenes: Validation scenes, of one number of sources each.
        share: The part of each training batch that is read.
    """

    def __init__(
        self,
        config: TrainConfig,
        store: TokenStore,
        scenes: Sequence[EncodedBatch],
        share: TrainingShare = WHOLE,
    ) -> None:
        super().__init__()
        self.config, self.store, self.scenes, self.share = config, store, scenes, share
        self.plan = BatchPlan(store.mixtures(), config.batch, config.seed)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        if self.config.steps is not None:
            return self.config.steps
        return max(1, round(self.config.epochs * self.plan.steps_of_epoch))

    def train_dataloader(self) -> DataLoader[SharedTokenBatch]:
        """The batches of the current epoch."""
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        start = epoch * self.config.validate_every
        stop = min(start + self.config.validate_every, self.steps)
        batches = TokenBatches(self.store, self.plan, range(start, stop), self.share)
        return DataLoader(batches, batch_size=None)

    def val_dataloader(self) -> DataLoader[EncodedBatch]:
        """All scenes of one number of sources at a time."""
        return DataLoader(cast(Any, self.scenes), batch_size=None, shuffle=False)

    def transfer_batch_to_device(
        self,
        batch: Any,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> Any:
        """Move a training batch; validation scenes are where they were encoded; see Lightning."""
        if isinstance(batch, SharedTokenBatch):
            tokens, labels = batch.part
            return SharedTokenBatch(TokenBatch(tokens.to(device), labels.to(device)), batch.share)
        return batch


class HeadTraining(LightningModule):
    """A head under its own losses.

    Args:
        method: The head, trained in place.
        vocabulary: The classes of the training labels.
        config: The recipe.
        steps: Optimiser steps in all.
        share: The part of each batch that falls to this process.
    """

    def __init__(
        self,
        method: Method,
        vocabulary: Vocabulary,
        config: TrainConfig,
        steps: int,
        share: TrainingShare = WHOLE,
    ) -> None:
        super().__init__()
        self.method = method
        self.vocabulary = vocabulary
        self.recipe = config
        self.steps = steps
        self.share = share
        self.figures: dict[str, float] = {}
        self._validated: list[dict[str, float]] = []

    def training_step(self, batch: SharedTokenBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """One step: the sum of the losses; see Lightning.

        Raises:
            DivergedError: The loss is not finite.
        """
        # What a method draws depends on the step alone, so that a resumed run draws the same.
        self._seed(self.global_step)
        self.method.progress = self.global_step / self.steps
        (tokens, labels), share = batch
        with sharing_batch(share):
            losses = self.method.losses(tokens, labels, self.vocabulary)
        loss = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(loss):
            raise DivergedError(
                f"The loss of step {self.global_step} is not finite.",
                "Start again with a lower learning rate.",
            )
        values = {f"train/{name}": value.detach() for name, value in losses.items()}
        self.log_dict({**values, "train/loss": loss.detach()}, batch_size=tokens.batch)
        return loss

    def validation_step(self, scenes: EncodedBatch, batch_idx: int) -> None:  # noqa: ARG002
        """Losses and localization on scenes of one number of sources; see Lightning.

        Each process sees its rows of the scenes; the figures are those of all of them.
        """
        size, total = self.recipe.batch, scenes.tokens.batch
        parts = [
            self._losses(scenes, range(at, min(at + size, total))) for at in range(0, total, size)
        ]
        figures = {name: sum(losses[name] for losses in parts) / len(parts) for name in parts[0]}
        figures["loss"] = sum(figures.values())
        if not located(scenes):
            self._validated.append(figures)
            return
        team = current()
        starts = [total * number // team.count for number in range(team.count + 1)]
        own = scenes.chosen(range(*starts[team.rank : team.rank + 2]))
        scores = PairScores.joined([one for one in team.gather(self._scores(own)) if one])
        average: Figure = "AP" if scenes.sources == 1 else "CAP"
        figures[average] = scores.summary(scenes.sources > 1)[average]
        self._validated.append(figures)

    def _seed(self, number: int) -> None:
        """Seed what a method draws."""
        seed = seed_of_step(self.recipe.seed, number)
        # torch.manual_seed also looks after devices that are not used.
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def _losses(self, scenes: EncodedBatch, rows: range) -> dict[str, float]:
        """Losses of some of the scenes, which count as a batch."""
        self._seed(self.global_step + rows.start)
        share = self.share.of(len(rows))
        own = rows if share is None else rows[share.rows]
        part = scenes.chosen(own)
        counts = part.counts.to(part.tokens.visual.device)
        with sharing_batch(share):
            losses = self.method.losses(part.tokens, counts, scenes.vocabulary)
        return {name: float(loss) for name, loss in losses.items()}

    def _scores(self, scenes: EncodedBatch) -> PairScores | None:
        """Scores of the maps of some scenes; None of none."""
        if not scenes.tokens.batch:
            return None
        queries = scenes.queries.to(scenes.tokens.visual.device)
        maps = self.method.spread_maps(scenes.tokens, queries, scenes.vocabulary)
        return score_maps(self.method.postprocess(maps), scenes)

    def on_validation_epoch_end(self) -> None:
        """Log losses, averaged over the numbers of sources, AP, CAP, and the mean of the two.

        The score is that mean, or the loss downwards where nobody knows where sources are.
        """
        names = dict.fromkeys(name for figures in self._validated for name in figures)
        self.figures = {}
        for name in names:
            values = [figures[name] for figures in self._validated if name in figures]
            self.figures[name] = sum(values) / len(values)
        averages = [self.figures[name] for name in ("AP", "CAP") if name in self.figures]
        known = sum(averages) / len(averages) if averages else -self.figures["loss"]
        self.figures["score"] = known
        self._validated.clear()
        self.log_dict({f"{VALIDATION_KEY}/{name}": v for name, v in self.figures.items()})

    def configure_optimizers(self) -> Any:
        """Adam, with a rate that stays or that falls along a cosine."""
        groups = self.method.parameter_groups(self.recipe.learning_rate)
        optimizer = torch.optim.Adam(groups, lr=self.recipe.learning_rate)
        if self.recipe.schedule == "constant":
            return optimizer

        def rate(step: int) -> float:
            return 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return cast(Any, ([optimizer], [{"scheduler": schedule, "interval": "step"}]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note with a checkpoint what it reached."""
        checkpoint[VALIDATION_KEY] = dict(self.figures)


def require_training(method: Method) -> None:
    """Let through only a method with parameters to train.

    Raises:
        UsageError: It has none.
    """
    if not any(parameter.requires_grad for parameter in method.parameters()):
        raise UsageError(f"The method '{method.name}' needs no training.", "Use it as it is.")


BEST = "best.ckpt"


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the highest validation score.

    Args:
        folder: Folder of the run; it may have been moved since the run was interrupted.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder / CHECKPOINTS,
            filename=Path(BEST).stem,
            monitor=VALIDATION_SCORE,
            mode="max",
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what was best, wherever the folder is now."""
        path = str(Path(str(self.dirpath)) / BEST)
        score = state_dict["best_model_score"]
        here = {
            "dirpath": self.dirpath,
            "best_model_path": path,
            "kth_best_model_path": path,
            "best_k_models": {} if score is None else {path: score},
        }
        super().load_state_dict({**state_dict, **here})


def build_head(config: TrainConfig, encoder: Encoder, vocabulary: Vocabulary) -> Method:
    """Build the untrained head of a recipe, in training mode, on the CPU.

    Args:
        config: The recipe; its seed draws the parameters.
        encoder: The encoder.
        vocabulary: The classes of the training labels.

    Raises:
        UsageError: There is no such method, preset or hyperparameter.
        VocabularyError: The method cannot express the classes.
    """
    method, hyperparameters = find_head(config)
    hyperparameters = with_overrides(hyperparameters, flip_average=encoder.flip_average)
    torch.manual_seed(config.seed)
    return method.on_encoder(method.config_for(hyperparameters, vocabulary), encoder)


def fit_head(
    method: Method,
    vocabulary: Vocabulary,
    config: TrainConfig,
    data: TokenData | DataLoader[SharedTokenBatch],
    steps: int,
    folder: Path | None = None,
    checkpoint: Path | None = None,
    progress: Progress = no_progress,
) -> None:
    """Train a head in place.

    Args:
        method: The head; it is trained where the vocabulary is.
        vocabulary: The classes of the training labels.
        config: The recipe.
        data: Batches of tokens; with validation scenes where the best head is wanted.
        steps: Optimiser steps in all.
        folder: Folder of the run for metrics and checkpoints, which the group of processes trains
            together; without one this process trains alone, nothing is written, and the head after
            the last step counts.
        checkpoint: The checkpoint to resume from.
        progress: Called with steps so far and in all.

    Raises:
        DivergedError: The loss is not finite.
        LostProcessError: Another process of the training has ended.
        OutputError: The folder cannot be written, or memory does not suffice.
        WeightsError: The checkpoint is damaged.
    """
    device = vocabulary.embeddings.device
    share = WHOLE if folder is None else TrainingShare.for_method(method)
    module = HeadTraining(method, vocabulary, config, steps, share)
    options = trainer_options(device, alone=folder is None)
    if folder is None:
        with quiet():
            trainer = Trainer(max_steps=steps, max_epochs=1, barebones=True, **options)
            trainer.fit(module, data)
    else:
        trainer = build_trainer(
            folder,
            steps,
            config.clip_norm,
            progress,
            BestCheckpoint(folder),
            num_sanity_val_steps=0,
            inference_mode=False,
            **options,
        )
        fit(trainer, module, data, checkpoint)
    method.to(device)
