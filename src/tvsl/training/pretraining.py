"""Pre-training of the mini AudioCLIP on the made-up world (Eq. 1).

Eq. 1 is symmetric InfoNCE between image, audio and text of a batch in which sample i matches
sample i alone. Here several pictures show what one caption says, and a mixture belongs to several
pictures: the target of each row is uniform over all its matches. With one match per row and
column, the loss is that of Eq. 1 again, halved.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tvsl.audioclip.checkpoint import save_audioclip
from tvsl.audioclip.config import (
    AudioCLIPConfig,
    ImageEncoderConfig,
    ModulationAudioEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.model import MAX_LOGIT_SCALE, AudioCLIP
from tvsl.audioclip.tokenizer import build_word_tokenizer
from tvsl.contrastive import symmetric_info_nce
from tvsl.errors import UsageError
from tvsl.global_batch import (
    gather_rows,
    own_rows,
    share_of_batch,
    sharing_batch,
    with_global_batch_norm,
)
from tvsl.methods.operations import unit
from tvsl.synthetic.vocabulary import CLASSES, FILLER_WORDS, SHAPES, SIZE_WORDS, SURFACES
from tvsl.synthetic.world import World
from tvsl.training.config import PretrainConfig
from tvsl.training.pretraining_data import (
    MOST_LEAD,
    ClipArrays,
    PretrainingBatch,
    PretrainingBatches,
    caption_text,
    make_many_clips,
)
from tvsl.training.trainer import build_trainer, fit, trainer_options
from tvsl.utils.atomic import locked, write_text
from tvsl.utils.devices import choose_device
from tvsl.utils.processes import Stages, current, no_stages, own_device, processes
from tvsl.utils.run_folder import (
    MODEL_RECIPE_KEYS,
    RECIPE_FILE,
    check_run_folder,
    describe_changes,
    last_checkpoint,
    read_record,
)
from tvsl.utils.seeds import seed_of_step


def best_cells(cells: Tensor, queries: Tensor, count: int) -> Tensor:
    """Mean of the ``count`` highest cosines of each picture's cells with each query, (B, Q).

    The mean of the best few, and never the best alone: with the maximum, training collapses to
    single cells at corners.

    Args:
        cells: Unit visual tokens, (B, n_v, D).
        queries: Unit text or audio embeddings, (Q, D).
        count: Number of cells.
    """
    cosines = cells @ queries.T
    return cosines.topk(count, dim=1, sorted=False).values.mean(dim=1)


def caption_matches(captions: Tensor, things: Tensor) -> Tensor:
    """Flags of the captions that are true of each item.

    Args:
        captions: Surface, shape and size that each caption names, (Q, 3), -1 where it is silent.
        things: Surface, shape and size of the things of each item, (B, n, 3), -1 where there is
            none.

    Returns:
        Whether one thing of the item has all that the caption names, (B, Q) bool.
    """
    named, silent = captions[None, None], captions[None, None] < 0
    agrees = (things[:, :, None] == named) | silent
    exists = things[:, :, None, 0] >= 0
    return (agrees.all(dim=-1) & exists).any(dim=1)


def draw_count(generator: torch.Generator, least: int, most: int) -> int:
    """Draw a number of cells to pool.

    Args:
        generator: Source of randomness.
        least: Lowest number.
        most: Highest number.
    """
    return int(torch.randint(least, most + 1, (), generator=generator))


_WORDS = (*SURFACES, *SHAPES, *SIZE_WORDS, *FILLER_WORDS)
_SPECIAL_IDS = 4
_CONTEXT = MOST_LEAD + 8  # words that mean nothing or learned prompts, a caption, start and end
_CELL_SCALE = 14.0


def mini_config() -> AudioCLIPConfig:
    """Sizes of the mini model: 14 x 14 cells of 8 pixels, 1.28 s of sound, words of the world."""
    return AudioCLIPConfig(
        embedding=128,
        waveform_scale=1.0,
        classes=CLASSES["all"],
        image=ImageEncoderConfig(
            resolution=112,
            width=32,
            blocks=(1, 1, 1, 1),
            multiples=(1, 2, 3, 3),
            strides=(1, 2, 1, 1),
            heads=6,
        ),
        audio=ModulationAudioEncoderConfig(),
        text=TextEncoderConfig(
            vocabulary=len(_WORDS) + _SPECIAL_IDS, context=_CONTEXT, width=96, layers=2, heads=4
        ),
    )


def new_mini_model() -> AudioCLIP:
    """An untrained mini model with its tokenizer."""
    return AudioCLIP(mini_config(), build_word_tokenizer(_WORDS, _CONTEXT))


class Pretraining(LightningModule):
    """AudioCLIP under the five-term loss.

    Args:
        model: The model, trained in place.
        config: The recipe.
    """

    def __init__(self, model: AudioCLIP, config: PretrainConfig) -> None:
        super().__init__()
        self.model = model
        # Faster on CPUs; values and shapes stay the same.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe = config
        with torch.no_grad():
            for scale in (model.logit_scale, model.logit_scale_ai, model.logit_scale_at):
                scale.fill_(math.log(_CELL_SCALE))
        self.text_cells_scale = nn.Parameter(torch.tensor(math.log(_CELL_SCALE)))
        self.audio_cells_scale = nn.Parameter(torch.tensor(math.log(_CELL_SCALE)))

    def terms(self, batch: PretrainingBatch, count: int) -> dict[str, Tensor]:
        """The five terms of a batch; of several processes each encodes its rows.

        Args:
            batch: B clips, mixtures and captions.
            count: Number of cells that are pooled.

        Returns:
            Scalars by the names of ``Terms``, not weighted.
        """
        model = self.model
        frames = own_rows(batch.frames).to(memory_format=torch.channels_last)
        features = model.visual.features(frames)
        image = gather_rows(unit(model.visual.attnpool(features)))
        cells = unit(model.visual.attnpool.tokens(features, "values"))
        audio = gather_rows(unit(model.encode_audio(own_rows(batch.waveforms))))
        captions = torch.cat([batch.picture_captions, batch.mixture_captions])
        parts = (captions.unflatten(0, (2, -1)), batch.leads.unflatten(0, (2, -1)))
        own = (torch.cat([own_rows(half) for half in part]).tolist() for part in parts)
        encoded = unit(model.encode_text([caption_text(*one) for one in zip(*own, strict=True)]))
        text = torch.cat([gather_rows(half) for half in encoded.chunk(2)])
        seen_matches = caption_matches(captions, batch.seen)
        heard_matches = caption_matches(captions, batch.heard)

        def term(cosines: Tensor, log_scale: Tensor, matches: Tensor) -> Tensor:
            logits = cosines * log_scale.exp().clamp(1.0, MAX_LOGIT_SCALE)
            return symmetric_info_nce(logits, "mean", matches)

        seen, heard = (gather_rows(best_cells(cells, one, count)) for one in (text, audio))
        return {
            "image_text": term(image @ text.T, model.logit_scale, seen_matches),
            "audio_text": term(audio @ text.T, model.logit_scale_at, heard_matches),
            "image_audio": term(image @ audio.T, model.logit_scale_ai, batch.members),
            "text_cells": term(seen, self.text_cells_scale, seen_matches),
            "audio_cells": term(heard, self.audio_cells_scale, batch.members),
        }

    def training_step(self, batch: PretrainingBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """One step: the weighted sum of the terms; see Lightning."""
        seed = seed_of_step(self.recipe.seed, self.global_step)
        generator = torch.Generator().manual_seed(seed)
        count = draw_count(generator, self.recipe.least_cells, self.recipe.most_cells)
        weights = self.recipe.terms.model_dump()
        team = current()
        with sharing_batch(share_of_batch(len(batch.frames), team.rank, team.count)):
            terms = self.terms(batch, count)
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        values = {f"train/{name}": term.detach() for name, term in terms.items()}
        self.log_dict({**values, "train/loss": loss.detach()}, batch_size=len(batch.frames))
        return loss

    def validation_step(self, batch: PretrainingBatch, batch_idx: int) -> None:  # noqa: ARG002
        """The terms at a fixed number of cells; see Lightning."""
        weights = self.recipe.terms.model_dump()
        terms = self.terms(batch, (self.recipe.least_cells + self.recipe.most_cells) // 2)
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        values = {f"validation/{name}": term for name, term in terms.items()}
        self.log_dict({**values, "validation/loss": loss}, batch_size=len(batch.frames))

    def configure_optimizers(self) -> Any:
        """AdamW with a cosine after a warm-up; vectors and scales do not decay."""
        recipe = self.recipe
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.parameters() if p.ndim >= 2]},
            {"params": [p for p in self.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )

        def rate(step: int) -> float:
            if step < recipe.warm_up:
                return (step + 1) / recipe.warm_up
            done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return cast(Any, ([optimizer], [{"scheduler": schedule, "interval": "step"}]))


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
        """Move a batch; see Lightning."""
        return PretrainingBatch(**{name: value.to(device) for name, value in vars(batch).items()})


def pretrain(
    recipe: PretrainConfig,
    folder: Path,
    resume: bool = False,
    stages: Stages = no_stages,
) -> Path:
    """Pre-train a mini model from scratch, with other processes where several were started.

    Args:
        recipe: The recipe.
        folder: Folder of the run: checkpoints, metrics, and the model in ``model``.
        resume: Whether an interrupted run goes on, to the same bits on a CPU.
        stages: Shows progress.

    Raises:
        OutputError: There is a run or something else in the folder already, or it cannot be
            written.
        LostProcessError: Another process of the run has ended; the last checkpoint stays usable.
        UsageError: The run to resume has another recipe, or there is none.
        WeightsError: The checkpoint to go on from is damaged.
    """
    with ExitStack() as stack:
        team = stack.enter_context(processes())
        if team.leads:
            stack.enter_context(locked(folder))
            check_run_folder(folder, resume, MODEL_RECIPE_KEYS)
            last_checkpoint(folder, resume)
            _write_recipe(recipe, folder, resume)
        team.meet()
        stages = team.shown(stages)
        checkpoint = last_checkpoint(folder, resume)
        world = World("train", twins=recipe.twins, off_screen=0.0, seed=recipe.seed)
        clips: ClipArrays | World = world
        if recipe.clips:
            with stages("Making clips") as report:
                clips = make_many_clips(world, recipe.clips, report, team=team)
        validation = make_many_clips(
            World("validation", off_screen=0.0), 4 * recipe.batch, workers=1, team=team
        )
        torch.manual_seed(recipe.seed)
        module = Pretraining(new_mini_model(), recipe)
        if team.count > 1:
            with_global_batch_norm(module)
        with stages("Pre-training") as report:
            options = trainer_options(choose_device(own_device("auto")))
            trainer = build_trainer(folder, recipe.steps, recipe.clip_norm, report, **options)
            fit(trainer, module, PretrainingData(recipe, clips, validation), checkpoint)
        if team.leads:
            save_audioclip(module.model.freeze(), folder / "model", force=True)
        team.meet()
        return folder / "model"


def _write_recipe(recipe: PretrainConfig, folder: Path, resume: bool) -> None:
    path = folder / RECIPE_FILE
    if not resume:
        write_text(path, recipe.model_dump_json(indent=2))
        return
    earlier = read_record(path, MODEL_RECIPE_KEYS) or {}
    if changes := describe_changes(earlier, recipe.model_dump(mode="json")):
        problem = f"The run to resume has another recipe: {changes}."
        raise UsageError(problem, "Resume it as it was started.", path)
