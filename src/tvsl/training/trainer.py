"""Lightning's trainer with the logs, checkpoints, progress and resuming of every run."""

from __future__ import annotations

import csv
import io
import logging
import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from tvsl.errors import OutputError, UsageError, WeightsError
from tvsl.utils.atomic import write_whole
from tvsl.utils.files import LARGEST_LIST, read_small_text
from tvsl.utils.processes import (
    Progress,
    current,
    environment,
    is_lost_process,
    lost_process,
    no_progress,
)
from tvsl.utils.run_folder import CHECKPOINTS, LAST

_NOISE = (
    ".*no `val_dataloader`.*",
    ".*`IterableDataset` has `__len__` defined.*",
    ".*`self.log\\(\\)` but `Trainer\\(barebones=True\\)`.*",
    ".*num_workers.*",
    ".*does not have many workers.*",
    ".*tensorboardX.*",
    ".*smaller than the logging interval.*",
    ".*dirpath has changed.*",  # a run may be moved
    ".* directory .* exists and is not empty.*",  # its metrics are kept
    ".*could not find the monitored key.*",  # at a resume; later it is an error
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*find_unused_parameters=True was specified.*",  # which are used differs from step to step
    ".*recommended to use `.*sync_dist=True.*",  # what is logged is the same in all processes
)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's remarks on what is meant to be so."""
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


class StepReport(Callback):
    """Progress of a training, step by step.

    Args:
        progress: Called with steps so far and in all.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Report after each step; see Lightning."""
        self.progress(trainer.global_step, trainer.max_steps)


