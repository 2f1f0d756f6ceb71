"""The space in which cells of a picture, moments of a sound and names meet.

A name n has two descriptions. N(n) is what it means: its sentence embedding m(n), less the mean of
all names that the networks know, projected. H(n) is what it sounds like: its likeness to the 521
names of AudioSet, softmax(cos(m(n), m(c)) / T), projected. Both are unit vectors.

    text    e(n) = [ sqrt(a) N(n),          sqrt(1 - a) H(n),      0,        0      ]
    cell    v    = [ Σ_k q_k N(k),          g Σ_k q_k H(k),        u f(v),   0      ]
    moment  a    = [ h Σ_c w_c N(c),        Σ_c w_c H(c),          0,        r f(a) ]

q_k is the evidence for kind k in a cell: the score of the strongest box of COCO's kinds that covers
the cell, and the probability of each of ImageNet's classes. w_c is the probability of AudioSet's
class c, divided by how often the network says it of any sound. f is a unit vector of the network's
own features, in dimensions of its own: names know nothing of them, so that evidence which is weak
beside them counts little; and a projector (P_v, P_a of Sec. 3.2) can learn from them.

No label of any training set enters: names and evidence are those of the pretrained networks.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.everyday import hearing, seeing
from tvsl.everyday.text import WIDTH
from tvsl.utils.strict_model import StrictModel

MOST_DIMENSIONS = 4096
NEAREST = 10
"""Nearest names of the networks by which ``familiarity`` judges a name."""
KINDS, PICTURE_CLASSES = 90, seeing.CLASSES
SILENCE = 494
"""AudioSet's class of silence, which is no source."""


class SpaceConfig(StrictModel):
    """Sizes and factors of the space.

    Attributes:
        meaning: Dimensions of N.
        sounding: Dimensions of H.
        seen: Dimensions of a picture's own features.
        heard: Dimensions of a sound's own features.
        temperature: T, in cosines.
        meaning_share: a.
        cell_sounding: g.
        moment_meaning: h.
        cell_features: u.
        moment_features: r.
        prior_floor: Added to how often a class is said before dividing by it.
    """

    meaning: int = Field(192, gt=0, le=MOST_DIMENSIONS)
    sounding: int = Field(224, gt=0, le=MOST_DIMENSIONS)
    seen: int = Field(96, gt=0, le=MOST_DIMENSIONS)
    heard: int = Field(64, gt=0, le=MOST_DIMENSIONS)
    temperature: float = Field(0.05, gt=0, le=100)
    meaning_share: float = Field(0.5, ge=0, le=1)
    cell_sounding: float = Field(0.3, ge=0, le=100)
    moment_meaning: float = Field(0.15, ge=0, le=100)
    cell_features: float = Field(0.6, ge=0, le=100)
    moment_features: float = Field(0.3, ge=0, le=100)
    prior_floor: float = Field(0.01, gt=0, le=1)

    @property
    def embedding(self) -> int:
        """D."""
        return self.meaning + self.sounding + self.seen + self.heard


