"""What every training run shares: Lightning's trainer, logs, checkpoints, progress, resuming."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from tvsl.errors import OutputError
from tvsl.training.keeping import KeptMetrics, WholeCheckpoints
from tvsl.training.run_folder import CHECKPOINTS, LAST

_NOISE = (
    ".*num_workers.*",
    ".*does not have many workers.*",
    ".*tensorboardX.*",
    ".*smaller than the logging interval.*",
    ".*dirpath has changed.*",  # a run may be moved
    ".* directory .* exists and is not empty.*",  # its metrics are kept
    ".*could not find the monitored key.*",  # at a resume; later it is an error
    ".*isinstance\\(treespec, LeafSpec\\).*",
)

Report = Callable[[int, "int | None"], None]
Stages = Callable[[str], AbstractContextManager[Report]]
"""Opens the display of a piece of work by its title, and gives what to call as it goes on."""


@contextmanager
def silent(title: str) -> Iterator[Report]:  # noqa: ARG001
    """Shows nothing."""
    yield lambda *_: None


class StepReport(Callback):
    """Tells how many steps are done.

    Args:
        report: Called with steps so far and steps in all.
    """

    def __init__(self, report: Report) -> None:
        self.report = report

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Tell after each step."""
        self.report(trainer.global_step, trainer.max_steps)


def build_trainer(
    folder: Path,
    steps: int,
    clip_norm: float | None,
    report: Report | None = None,
    checkpoint: ModelCheckpoint | None = None,
    **options: Any,
) -> Trainer:
    """A trainer that writes metrics and checkpoints into a folder.

    Args:
        folder: Folder of the run.
        steps: Optimiser steps in all.
        clip_norm: Longest gradient; None leaves gradients alone.
        report: Called with steps so far and steps in all.
        checkpoint: What is kept beside the last checkpoint.
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
    if report is not None:
        callbacks.append(StepReport(report))
    return Trainer(
        default_root_dir=folder,
        max_steps=steps,
        max_epochs=-1,
        gradient_clip_val=clip_norm,
        logger=loggers,
        callbacks=callbacks,
        plugins=[WholeCheckpoints()],
        enable_progress_bar=False,
        enable_model_summary=False,
        reload_dataloaders_every_n_epochs=1,
        **{"accelerator": "auto", "devices": 1, "log_every_n_steps": 10, **options},
    )


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
        module: What is trained.
        data: Its data module.
        resume: Checkpoint to go on from.

    Raises:
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
    """Whether memory of the CPU or of a device did not suffice."""
    told = ("can't allocate memory", "not enough memory")  # a plain RuntimeError of the CPU
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or any(
        text in str(error) for text in told
    )
