"""Secs. 3.2 to 3.4 once more, naively: loops, and a copy of the tokens for every source.

Written from the paper's text (and, for what is not in it, from `docs/how-tvsl-works.md`), in plain
torch: nothing of the package is used but the names in a head's state and config. Vectors are
float64, sums are Python's, gradients are autograd's through these loops.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

MAX_SCALE = 100.0
RIDGE, SEEN_SHARE, FLOOR = 0.1, 0.5, 1e-3
DECOMPOSITION_SHARE, BEST_CELLS = 1.5, 0.03


def cosine(x: Tensor, y: Tensor) -> Tensor:
    """Cosine of two vectors; 0 with one that has no direction."""
    squares = torch.dot(x, x) * torch.dot(y, y)
    if squares.item() == 0:
        return squares.new_zeros(())
    return torch.dot(x, y) / squares.sqrt()


def mean(rows: Sequence[Tensor]) -> Tensor:
    total = rows[0]
    for row in rows[1:]:
        total = total + row
    return total / len(rows)


def phi(a: Sequence[Tensor], b: Tensor, c: Sequence[Tensor]) -> list[Tensor]:
    """phi(A, B, C) = (A B^T / |A||B|) * C, row by row."""
    return [cosine(row, b) * other for row, other in zip(a, c, strict=True)]


def cross_entropy(logits: Sequence[Tensor], target: int) -> Tensor:
    top = max(logit.item() for logit in logits)
    odds = [(logit - top).exp() for logit in logits]
    return total(odds).log() + top - logits[target]


def binary_cross_entropy(logit: Tensor, truth: bool) -> Tensor:
    """-log sigmoid(logit), or -log (1 - sigmoid(logit)), without overflow."""
    wrong = -logit if truth else logit
    return torch.log1p((-wrong.abs()).exp()) + wrong.clamp(min=0)


def total(terms: Iterable[Tensor]) -> Tensor:
    result = torch.zeros((), dtype=torch.float64)
    for term in terms:
        result = result + term
    return result


@dataclass
class Pair:
    """Symbols of the equations for one (clip, source)."""

    clip: int
    label: int
    heard: Tensor  # f_k^a = g_k^a
    seen_class: Tensor  # f~_k^v
    heard_class: Tensor  # f~_k^a
    guide: Tensor  # g^_k^a
    answer: Tensor  # g^_k^v


class Oracle:
    """A head's equations on a batch.

    Args:
        state: The head's parameters by name.
        options: Its hyperparameters.
        visual: Tokens of the encoder, (B, n_v, D).
        audio: (B, n_a, D).
        text: Unit text embeddings, (N, D).
        grid: h and w.
        panels: Frames side by side in it.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        options: Any,
        visual: Tensor,
        audio: Tensor,
        text: Tensor,
        grid: tuple[int, int] = (1, 1),
        panels: int = 1,
    ) -> None:
        self.state, self.options, self.grid, self.panels = state, options, grid, panels
        self.text = list(text)
        self.tokens = [list(rows) for rows in visual]
        self.sounds = [list(rows) for rows in audio]
        self.seen = [[self.linear("project_visual", v) for v in rows] for rows in self.tokens]
        self.heard = [[self.linear("project_audio", a) for a in rows] for rows in self.sounds]

    def linear(self, name: str, x: Tensor) -> Tensor:
        if f"{name}.weight" not in self.state:
            return x
        return self.state[f"{name}.weight"] @ x + self.state[f"{name}.bias"]

    def logit(self, name: str, value: Tensor) -> Tensor:
        """A cosine times the learned scale, which is kept between 1 and 100, plus the bias."""
        exponent = self.state[f"{name}.log_scale"]
        if exponent.item() < 0:
            scaled = value
        elif exponent.item() > math.log(MAX_SCALE):
            scaled = MAX_SCALE * value
        else:
            scaled = exponent.exp() * value
        bias = self.state.get(f"{name}.bias")
        return scaled if bias is None else scaled + bias

    # Sec. 3.2

    def fused(self, seen: Sequence[Tensor], heard: Sequence[Tensor]) -> Tensor:
        x = torch.cat([mean(heard), mean(seen)])
        if self.options.detach_detection:
            x = x.detach()
        fused = self.linear("fusion.linear", x)
        if self.options.fusion_layers == 2:
            inner = self.linear("fusion.hidden.0", x)
            gelu = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2
            fused = fused + self.linear("fusion.hidden.2", gelu)
        return fused

    def detection(self, seen: Sequence[Tensor], heard: Sequence[Tensor]) -> list[Tensor]:
        """Y^ of a clip, scaled, one for each class."""
        fused = self.fused(seen, heard)
        return [self.logit("detection_scale", cosine(e, fused)) for e in self.text]

    def loss_mcid(self, labels: Tensor) -> Tensor:
        clips = zip(self.seen, self.heard, labels, strict=True)
        return self._presence_loss([self.detection(v, a) for v, a, _ in clips], labels)

    def _presence_loss(self, logits: list[list[Tensor]], labels: Tensor) -> Tensor:
        """Summed over the classes as printed or averaged, the mean over the clips."""
        each = [
            total(binary_cross_entropy(x, bool(y)) for x, y in zip(row, truth, strict=True))
            for row, truth in zip(logits, labels, strict=True)
        ]
        return mean(each) if self.options.printed_sums else mean(each) / len(self.text)

    # Sec. 3.3 and 3.4, in training

    def pairs(self, labels: Tensor) -> list[Pair]:
        return [
            self.pair(clip, label)
            for clip, row in enumerate(labels)
            for label, there in enumerate(row)
            if there
        ]

    def pair(self, clip: int, label: int) -> Pair:
        e, v, a = self.text[label], self.seen[clip], self.heard[clip]
        v_k = phi(v, e, v) if self.options.image_conditioning else list(v)
        a_k = phi(a, e, a) if self.options.audio_conditioning else list(a)
        f_a = mean(a_k)
        guide = self.linear("project_audio_correspondence", f_a)
        g_v = mean(phi(v_k, guide, v_k))
        return Pair(
            clip=clip,
            label=label,
            heard=f_a,
            seen_class=self.linear("project_visual_class", self.class_mean(v, e)),
            heard_class=self.linear("project_audio_class", self.class_mean(a, e)),
            guide=guide,
            answer=self.linear("project_visual_correspondence", g_v),
        )

    def class_mean(self, side: Sequence[Tensor], e: Tensor) -> Tensor:
        """Mean(phi(...)) of L_cls, or, with a focus, a mean by the softmax of the cosines."""
        focus = self.options.class_focus
        if focus == 0:
            return mean(phi(side, e, side))
        shares = [(focus * cosine(row, e)).exp() for row in side]
        return total(share * row for share, row in zip(shares, side, strict=True)) / total(shares)

    def loss_cls(self, labels: Tensor) -> Tensor:
        """Summed over a clip's sources and averaged over clips as printed, or averaged over all."""
        pairs, losses = self.pairs(labels), []
        for pair in pairs:
            features = []
            if self.options.image_conditioning:
                features.append(pair.seen_class)
            if self.options.audio_conditioning:
                features.append(pair.heard_class)
            for feature in features:
                logits = [self.logit("class_scale", cosine(e, feature)) for e in self.text]
                losses.append(cross_entropy(logits, pair.label))
        return total(losses) / (len(labels) if self.options.printed_sums else len(pairs))

    def presences(self, clip: int) -> list[list[Tensor]]:
        """Every class conditioned on and asked for, in each modality that is conditioned."""
        sides = (
            (self.options.image_conditioning, self.seen[clip], "project_visual_class"),
            (self.options.audio_conditioning, self.heard[clip], "project_audio_class"),
        )
        return [
            [
                self.logit("class_scale", cosine(self.linear(name, self.class_mean(side, e)), e))
                for e in self.text
            ]
            for wanted, side, name in sides
            if wanted
        ]

    def loss_presence(self, labels: Tensor) -> Tensor:
        """L_cls of the one-stage variant, and with class negatives."""
        clips = [self.presences(clip) for clip in range(len(labels))]
        sides = range(len(clips[0]))
        return total(self._presence_loss([clip[side] for clip in clips], labels) for side in sides)

    def loss_av(self, labels: Tensor) -> Tensor:
        """InfoNCE of every pair against the batch, the mean of both directions."""
        pairs, losses = self.pairs(labels), []
        for positive in pairs:
            candidates = [
                other
                for other in pairs
                if other is positive
                or not self.options.mask_same_class
                or other.label != positive.label
            ]
            place = [other is positive for other in candidates].index(True)
            name = "correspondence_scale"
            rows = [self.logit(name, cosine(positive.answer, o.guide)) for o in candidates]
            columns = [self.logit(name, cosine(o.answer, positive.guide)) for o in candidates]
            losses += [cross_entropy(rows, place), cross_entropy(columns, place)]
        return total(losses) / len(losses)

    def loss_pooled(self, labels: Tensor) -> Tensor:
        """Eq. 1 on mean tokens and names: each of two directions, and every pair of modalities."""
        clips, names = range(len(labels)), range(len(self.text))
        seen, heard = ([mean(side[clip]) for clip in clips] for side in (self.seen, self.heard))
        named = [[k for k in names if labels[clip, k]] for clip in clips]
        alone = [[clip] for clip in clips]
        three = ((seen, self.text, named), (heard, self.text, named), (heard, seen, alone))
        losses = []
        for rows, columns, right in three:
            table = [[self.logit("pooled_scale", cosine(x, y)) for y in columns] for x in rows]
            turned = [[row[k] for row in table] for k in range(len(columns))]
            answers = [[n for n in clips if k in right[n]] for k in range(len(columns))]
            for lines, targets in ((table, right), (turned, answers)):
                asked = [(line, one) for line, one in zip(lines, targets, strict=True) if one]
                each = [mean([cross_entropy(line, k) for k in one]) for line, one in asked]
                losses.append(mean(each))
        return total(losses)

    def losses(self, labels: Tensor) -> dict[str, Tensor]:
        """All losses of the head by the package's names."""
        options, result = self.options, {}
        conditioned = options.image_conditioning or options.audio_conditioning
        if options.stages == 2:
            result["mcid"] = self.loss_mcid(labels)
        if conditioned:
            every = options.stages == 1 or options.class_negatives
            found = self.loss_presence(labels) if every else self.loss_cls(labels)
            result["cls"] = options.class_weight * found
        if options.correspondence:
            result["av"] = options.correspondence_weight * self.loss_av(labels)
        if options.pooled_weight > 0:
            result["pooled"] = options.pooled_weight * self.loss_pooled(labels)
        return result

    # Inference

    def at_inference(self, clip: int) -> tuple[list[Tensor], list[Tensor]]:
        """V' and A' of a clip, a share of them the encoder's own tokens."""
        share = self.options.token_anchor

        def anchored(trained: list[Tensor], own: list[Tensor]) -> list[Tensor]:
            return [(1 - share) * x + share * y for x, y in zip(trained, own, strict=True)]

        return (
            anchored(self.seen[clip], self.tokens[clip]),
            anchored(self.heard[clip], self.sounds[clip]),
        )

    def evidence(self, clip: int) -> tuple[list[float], list[float]]:
        """cos(mean A', e) and the mean of the best 3 % of cos(v_j, e), for each class."""
        seen, heard = self.at_inference(clip)
        few = math.ceil(BEST_CELLS * len(seen))
        best = [sorted((cosine(v, e).item() for v in seen), reverse=True)[:few] for e in self.text]
        return (
            [cosine(mean(heard), e).item() for e in self.text],
            [sum(cells) / few for cells in best],
        )

    def weights(self, clip: int) -> np.ndarray[Any, Any]:
        """w of `docs/how-tvsl-works.md`, by scipy's active sets on the Cholesky factor."""
        heard, seen = self.evidence(clip)
        names = torch.stack(self.text).numpy()
        prior = np.array(seen) - np.mean(seen)
        factor = np.linalg.cholesky(names @ names.T + RIDGE * np.eye(len(names)))
        slope = np.linalg.solve(factor, np.array(heard) + SEEN_SHARE * prior)
        solution: np.ndarray[Any, Any] = nnls(factor.T, slope)[0]
        return solution

    def shares(self, clip: int, label: int) -> list[float]:
        """Responsibility of a class for each token of the sound, over their mean."""
        prior, beta = self.weights(clip), self.options.responsibility
        found = []
        for a in self.at_inference(clip)[1]:
            odds = [
                (w + FLOOR) * math.exp(beta * cosine(a, e).item())
                for w, e in zip(prior, self.text, strict=True)
            ]
            found.append(odds[label] / sum(odds))
        return [share * len(found) / sum(found) for share in found]

    def guide(self, clip: int, label: int) -> Tensor:
        """g^_k^a, a share of it the untrained g_k^a."""
        heard = self.at_inference(clip)[1]
        if self.options.audio_conditioning:
            heard = phi(heard, self.text[label], heard)
            if self.options.responsibility > 0:
                shares = self.shares(clip, label)
                heard = [share * a for share, a in zip(shares, heard, strict=True)]
        g, anchor = mean(heard), self.options.query_anchor
        return (1 - anchor) * self.linear("project_audio_correspondence", g) + anchor * g

    def cells(self, clip: int, label: int) -> list[float]:
        """A map before it is spread, cell by cell; `cosine` is the printed s(g^_k^a, v^_k^j)."""
        seen, e, guide = self.at_inference(clip)[0], self.text[label], self.guide(clip, label)
        readout, conditioned = self.options.readout, self.options.image_conditioning
        if readout == "cosine":
            v_k = phi(seen, e, seen) if conditioned else seen
            return [cosine(guide, v).item() for v in phi(v_k, guide, v_k)]
        text = [cosine(v, e).item() for v in seen]
        audio = [cosine(v, guide).item() for v in seen]
        if readout == "signed" or (readout == "evidence" and not conditioned):
            return audio
        if readout == "text":
            return text
        if readout == "sum":
            return [s + c for s, c in zip(text, audio, strict=True)]
        power = self.options.readout_exponent
        agreed = [
            (s * c) ** power if s > 0 and c > 0 else 0.0 for s, c in zip(text, audio, strict=True)
        ]
        if any(agreed):
            return agreed
        return [min(s, c) for s, c in zip(text, audio, strict=True)]

    def map(self, clip: int, label: int) -> Tensor:
        """Map of a query, (h, w)."""
        (height, width), power = self.grid, self.options.affinity
        flat = self.cells(clip, label)
        if power == 0:
            return torch.tensor(flat, dtype=torch.float64).view(height, width)
        wide, spread = width // self.panels, []
        for place, own in enumerate(self.tokens[clip]):
            panel = place % width // wide
            frame = [p for p in range(height * width) if p % width // wide == panel]
            like = [max(0.0, cosine(own, self.tokens[clip][p]).item()) ** power for p in frame]
            if not any(like):
                like = [float(p == place) for p in frame]
            spread.append(sum(w * flat[p] for w, p in zip(like, frame, strict=True)) / sum(like))
        return torch.tensor(spread, dtype=torch.float64).view(height, width)

    def scores(self, clip: int) -> list[float]:
        """Detection scores of a clip."""
        detector = self.options.detector
        if detector in ("fusion", "joint"):
            logits = []
            if self.options.stages == 2:
                logits = [self.detection(*self.at_inference(clip))]
            if detector == "joint" or self.options.stages == 1:
                logits = logits + self._anchored_presences(clip)
            chances = [[1 / (1 + math.exp(-x.item())) for x in side] for side in logits]
            return [sum(both) / len(both) for both in zip(*chances, strict=True)]
        pairs = list(zip(*self.evidence(clip), strict=True))
        if detector == "evidence":
            return [heard + seen for heard, seen in pairs]
        # As it can be said as well: 3/2 of the weaker and 1/2 of the stronger.
        agreed = [1.5 * min(pair) + 0.5 * max(pair) for pair in pairs]
        if detector == "agreement":
            return agreed
        weights = self.weights(clip)
        return [x + DECOMPOSITION_SHARE * w for x, w in zip(agreed, weights, strict=True)]

    def _anchored_presences(self, clip: int) -> list[list[Tensor]]:
        trained = self.seen[clip], self.heard[clip]
        self.seen[clip], self.heard[clip] = self.at_inference(clip)
        found = self.presences(clip)
        self.seen[clip], self.heard[clip] = trained
        return found
