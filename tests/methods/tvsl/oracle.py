"""The printed equations, naively: loops, and a copy of the tokens for every source.

Nothing of the package is used but a head's state dict and hyperparameters. Everything is NumPy in
float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cosine(x: Array, y: Array) -> float:
    return float(x @ y / (math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))))


def phi(a: Array, b: Array, c: Array) -> Array:
    """phi(A, B, C) = (A B^T / |A||B|) * C, (n, D)."""
    rows = [cosine(a[j], b) * c[j] for j in range(len(a))]
    return np.array(rows)


def cross_entropy(logits: list[float], target: int) -> float:
    top = max(logits)
    return top + math.log(sum(math.exp(x - top) for x in logits)) - logits[target]


def binary_cross_entropy(logit: float, truth: bool) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -math.log(probability) if truth else -math.log(1 - probability)


@dataclass
class Pair:
    """Everything that the equations name for one (clip, source)."""

    clip: int
    label: int
    seen: Array  # f_k^v
    heard: Array  # f_k^a = g_k^a
    seen_class: Array  # f~_k^v
    heard_class: Array  # f~_k^a
    guide: Array  # g^_k^a
    guided_mean: Array  # g_k^v
    answer: Array  # g^_k^v
    literal_map: Array  # s(g^_k^a, v^_k^j)


@dataclass
class Oracle:
    state: Mapping[str, Any]
    hyperparameters: Any
    visual: Array  # (B, n_v, D) tokens of the encoder
    audio: Array
    text: Array  # (N, D)
    labels: NDArray[np.bool_]
    pairs: list[Pair] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = {k: np.asarray(v.detach().double().numpy()) for k, v in self.state.items()}
        self.seen = np.array([[self.linear("project_visual", t) for t in v] for v in self.visual])
        self.heard = np.array([[self.linear("project_audio", t) for t in a] for a in self.audio])
        for clip, row in enumerate(self.labels):
            for label in np.nonzero(row)[0]:
                self.pairs.append(self._pair(clip, int(label)))

    def linear(self, name: str, x: Array) -> Array:
        if f"{name}.weight" not in self.state:
            return x
        return np.asarray(self.state[f"{name}.weight"] @ x + self.state[f"{name}.bias"])

    def logit(self, name: str, value: float) -> float:
        scale = min(100.0, max(1.0, math.exp(float(self.state[f"{name}.log_scale"]))))
        return scale * value + float(self.state.get(f"{name}.bias", 0.0))

    def _pair(self, clip: int, label: int) -> Pair:
        e, v, a = self.text[label], self.seen[clip], self.heard[clip]
        v_k = phi(v, e, v) if self.hyperparameters.image_conditioning else v.copy()
        a_k = phi(a, e, a) if self.hyperparameters.audio_conditioning else a.copy()
        f_v, f_a = v_k.mean(axis=0), a_k.mean(axis=0)
        guide = self.linear("project_audio_correspondence", f_a)
        v_hat = phi(v_k, guide, v_k)
        g_v = v_hat.mean(axis=0)
        return Pair(
            clip=clip,
            label=label,
            seen=f_v,
            heard=f_a,
            seen_class=self.linear("project_visual_class", f_v),
            heard_class=self.linear("project_audio_class", f_a),
            guide=guide,
            guided_mean=g_v,
            answer=self.linear("project_visual_correspondence", g_v),
            literal_map=np.array([cosine(guide, row) for row in v_hat]),
        )

    def fused(self, clip: int) -> Array:
        x = np.concatenate([self.heard[clip].mean(axis=0), self.seen[clip].mean(axis=0)])
        fused = self.linear("fusion.linear", x)
        if self.hyperparameters.fusion_layers == 2:
            inner = self.linear("fusion.hidden.0", x)
            gelu = np.array([0.5 * t * (1 + math.erf(t / math.sqrt(2))) for t in inner])
            fused = fused + self.linear("fusion.hidden.2", gelu)
        return fused

    def detection(self) -> Array:
        """Detection logits, (B, N)."""
        return np.array(
            [
                [self.logit("detection_scale", cosine(e, self.fused(b))) for e in self.text]
                for b in range(len(self.visual))
            ]
        )

    def loss_mcid(self) -> float:
        """Summed over the classes as printed or averaged, the mean over the clips."""
        losses = [
            sum(binary_cross_entropy(x, y) for x, y in zip(row, truth, strict=True))
            for row, truth in zip(self.detection(), self.labels, strict=True)
        ]
        loss = sum(losses) / len(losses)
        return loss if self.hyperparameters.printed_sums else loss / len(self.text)

    def loss_cls(self) -> float:
        losses = []
        for pair in self.pairs:
            features = []
            if self.hyperparameters.image_conditioning:
                features.append(pair.seen_class)
            if self.hyperparameters.audio_conditioning:
                features.append(pair.heard_class)
            for feature in features:
                logits = [self.logit("class_scale", cosine(e, feature)) for e in self.text]
                losses.append(cross_entropy(logits, pair.label))
        return sum(losses) / (
            len(self.visual) if self.hyperparameters.printed_sums else len(self.pairs)
        )

    def loss_av(self) -> float:
        losses = []
        for k, positive in enumerate(self.pairs):
            candidates = [
                other
                for other in self.pairs
                if other is positive
                or not self.hyperparameters.mask_same_class
                or other.label != positive.label
            ]
            place = [other is positive for other in candidates].index(True)
            name = "correspondence_scale"
            rows = [self.logit(name, cosine(positive.answer, o.guide)) for o in candidates]
            columns = [self.logit(name, cosine(o.answer, positive.guide)) for o in candidates]
            losses += [cross_entropy(rows, place), cross_entropy(columns, place)]
            assert positive is self.pairs[k]
        return sum(losses) / len(losses)

    def loss_presence(self) -> float:
        """L_cls of the one-stage variant: every class is conditioned on in every clip."""
        loss = 0.0
        sides = (
            (self.hyperparameters.image_conditioning, self.seen, "project_visual_class"),
            (self.hyperparameters.audio_conditioning, self.heard, "project_audio_class"),
        )
        for wanted, side, name in sides:
            if not wanted:
                continue
            for row, truth in zip(side, self.labels, strict=True):
                for e, y in zip(self.text, truth, strict=True):
                    feature = self.linear(name, phi(row, e, row).mean(axis=0))
                    logit = self.logit("class_scale", cosine(feature, e))
                    loss += binary_cross_entropy(logit, bool(y)) / len(side)
        return loss if self.hyperparameters.printed_sums else loss / len(self.text)
