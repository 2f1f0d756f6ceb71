"""Tri-modal contrastive pre-training of the mini AudioCLIP (Eq. 1) on the synthetic world."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from pydantic import ConfigDict, Field, model_validator
from torch import Tensor, nn

from tvsl.audioclip.config import (
    AudioCLIPConfig,
    ImageEncoderConfig,
    ModulationAudioEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.model import MAX_LOGIT_SCALE, AudioCLIP
from tvsl.audioclip.word_tokenizer import build_word_tokenizer
from tvsl.methods.tvsl.direction import unit
from tvsl.strict_model import StrictModel
from tvsl.synthetic.vocabulary import CLASSES, FILLER_WORDS, SHAPES, SIZE_WORDS, SURFACES
from tvsl.training.batches import MOST_LEAD, PretrainingBatch, caption_text
from tvsl.training.objectives import (
    best_cells,
    caption_matches,
    draw_count,
    matched_contrastive,
)

_WORDS = (*SURFACES, *SHAPES, *SIZE_WORDS, *FILLER_WORDS)
_SPECIAL_IDS = 4
_CONTEXT = MOST_LEAD + 8  # words that mean nothing or learned prompts, a caption, start and end
_CELL_SCALE = 14.0


class Terms(StrictModel):
    """Weights of the five terms; 0 leaves a term out.

    Attributes:
        image_text: Pooled pictures and captions; a caption of any visible object is a match.
        audio_text: Pooled mixtures and captions of what sounds in them.
        image_audio: Pooled pictures and mixtures; only the mixtures that hold the picture's own
            sound match, and not those of its class: so that size is learned.
        text_cells: Captions and the best few cells of a picture, which makes tokens localize.
        audio_cells: Mixtures and the best few cells of a picture, the picture's own sound again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image_text: float = Field(1.0, ge=0)
    audio_text: float = Field(1.0, ge=0)
    image_audio: float = Field(0.5, ge=0)
    text_cells: float = Field(0.5, ge=0)
    audio_cells: float = Field(1.0, ge=0)

    @model_validator(mode="after")
    def _one_is_left(self) -> Terms:
        if not any(self.model_dump().values()):
            raise ValueError("a term must be left")
        return self


class PretrainConfig(StrictModel):
    """The recipe.

    Attributes:
        steps: Optimiser steps.
        batch: Clips of a step.
        classes: Different classes of a batch.
        clips: Clips that are made once and kept in memory; 0 makes new ones in every step.
        twins: Share of the clips with a silent twin; more than in the tests, since twins are
            what teaches size.
        learning_rate: Highest rate of AdamW.
        weight_decay: Of all matrices.
        warm_up: Steps until the highest rate.
        clip_norm: Longest gradient.
        least_cells: Fewest cells that are pooled.
        most_cells: Most cells that are pooled; how many is drawn in each step.
        seed: Decides everything that is drawn.
        terms: Weights of the five terms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(1200, gt=0)
    batch: int = Field(96, gt=1)
    classes: int = Field(9, gt=1)
    clips: int = Field(24_000, ge=0)
    twins: float = Field(0.35, ge=0, le=1)
    learning_rate: float = Field(2e-3, gt=0, le=1000)
    weight_decay: float = Field(0.05, ge=0)
    warm_up: int = Field(60, ge=0)
    clip_norm: float = Field(2.0, gt=0)
    least_cells: int = Field(4, gt=0)
    most_cells: int = Field(20, gt=0)
    seed: int = Field(0, ge=0, lt=2**63)
    terms: Terms = Terms()

    @model_validator(mode="after")
    def _least_before_most(self) -> PretrainConfig:
        if self.least_cells > self.most_cells:
            raise ValueError("least_cells must not exceed most_cells")
        return self


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
        """The five terms of a batch.

        Args:
            batch: B clips, mixtures and captions.
            count: How many cells are pooled.

        Returns:
            Scalars by the names of ``Terms``, not weighted.
        """
        model = self.model
        features = model.visual.features(batch.frames.to(memory_format=torch.channels_last))
        image = unit(model.visual.attnpool(features))
        cells = unit(model.visual.attnpool.tokens(features, "values"))
        audio = unit(model.encode_audio(batch.waveforms))
        captions = torch.cat([batch.picture_captions, batch.mixture_captions])
        texts = map(caption_text, captions.tolist(), batch.leads.tolist())
        text = unit(model.encode_text(list(texts)))
        shown = caption_matches(captions, batch.seen)
        told = caption_matches(captions, batch.heard)

        def scaled(cosines: Tensor, log_scale: Tensor) -> Tensor:
            return cosines * log_scale.exp().clamp(1.0, MAX_LOGIT_SCALE)

        return {
            "image_text": matched_contrastive(scaled(image @ text.T, model.logit_scale), shown),
            "audio_text": matched_contrastive(scaled(audio @ text.T, model.logit_scale_at), told),
            "image_audio": matched_contrastive(
                scaled(image @ audio.T, model.logit_scale_ai), batch.members
            ),
            "text_cells": matched_contrastive(
                scaled(best_cells(cells, text, count), self.text_cells_scale), shown
            ),
            "audio_cells": matched_contrastive(
                scaled(best_cells(cells, audio, count), self.audio_cells_scale), batch.members
            ),
        }

    def training_step(self, batch: PretrainingBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """One step: the weighted sum of the terms."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.global_step)
        count = draw_count(generator, self.recipe.least_cells, self.recipe.most_cells)
        weights = self.recipe.terms.model_dump()
        terms = self.terms(batch, count)
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        values = {f"train/{name}": term.detach() for name, term in terms.items()}
        self.log_dict({**values, "train/loss": loss.detach()}, batch_size=len(batch.frames))
        return loss

    def validation_step(self, batch: PretrainingBatch, batch_idx: int) -> None:  # noqa: ARG002
        """The terms at a fixed number of cells."""
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
