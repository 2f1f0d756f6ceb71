"""What an interrupted run must not lose: its last checkpoint and its metrics."""

from __future__ import annotations

import csv
import io
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from tvsl.errors import WeightsError
from tvsl.utils.atomic import write_whole
from tvsl.utils.files import LARGEST_LIST, read_small_text


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
        """Write beside the earlier one, then replace it.

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
        """Read a checkpoint without running any code from it.

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
    """Puts what an interrupted run measured until its checkpoint back into metrics.csv.

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
            self.rows = [_filled(row) for row in csv.DictReader(whole.splitlines())]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Here it is known from where the run goes on, and no row is written yet."""
        kept = [row for row in self.rows if int(row["step"]) < trainer.global_step]
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.experiment.metrics[:0] = kept

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Log from here on under this step."""
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step


def _filled(row: dict[str, str]) -> dict[str, Any]:
    """The columns of a row that hold something."""
    return {name: value for name, value in row.items() if value}
