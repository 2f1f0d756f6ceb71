"""The released T-VSL, bug for bug where it shapes numbers (preset ``released``).

Written from a description of what the public code computes, and checked against its numbers.
Parameter names are its own, so that its state dict loads. How it differs from the paper: gated
two-layer projectors; fusion twice as wide against doubled text rows; tokens normalised before
conditioning; similarities divided by their length over the tokens; no phi^av; P_va applied to
every token at test time, where the paper has none.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.contrastive import symmetric_info_nce
from tvsl.encoder import MOST_CHANNELS, Encoder, ImageTokenMode
from tvsl.global_batch import gather_rows
from tvsl.methods.base import (
    Method,
    MethodConfig,
    Supervision,
    check_inputs,
    check_labels,
    with_overrides,
)
from tvsl.methods.operations import MAX_SCALE, unit
from tvsl.methods.tvsl.conditioning import similarity, weighted_mean
from tvsl.tokens import Queries, Slots, Tokens, Vocabulary

# P_va on every token needs a copy of the tokens for each query: as many at once as stay small.
_CHUNK = 16


class ReleasedConfig(MethodConfig):
    """Sizes and factors of the released code, which has no other hyperparameters.

    Attributes:
        hidden: Width of the projectors' hidden layer.
        image_text_scale: Factor of the cosines of picture and text in the losses; the encoder's
            own when None (100 without an encoder).
        audio_text_scale: The same of sound and text.
        audio_image_scale: The same of sound and picture.
        polarity: The released evaluation turns every map upside down.
        detection_threshold: The released code never detects; a probability of one half.
        image_tokens: Its own reading of the position table.
        waveform_scale: It feeds waveforms in [-1, 1], about 90 dB too quiet.
        square_pictures: It squeezes every picture into 224 x 224.
    """

    hidden: int = Field(2048, gt=0, le=MOST_CHANNELS)
    image_text_scale: float | None = Field(None, ge=1, le=100)
    audio_text_scale: float | None = Field(None, ge=1, le=100)
    audio_image_scale: float | None = Field(None, ge=1, le=100)
    polarity: Literal[1, -1] = -1
    detection_threshold: float | None = Field(0.5, ge=-1e6, le=1e6)
    image_tokens: ImageTokenMode = "released"
    waveform_scale: float = Field(1.0, gt=0, le=1e9)
    square_pictures: bool = True


def _two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


class ReleasedTVSL(Method):
    """The released head.

    Args:
        config: Its sizes, and the factors of its encoder's cosines.
    """

    name: ClassVar[str] = "tvsl-released"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[ReleasedConfig]] = ReleasedConfig
    supervision: ClassVar[Supervision] = "video labels"
    class_aware: ClassVar[bool] = True
    works_untrained: ClassVar[bool] = True
    config: ReleasedConfig

    def __init__(self, config: ReleasedConfig = ReleasedConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config)
        size, hidden = config.embedding, config.hidden
        self.logit_scale_ml = nn.Parameter(torch.tensor(math.log(MAX_SCALE)))
        for gate in ("ap_w", "acp_w", "vp_w", "icp_w", "aip_w", "iap_w"):
            self.register_parameter(gate, nn.Parameter(torch.tensor(1.0)))
        self.audio_proj = _two_layers(size, hidden, size)
        self.aud_cls_proj = _two_layers(size, hidden, size)
        self.visual_proj = _two_layers(size, hidden, size)
        self.img_cls_proj = _two_layers(size, hidden, size)
        self.fusion_proj = _two_layers(2 * size, hidden, 2 * size)
        self.aud_img_proj = _two_layers(size, hidden, size)
        self.img_aud_proj = _two_layers(size, hidden, size)

    @classmethod
    def config_on(cls, config: MethodConfig, encoder: Encoder) -> MethodConfig:
        """Config with the encoder's own logit scales; see the base class."""
        own = {f"{pair}_scale": value for pair, value in encoder.logit_scales._asdict().items()}
        return with_overrides(
            config, **{name: own[name] for name in own if getattr(config, name) is None}
        )

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """Four released losses; two sources of one class are two rows. See the base class.

        Raises:
            ShapeError: Tokens, labels and vocabulary do not agree, or a clip has no label.
        """
        check_inputs(self.config.embedding, tokens, vocabulary)
        check_labels(labels, tokens, vocabulary)
        classes = vocabulary.embeddings
        queries = Queries.from_labels(labels)
        slots = queries.slots(tokens.batch)
        visual, audio = self._projected(tokens)
        means = torch.cat([visual.mean(dim=1), audio.mean(dim=1)], dim=-1)
        visual, audio = unit(visual), unit(audio)
        query = classes[queries.label]
        seen = weighted_mean(visual, _over_tokens(visual, query, slots), slots)
        heard = weighted_mean(audio, _over_tokens(audio, query, slots), slots)
        visual_class = unit(self._gate("icp_w", self.img_cls_proj, seen))
        audio_class = unit(self._gate("acp_w", self.aud_cls_proj, heard))
        images = _scale(self.config.image_text_scale) * visual_class @ classes.T
        sounds = _scale(self.config.audio_text_scale) * audio_class @ classes.T
        label = gather_rows(queries.label)
        return {
            "mcid": self._detection_loss(means, classes, labels),
            "image_cls": F.cross_entropy(gather_rows(images), label),
            "audio_cls": F.cross_entropy(gather_rows(sounds), label),
            "av": self._contrastive_loss(seen, heard),
        }

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Maps before the released evaluation turns them; see the base class.

        Raises:
            ShapeError: Tokens, queries and vocabulary do not agree.
        """
        check_inputs(self.config.embedding, tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        visual, audio = (unit(side) for side in self._projected(tokens))
        flat = visual.new_empty(queries.label.shape[0], visual.shape[1])
        for chunk in queries.chunks(_CHUNK):
            maps = self._chunk_maps(
                visual[chunk.clips], audio[chunk.clips], chunk.queries, vocabulary.embeddings
            )
            flat[chunk.positions] = maps.to(flat.dtype)
        return flat.view(-1, *tokens.grid)

    def readouts(self) -> list[dict[str, Any]]:
        """Its map alone, as the released code reads it."""
        return [{}]

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        """Probabilities, (B, N); see the base class.

        Raises:
            ShapeError: Tokens and vocabulary do not agree.
        """
        check_inputs(self.config.embedding, tokens, vocabulary)
        visual, audio = self._projected(tokens)
        means = torch.cat([visual.mean(dim=1), audio.mean(dim=1)], dim=-1)
        return self._detection_logits(means, vocabulary.embeddings).sigmoid()

    def _chunk_maps(
        self, visual: Tensor, audio: Tensor, queries: Queries, classes: Tensor
    ) -> Tensor:
        slots = queries.slots(visual.shape[0])
        query = classes[queries.label]
        heard = weighted_mean(audio, _over_tokens(audio, query, slots), slots)
        guide = unit(self._gate("aip_w", self.aud_img_proj, heard))
        conditioned = _over_tokens(visual, query, slots)[..., None] * visual[queries.clip]
        aligned = unit(self._gate("iap_w", self.img_aud_proj, conditioned))
        flat = (aligned @ guide[..., None])[..., 0]
        return unit(flat)

    def _gate(self, name: str, projector: nn.Sequential, values: Tensor) -> Tensor:
        weight = cast(Tensor, getattr(self, name))
        return weight * values + (1 - weight) * cast(Tensor, projector(values))

    def _projected(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Visual tokens enter at unit length, audio tokens as they are."""
        visual = self._gate("vp_w", self.visual_proj, unit(tokens.visual))
        return visual, self._gate("ap_w", self.audio_proj, tokens.audio)

    def _detection_logits(self, means: Tensor, classes: Tensor) -> Tensor:
        fused = unit(self.fusion_proj(means))
        doubled = unit(torch.cat([classes, classes], dim=-1))
        scale = self.logit_scale_ml.exp().clamp(1.0, MAX_SCALE)
        return scale * fused @ doubled.T

    def _detection_loss(self, means: Tensor, classes: Tensor, labels: Tensor) -> Tensor:
        logits = gather_rows(self._detection_logits(means, classes))
        labels = gather_rows(labels)
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))

    def _contrastive_loss(self, seen: Tensor, heard: Tensor) -> Tensor:
        query = unit(self._gate("aip_w", self.aud_img_proj, heard))
        guided = unit(self._gate("iap_w", self.img_aud_proj, seen))
        query, guided = gather_rows(query), gather_rows(guided)
        logits = _scale(self.config.audio_image_scale) * query @ guided.T
        return symmetric_info_nce(logits, "mean")


def _scale(own: float | None) -> float:
    """An encoder's factor; AudioCLIP's first one where there is no encoder."""
    return MAX_SCALE if own is None else own


def _over_tokens(tokens: Tensor, query: Tensor, slots: Slots) -> Tensor:
    """Similarities divided by their Euclidean length over the tokens, (P, n)."""
    return unit(similarity(tokens, query, slots))
