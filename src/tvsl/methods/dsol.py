"""DSOL: discriminative sounding objects localization (Hu et al., NeurIPS 2020).

Stage 1 learns from single sources where a sound comes from, and a dictionary of what objects of
each class look like. Stage 2 learns in mixtures that what is seen to sound is what is heard.

    m(p) = sigmoid(w cos(v_p, a)), w = 5 at the start
    1:  L = BCE(max_p m, pair) + CE of two classifiers, one on the mean cell, one on the sound
        d_k = mean over the clips of class k of mean_p f_p [m(p) > 0.05, grown by its neighbours]
    2:  O_k(p) = (u f_p . d_k + b) m(p),    L = KL(p_audio || softmax_k mean_p O_k)
            + 1/2 * 1/2 [BCE(max_p m, 1) + BCE(max_p m of each quarter of another picture, 0)]

f are features as they are; v and a are projections D -> 128 -> 128 with a ReLU between. p_audio
is what the classifier of the sound says, as it was at the end of stage 1. The original: Adam at
1e-4, weight decay 1e-4, batches of 32, 15 + 5 epochs.

Adapted to frozen shared tokens: the original finds classes by clustering and matches clusters to
classes by true labels; here they are the classes of the labels and need no matching. Its stage 1
alternates between location and classes; on frozen tokens these share no parameters and are learned
at once. Where several classes sound in a clip, the classifiers learn to say all of them in equal
shares, and the clip counts for each by its share in the dictionary, a mean that slowly forgets.
Products f . d are as large as tokens are long: u starts at 1 / sqrt(D). The threshold 0.05 is the
original's, and with w = 5 nearly every cell passes it; ``mask_threshold`` may want tuning.

Video labels. A class alone gets m, the map of the whole sound, as in the original; a class among
several gets softmax_k(3 O_k(p)). ``readout`` gives one of the two to both. It cannot
localize classes outside of training.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.encoder import MOST_CHANNELS
from tvsl.global_batch import batch_size, gather_rows, own_rows
from tvsl.methods.adapted import (
    CLASS_READOUTS,
    ClassReadout,
    ClosedVocabulary,
    ClosedVocabularyConfig,
    uses_whole_sound,
)
from tvsl.methods.base import Method, spread_and_not
from tvsl.methods.operations import by_panel, random_partners, two_layers
from tvsl.tokens import Queries, Tokens, Vocabulary

_QUARTERS = 2
_SHARPNESS = 3.0


class DSOLConfig(ClosedVocabularyConfig):
    """Sizes and hyperparameters of DSOL.

    Attributes:
        dimension: Size of the space that both sides are projected to.
        mask_threshold: Cells with m over it are the object.
        first_stage: Share of training that stage 1 takes, 15 of 20 epochs.
        dictionary_memory: Weight that a step leaves to earlier ones in the dictionary.
        readout: ``class`` gives the map of the class, ``whole`` m, ``original`` the second to a
            class alone and the first to one of several; decided on validation data.
    """

    weight_decay: float = Field(1e-4, ge=0, le=1)
    dimension: int = Field(128, gt=0, le=MOST_CHANNELS)
    mask_threshold: float = Field(0.05, ge=0, lt=1)
    first_stage: float = Field(0.75, gt=0, le=1)
    dictionary_memory: float = Field(0.99, ge=0, lt=1)
    readout: ClassReadout = "original"


class DSOL(ClosedVocabulary):
    """The DSOL head; its dictionary and the audio classifier of stage 2 are buffers.

    Args:
        config: Its sizes, with its classes.

    Raises:
        UsageError: No class, or one twice.
    """

    name: ClassVar[str] = "dsol"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[DSOLConfig]] = DSOLConfig
    tunable: ClassVar[frozenset[str]] = Method.tunable | {"readout"}
    config: DSOLConfig
    object_sums: Tensor
    object_counts: Tensor
    heard_weight: Tensor
    heard_bias: Tensor

    def __init__(self, config: DSOLConfig) -> None:
        super().__init__(config)
        size, classes = config.embedding, len(config.classes)
        self.project_image = two_layers(size, config.dimension)
        self.project_audio = two_layers(size, config.dimension)
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.classify_image = nn.Linear(size, classes)
        self.classify_audio = nn.Linear(size, classes)
        self.object_scale = nn.Parameter(torch.tensor(1 / math.sqrt(size)))
        self.object_bias = nn.Parameter(torch.tensor(0.0))
        for name in ("object_sums", "heard_weight"):
            self.register_buffer(name, torch.zeros(classes, size))
        for name in ("object_counts", "heard_bias"):
            self.register_buffer(name, torch.zeros(classes))

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """Losses of the stage that training is in; see the base class.

        Stage 1 also keeps the dictionary and a copy of the audio classifier, in training alone.
        """
        scaled = self.prepare(tokens, vocabulary)
        target = self.targets(tokens, labels, vocabulary)
        partner = random_partners(batch_size(scaled.batch), scaled.visual.device)
        if self.progress >= self.config.first_stage:
            return self.second_stage(scaled, partner)
        if self.training:
            self.keep(scaled, target)
        return self.first_stage(scaled, target, partner)

    def first_stage(self, scaled: Tokens, target: Tensor, partner: Tensor) -> dict[str, Tensor]:
        """Losses of stage 1: scalars by name.

        Args:
            scaled: B clips as ``prepare`` gives them.
            target: Classes that sound, (B, C) bool.
            partner: A clip whose picture does not belong to each sound, (B,), or none.
        """
        own, other = self._pair_logits(scaled, partner)
        mine = gather_rows(own.amax(dim=1))
        best = torch.cat([mine, other.amax(dim=1)])
        together = torch.zeros_like(best)
        together[: len(mine)] = 1
        share = gather_rows(_shares(target, scaled))
        seen = gather_rows(self.classify_image(scaled.visual.mean(dim=1)))
        heard = gather_rows(self.classify_audio(scaled.sound))
        return {
            "location": F.binary_cross_entropy_with_logits(best, together),
            "image_class": F.cross_entropy(seen, share),
            "audio_class": F.cross_entropy(heard, share),
        }

    def second_stage(self, scaled: Tokens, partner: Tensor) -> dict[str, Tensor]:
        """Losses of stage 2; see ``first_stage``."""
        own, other = self._pair_logits(scaled, partner)
        best = gather_rows(own.amax(dim=1))
        found = F.binary_cross_entropy_with_logits(best, torch.ones_like(best))
        if len(other):
            quarters = (_QUARTERS, _QUARTERS * scaled.panels)
            silent = F.adaptive_max_pool2d(other.unflatten(1, scaled.grid), quarters)
            found = found + F.binary_cross_entropy_with_logits(silent, torch.zeros_like(silent))
        seen = self._objects(scaled, own.sigmoid()).mean(dim=2).log_softmax(dim=1)
        seen, heard = gather_rows(seen), gather_rows(self.audio_distribution(scaled))
        category = F.kl_div(seen, heard, reduction="none")
        return {"category": category.mean(), "location": found / 4}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Map m of the whole sound or that of the class, in [0, 1]; see the base class."""
        scaled = self.prepare(tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        rows = self.queried(queries, vocabulary)
        each = (_SHARPNESS * self.object_maps(scaled)).softmax(dim=1)[queries.clip, rows]
        whole = self.location_maps(scaled)[queries.clip]
        flat = torch.where(uses_whole_sound(self.config.readout, queries)[:, None], whole, each)
        return flat.reshape(-1, *tokens.grid)

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        """Shares of classes in the sound times those in the picture; see the base class."""
        scaled = self.prepare(tokens, vocabulary)
        seen = self.classify_image(scaled.visual.mean(dim=1)).softmax(dim=1)
        return self.by_vocabulary(self.audio_distribution(scaled) * seen, vocabulary)

    def readouts(self) -> list[dict[str, Any]]:
        """Maps of classes, of the whole sound, or as the original chooses; spread and not."""
        return spread_and_not([{"readout": name} for name in CLASS_READOUTS])

    def location_maps(self, scaled: Tokens) -> Tensor:
        """m, (B, n)."""
        return self._logits(*self._projected(scaled)).sigmoid()

    def object_maps(self, scaled: Tokens) -> Tensor:
        """O_k of all classes, (B, C, n)."""
        return self._objects(scaled, self.location_maps(scaled))

    def object_features(self, scaled: Tokens) -> Tensor:
        """Mean features of the object of each clip, mean_p f_p [m(p) > 0.05, grown], (B, D)."""
        mask = by_panel(
            (self.location_maps(scaled) > self.config.mask_threshold)[..., None], scaled
        )
        size = (scaled.grid[0], scaled.grid[1] // scaled.panels)
        mask = grown(mask.reshape(-1, *size)).reshape(mask.shape)
        return (by_panel(scaled.visual, scaled) * mask).mean(dim=(1, 2))

    def dictionary(self) -> Tensor:
        """d_k, (C, D); zero for a class that was not met."""
        least = torch.finfo(self.object_counts.dtype).tiny
        return self.object_sums / self.object_counts.clamp_min(least)[:, None]

    @torch.no_grad()
    def audio_distribution(self, scaled: Tokens) -> Tensor:
        """p_audio, (B, C)."""
        return F.linear(scaled.sound, self.heard_weight, self.heard_bias).softmax(dim=1)

    @torch.no_grad()
    def keep(self, scaled: Tokens, target: Tensor) -> None:
        """Keep what stage 2 needs of this step of stage 1: objects and the audio classifier.

        Args:
            scaled: B clips as ``prepare`` gives them.
            target: Classes that sound, (B, C) bool.
        """
        share, memory = gather_rows(_shares(target, scaled)), self.config.dictionary_memory
        features = gather_rows(self.object_features(scaled))
        self.object_sums.mul_(memory).add_(share.T @ features)
        self.object_counts.mul_(memory).add_(share.sum(dim=0))
        self.heard_weight.copy_(self.classify_audio.weight)
        self.heard_bias.copy_(self.classify_audio.bias)

    def _pair_logits(self, scaled: Tokens, partner: Tensor) -> tuple[Tensor, Tensor]:
        """Each sound in its own picture, (b, n), and each in its partner's, (len(partner), n)."""
        cells, sound = self._projected(scaled)
        guests = gather_rows(sound)[own_rows(partner.argsort())]  # one in each picture
        other = gather_rows(self._logits(cells[: len(guests)], guests))
        return self._logits(cells, sound), other[partner]

    def _projected(self, scaled: Tokens) -> tuple[Tensor, Tensor]:
        """Unit cells (B, n, d) and sounds (B, d)."""
        cells, sound = self.project_image(scaled.visual), self.project_audio(scaled.sound)
        return F.normalize(cells, dim=-1), F.normalize(sound, dim=-1)

    def _logits(self, cells: Tensor, sound: Tensor) -> Tensor:
        """Cells (B, n, d) and sounds (B, d) to m before the sigmoid, (B, n)."""
        return self.scale * torch.einsum("bnd,bd->bn", cells, sound)

    def _objects(self, scaled: Tokens, location: Tensor) -> Tensor:
        """O_k of all classes for given m, (B, C, n)."""
        products = torch.einsum("bnd,kd->bkn", scaled.visual, self.dictionary())
        return (self.object_scale * products + self.object_bias) * location[:, None]


def grown(mask: Tensor) -> Tensor:
    """Grow a mask, (B, h, w) bool, by the four neighbours of its cells.

    As in the original, cells on the border stay but do not spread.
    """
    inner, result = mask.clone(), mask.clone()
    inner[:, [0, -1]] = inner[:, :, [0, -1]] = False
    for axis, step in ((1, 1), (1, -1), (2, 1), (2, -1)):
        result |= inner.roll(step, dims=axis)
    return result


def _shares(target: Tensor, scaled: Tokens) -> Tensor:
    """Equal shares of the classes of each clip, (B, C) bool to (B, C)."""
    return target.to(scaled.visual.dtype) / target.sum(dim=1, keepdim=True)