class Space(nn.Module):
    """Names, cells and moments to vectors of D dimensions.

    The buffers come from ``scripts/everyday/build.py``.

    Args:
        config: Sizes and factors.
    """

    mean: Tensor
    meaning: Tensor
    sounding: Tensor
    sound_names: Tensor
    picture_names: Tensor
    kind_names: Tensor
    prior: Tensor
    seen_mean: Tensor
    seen: Tensor
    heard_mean: Tensor
    heard: Tensor

    def __init__(self, config: SpaceConfig) -> None:
        super().__init__()
        self.config = config
        sizes = {
            "mean": (WIDTH,),
            "meaning": (WIDTH, config.meaning),
            "sounding": (hearing.CLASSES, config.sounding),
            "sound_names": (hearing.CLASSES, WIDTH),
            "picture_names": (PICTURE_CLASSES, WIDTH),
            "kind_names": (KINDS, WIDTH),
            "prior": (hearing.CLASSES,),
            "seen_mean": (seeing.WIDTH + seeing.FINE_WIDTH,),
            "seen": (seeing.WIDTH + seeing.FINE_WIDTH, config.seen),
            "heard_mean": (hearing.WIDTH,),
            "heard": (hearing.WIDTH, config.heard),
        }
        for name, size in sizes.items():
            self.register_buffer(name, torch.zeros(size))
        self._described: dict[str, Tensor] = {}

    def centred(self, sentences: Tensor) -> Tensor:
        """Sentence embeddings (N, 384) less the mean of all names, unit."""
        return F.normalize(sentences - self.mean, dim=-1)

    def likeness(self, sentences: Tensor) -> Tensor:
        """Shares of AudioSet's names in each name, (N, 521), rows with the sum 1."""
        cosines = self.centred(sentences) @ self.centred(self.sound_names).T
        return (cosines / self.config.temperature).softmax(dim=-1)

    def familiarity(self, sentences: Tensor) -> Tensor:
        """Mean cosine of names (N, 384) with the nearest names that the networks know, (N,)."""
        known = torch.cat([self.sound_names, self.picture_names, self.kind_names])
        cosines = self.centred(sentences) @ self.centred(known).T
        return cosines.topk(NEAREST, dim=-1).values.mean(dim=-1)

    def describe(self, sentences: Tensor) -> tuple[Tensor, Tensor]:
        """N (n, meaning) and H (n, sounding) of names, by their sentence embeddings (n, 384)."""
        meaning = F.normalize(self.centred(sentences) @ self.meaning, dim=-1)
        return meaning, F.normalize(self.likeness(sentences) @ self.sounding, dim=-1)

    def _known(self, names: str) -> tuple[Tensor, Tensor]:
        """N and H of the networks' own names, computed once."""
        if f"{names} meaning" not in self._described:
            meaning, sounding = self.describe(getattr(self, names))
            self._described |= {f"{names} meaning": meaning, f"{names} sounding": sounding}
        return self._described[f"{names} meaning"], self._described[f"{names} sounding"]

    def prepared(self) -> Space:
        """Forget what was computed of earlier buffers or on another device."""
        self._described.clear()
        return self

    def text(self, sentences: Tensor) -> Tensor:
        """Names, by their sentence embeddings (N, 384), as unit vectors (N, D)."""
        share, (meaning, sounding) = self.config.meaning_share, self.describe(sentences)
        none = meaning.new_zeros(len(meaning), self.config.seen + self.config.heard)
        parts = [math.sqrt(share) * meaning, math.sqrt(1 - share) * sounding, none]
        return torch.cat(parts, dim=-1)

    def cells(self, kinds: Tensor, classes: Tensor, features: Tensor) -> Tensor:
        """Cells of pictures: (B, n, D).

        Args:
            kinds: Evidence for COCO's 90 kinds, (B, n, 90).
            classes: Probabilities of ImageNet's classes, (B, n, 1000).
            features: The image network's features, (B, n, 1392).
        """
        of_kinds, of_classes = self._known("kind_names"), self._known("picture_names")
        meaning, sounding = (
            kinds @ of_kinds[part] + classes @ of_classes[part] for part in range(2)
        )
        own = F.normalize((features - self.seen_mean) @ self.seen, dim=-1)
        none = own.new_zeros(*own.shape[:-1], self.config.heard)
        factors = self.config.cell_sounding, self.config.cell_features
        return torch.cat([meaning, factors[0] * sounding, factors[1] * own, none], dim=-1)

    def moments(self, logits: Tensor, features: Tensor) -> Tensor:
        """Patches of sounds: (B, n, D).

        Args:
            logits: Of AudioSet's classes, (B, n, 521).
            features: The audio network's embeddings, (B, n, 1024).
        """
        known = self._known("sound_names")
        floor = self.config.prior_floor
        weights = logits.sigmoid() * (2 * floor / (self.prior + floor))
        weights[..., SILENCE] = 0
        own = F.normalize((features - self.heard_mean) @ self.heard, dim=-1)
        none = own.new_zeros(*own.shape[:-1], self.config.seen)
        meaning, sounding = (weights @ part for part in known)
        factors = self.config.moment_meaning, self.config.moment_features
        return torch.cat([factors[0] * meaning, sounding, none, factors[1] * own], dim=-1)
