"""From a recipe to a mini model in a folder."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from tvsl.audioclip.folder import save_audioclip
from tvsl.errors import UsageError
from tvsl.evaluation.processes import alone
from tvsl.small_files import LARGEST_CONFIG, read_small_text
from tvsl.staging import locked, write_text
from tvsl.synthetic.world import World
from tvsl.training.batches import PretrainingBatch, PretrainingBatches
from tvsl.training.clips import ClipArrays, make_many_clips
from tvsl.training.pretrain import PretrainConfig, Pretraining, new_mini_model
from tvsl.training.run_folder import (
    OF_MODELS,
    RECIPE_FILE,
    check_run_folder,
    last_checkpoint,
)
from tvsl.training.trainer import Stages, build_trainer, fit, silent

STEPS_OF_EPOCH = 100
_VALIDATION_BATCHES = 4


class PretrainingData(LightningDataModule):
    """Training batches by epoch, and fixed batches of the validation split.

    Args:
        recipe: The recipe.
        training: Clips that were made in advance, or the world to make new ones from.
        validation: Clips of the validation split.
    """

    def __init__(
        self, recipe: PretrainConfig, training: ClipArrays | World, validation: ClipArrays
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.training = training
        self.validation = validation

    def train_dataloader(self) -> DataLoader[PretrainingBatch]:
        """The batches of the current epoch."""
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        start = epoch * STEPS_OF_EPOCH
        recipe = self.recipe
        batches = PretrainingBatches(
            self.training,
            min(start + STEPS_OF_EPOCH, recipe.steps),
            recipe.batch,
            recipe.classes,
            recipe.seed,
            start,
        )
        return DataLoader(batches, batch_size=None)

    def val_dataloader(self) -> DataLoader[PretrainingBatch]:
        """The same batches each time."""
        batches = PretrainingBatches(
            self.validation, _VALIDATION_BATCHES, self.recipe.batch, self.recipe.classes, seed=1
        )
        return DataLoader(batches, batch_size=None)

    def transfer_batch_to_device(
        self,
        batch: PretrainingBatch,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> PretrainingBatch:
        """Move a batch."""
        return PretrainingBatch(**{name: value.to(device) for name, value in vars(batch).items()})


def pretrain(
    recipe: PretrainConfig,
    folder: Path,
    resume: bool = False,
    stages: Stages = silent,
) -> Path:
    """Pre-train a mini model from scratch.

    Args:
        recipe: The recipe.
        folder: Folder of the run: checkpoints, metrics, and the model in ``model``.
        resume: Whether an interrupted run goes on, to the same bits on a CPU.
        stages: Shows progress.

    Returns:
        The folder of the model.

    Raises:
        OutputError: There is a run or something else in the folder already, or it cannot be
            written.
        UsageError: There are several processes, the run to resume has another recipe, or there is
            none; the memory does not suffice.
        WeightsError: The checkpoint to go on from is damaged.
    """
    alone("Pre-training")
    with locked(folder):
        check_run_folder(folder, resume, OF_MODELS)
        checkpoint = last_checkpoint(folder, resume)
        _keep_recipe(recipe, folder, resume)
        world = World("train", twins=recipe.twins, off_screen=0.0, seed=recipe.seed)
        clips: ClipArrays | World = world
        if recipe.clips:
            with stages("Making clips") as report:
                clips = make_many_clips(world, recipe.clips, report)
        validation = make_many_clips(
            World("validation", off_screen=0.0), 4 * recipe.batch, workers=1
        )
        torch.manual_seed(recipe.seed)
        module = Pretraining(new_mini_model(), recipe)
        with stages("Pre-training") as report:
            trainer = build_trainer(folder, recipe.steps, recipe.clip_norm, report)
            fit(trainer, module, PretrainingData(recipe, clips, validation), checkpoint)
        return save_audioclip(module.model.freeze(), folder / "model", force=True)


def _keep_recipe(recipe: PretrainConfig, folder: Path, resume: bool) -> None:
    path = folder / RECIPE_FILE
    text = recipe.model_dump_json(indent=2)
    remedy = f"See {path}."
    if resume and read_small_text(path, LARGEST_CONFIG, UsageError, remedy) != text:
        raise UsageError(f"The run in {folder} has another recipe.", remedy)
    write_text(path, text)