def build_trainer(
    folder: Path,
    steps: int,
    clip_norm: float | None,
    progress: Progress = no_progress,
    checkpoint: ModelCheckpoint | None = None,
    **options: Any,
) -> Trainer:
    """A trainer that writes metrics and checkpoints into a folder.

    Args:
        folder: Folder of the run.
        steps: Optimiser steps in all.
        clip_norm: Longest gradient; None leaves gradients alone.
        progress: Called with steps so far and in all.
        checkpoint: Callback of another checkpoint beside the last one.
        options: Further arguments of Lightning's ``Trainer``.

    Returns:
        The trainer; data are loaded anew each epoch, so that resumed runs know where they are.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for noise in _NOISE:
        warnings.filterwarnings("ignore", noise)
    loggers: list[Logger] = [CSVLogger(folder, name="", version="")]
    if find_spec("tensorboard") is not None:
        loggers.append(TensorBoardLogger(folder, name="tensorboard", version=""))
    callbacks: list[Callback] = [KeptMetrics(folder)]
    if checkpoint is not None:
        callbacks.append(checkpoint)  # before the latest, which holds what this one knows
    callbacks.append(_latest(folder))
    callbacks.append(StepReport(progress))
    return Trainer(
        default_root_dir=folder,
        max_steps=steps,
        max_epochs=-1,
        gradient_clip_val=clip_norm,
        logger=loggers,
        callbacks=callbacks,
        plugins=[WholeCheckpoints(), *options.pop("plugins", ())],
        enable_progress_bar=False,
        enable_model_summary=False,
        reload_dataloaders_every_n_epochs=1,
        **{"accelerator": "auto", "devices": 1, "log_every_n_steps": 10, **options},
    )


def trainer_options(device: torch.device, alone: bool = False) -> dict[str, Any]:
    """Arguments of Lightning's ``Trainer`` for a device, and for the processes that train together.

    Args:
        device: Where this process trains.
        alone: Whether it trains by itself, whatever group it is in.

    Raises:
        UsageError: There are fewer GPUs than processes on this machine.
    """
    team = current()
    kind = "cpu" if device.type == "cpu" else "gpu"
    if alone or team.count == 1:
        devices: Any = 1 if device.index is None else [device.index]
        return {"accelerator": kind, "devices": devices, "plugins": [LightningEnvironment()]}
    if kind == "gpu" and torch.cuda.device_count() < team.beside:
        raise UsageError(
            f"{team.beside} processes cannot train on {torch.cuda.device_count()} GPU(s).",
            "Start one process for each GPU, or add --device cpu.",
        )
    return {
        "accelerator": kind,
        "devices": team.beside,
        "num_nodes": team.count // team.beside,
        # Parameters that a step has no use for, in training by stages, have no gradient anywhere.
        "strategy": DDPStrategy(find_unused_parameters=True),
        "plugins": [environment()],
        "use_distributed_sampler": False,
    }


def _latest(folder: Path) -> ModelCheckpoint:
    """Keeps the state at the end of the latest epoch, and nothing before it."""
    return ModelCheckpoint(
        folder / CHECKPOINTS,
        filename=Path(LAST).stem,
        save_top_k=1,
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )


def fit(trainer: Trainer, module: LightningModule, data: Any, resume: Path | None) -> None:
    """Train to the end; of a run that is there already, the weights are read.

    Args:
        trainer: From ``build_trainer``.
        module: The module.
        data: Its data module.
        resume: Checkpoint to go on from.

    Raises:
        LostProcessError: Another process of the training has ended; the last checkpoint stays
            usable.
        OutputError: The disk is full or cannot be written, or memory does not suffice; the last
            checkpoint stays usable.
        WeightsError: The checkpoint to go on from is damaged.
    """
    if resume is not None:
        state = WholeCheckpoints().load_checkpoint(resume)
        if state["global_step"] >= trainer.max_steps:
            module.load_state_dict(state["state_dict"])
            return
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resume)
    except (OSError, MemoryError, RuntimeError) as error:
        full = not _out_of_memory(error)
        if full and is_lost_process(error):
            raise lost_process(error) from error
        if full and not isinstance(error, OSError):
            raise
        reason = str(error) if full else "memory does not suffice"
        folder = Path(trainer.default_root_dir)
        then = "start it again: there is no checkpoint yet"
        if (folder / CHECKPOINTS / LAST).is_file():
            then = "resume it: the last checkpoint is whole"
        raise OutputError(
            f"The run cannot go on ({reason}).",
            f"Make {'room' if full else 'memory free'} and {then}.",
            folder,
        ) from error


def _out_of_memory(error: Exception) -> bool:
    """Tell whether memory of the CPU or of a device did not suffice."""
    messages = ("can't allocate memory", "not enough memory")  # a plain RuntimeError of the CPU
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or any(
        text in str(error) for text in messages
    )


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that replace the earlier one when they are written, and run no code when read.

    Lightning's own are moved there from the folder of temporary files: on a full disk between
    two file systems that cuts the earlier checkpoint off.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any = None,  # noqa: ARG002
    ) -> None:
        """Write beside the earlier one, then replace it; see Lightning.

        Raises:
            OSError: It cannot be written; the earlier one is as it was.
        """
        path = Path(path)
        packed = io.BytesIO()
        torch.save(checkpoint, packed)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda part: part.write_bytes(packed.getbuffer()))

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = "cpu",
        weights_only: bool | None = True,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Read a checkpoint without running any code from it; see Lightning.

        Raises:
            WeightsError: It is damaged, or of another kind.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location, weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
            raise WeightsError(
                "The checkpoint is damaged.", "Start anew in another folder.", Path(path)
            ) from error
        return state


class KeptMetrics(Callback):
    """Puts the metrics of an interrupted run until its checkpoint back into metrics.csv.

    Lightning deletes the file that it finds, and counts one step too many after each resume.

    Args:
        folder: Folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "metrics.csv"
        self.rows: list[dict[str, Any]] = []
        if path.is_file():
            text = read_small_text(path, LARGEST_LIST, WeightsError, "Start anew elsewhere.")
            whole = text[: text.rfind("\n") + 1]  # a full disk may have cut the last row off
            rows = csv.DictReader(whole.splitlines())
            self.rows = [{name: value for name, value in row.items() if value} for row in rows]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Restore the rows before the step at which the run resumes; see Lightning."""
        if not trainer.is_global_zero:  # the first process logs
            return
        kept = [row for row in self.rows if int(row["step"]) < trainer.global_step]
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.experiment.metrics[:0] = kept

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Log under the step of the run; see Lightning."""
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step
