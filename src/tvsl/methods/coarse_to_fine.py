"""CoarsetoFine: multiple sound sources localization from coarse to fine (Qian et al., ECCV 2020).

Stage 1 learns the classes of both sides, and whether picture and sound belong together. Stage 2
takes vectors of single classes out of both by class activation maps and aligns them, which turns
a mixture into pairs of one source each.

    L_1 = BCE(sigmoid(W^a mean a), y) + BCE(sigmoid(W^v mean v), y)
          + 1/2 mean_{i=j} CE + 1/2 mean_{i!=j} CE of MLP([a_i, v_j]), over all pairs of clips
    CAM_c(p) = relu(W_c . f_p), no gradient;    f_c = unit P(mean_p CAM_c(p) f_p / sum_p CAM_c(p))
    L_d = mean_{E, I} D^2 + mean_{E, not I} relu(1.4 - D)^2,    D = |f^a - f^v|,    L_2 = L_1 + L_d

L_d is over all pairs of (clip, class) on one side and (clip, class) on the other; I: both are the
same; E: each side gives its class a probability over 0.3. W without biases, MLP 2D -> 128 -> 2,
P D -> 1024 -> 128 without biases. The original: SGD, momentum 0.9, weight decay 5e-4, 1e-3 and
then 1e-4, batches of 16.

Adapted to frozen shared tokens: only the heads are trained. The original's 7 classes are guesses
of a tagger; here they are those of the labels. The picture of a mixture is the whole canvas, which
shows all its sources, so that both sides have the same targets. The sums over (B C)^2 pairs are
taken over the pairs of E alone, which is the same; where more than ``most_active`` rows of a side
are in E, a random part of them stands for all in the second mean. 0.3 suits probabilities of few
classes after long training: among many classes they stay below for long and E is empty, so that
the classes of the labels are in E from the start (``labelled_active``).

Video labels. A class among several gets M_c(p) = relu(cos(f^a_c, P(v_p))). A class alone gets, as
in the original, one map of the whole sound: the mean of M_c, weighted by the probability of c in
the sound, over the classes over 0.3 and the likeliest. (The released code takes the sigmoid of a
sigmoid here, which cannot be meant.) ``readout`` gives one of the two to both. It cannot
localize classes outside of training.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.encoder import MOST_CHANNELS
from tvsl.global_batch import gather_rows
from tvsl.methods.adapted import (
    CLASS_READOUTS,
    ClassReadout,
    ClosedVocabulary,
    ClosedVocabularyConfig,
    uses_whole_sound,
)
from tvsl.methods.base import Method, spread_and_not
from tvsl.methods.operations import two_layers, unit
from tvsl.tokens import Queries, Tokens, Vocabulary

_TINY = 1e-10


class CoarseToFineConfig(ClosedVocabularyConfig):
    """Sizes and hyperparameters of CoarsetoFine.

    Attributes:
        dimension: Size of the hidden layer of the correspondence MLP, and of the class vectors.
        hidden: Size of the hidden layer of their projections.
        probability: Least probability of a class that counts as seen or heard.
        margin: Least distance between vectors of different classes or clips.
        first_stage: Share of training that stage 1 takes; the half is ours.
        labelled_active: Whether the classes of the labels count in E whatever their probability.
        most_active: Most active rows of a side in the second mean of L_d.
        readout: ``class`` gives M_c, ``whole`` the map of the whole sound, ``original`` the second
            to a class alone and the first to one of several; decided on validation data.
    """

    weight_decay: float = Field(5e-4, ge=0, le=1)
    dimension: int = Field(128, gt=0, le=MOST_CHANNELS)
    hidden: int = Field(1024, gt=0, le=MOST_CHANNELS)
    probability: float = Field(0.3, gt=0, lt=1)
    margin: float = Field(1.4, gt=0, le=1000)
    first_stage: float = Field(0.5, ge=0, le=1)
    labelled_active: bool = True
    most_active: int = Field(2048, gt=0, le=1_000_000)
    readout: ClassReadout = "original"


class CoarseToFine(ClosedVocabulary):
    """The CoarsetoFine head.

    Args:
        config: Its sizes, with its classes.

    Raises:
        UsageError: No class, or one twice.
    """

    name: ClassVar[str] = "coarse-to-fine"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[CoarseToFineConfig]] = CoarseToFineConfig
    tunable: ClassVar[frozenset[str]] = Method.tunable | {"readout"}
    config: CoarseToFineConfig

    def __init__(self, config: CoarseToFineConfig) -> None:
        super().__init__(config)
        size, classes = config.embedding, len(config.classes)
        self.correspond = nn.Linear(2 * size, config.dimension)
        self.decide_pair = nn.Linear(config.dimension, 2)
        self.classify_audio = nn.Linear(size, classes, bias=False)
        self.classify_image = nn.Linear(size, classes, bias=False)
        self.project_audio = two_layers(size, config.dimension, config.hidden, bias=False)
        self.project_image = two_layers(size, config.dimension, config.hidden, bias=False)

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """L_1, and L_d in stage 2; see the base class."""
        scaled = self.prepare(tokens, vocabulary)
        target = self.targets(tokens, labels, vocabulary)
        return self.stage_losses(scaled, target, target)

    def stage_losses(self, scaled: Tokens, heard: Tensor, seen: Tensor) -> dict[str, Tensor]:
        """Losses of the stage that training is in: scalars by name.

        Args:
            scaled: B clips as ``prepare`` gives them.
            heard: Classes that sound, (B, C) bool.
            seen: Classes that are to be seen, (B, C) bool.
        """
        audio, image = scaled.audio.mean(dim=1), scaled.visual.mean(dim=1)
        losses = {
            "audio_class": _class_loss(self.classify_audio(audio), heard),
            "image_class": _class_loss(self.classify_image(image), seen),
            "correspondence": self._pair_loss(audio, image),
        }
        if self.progress >= self.config.first_stage:
            active = self.active(scaled)
            if self.config.labelled_active:
                active = (active[0] | heard, active[1] | seen)
            losses |= self._distance_losses(scaled, *active)
        return losses

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """M_c or the map of the whole sound, in [0, 1]; see the base class."""
        scaled = self.prepare(tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        rows = self.queried(queries, vocabulary)
        each = self.class_maps(scaled)
        whole = self._whole_maps(scaled, each)[queries.clip]
        use_whole = uses_whole_sound(self.config.readout, queries)
        flat = torch.where(use_whole[:, None], whole, each[queries.clip, rows])
        return flat.reshape(-1, *tokens.grid)

    def class_maps(self, scaled: Tokens) -> Tensor:
        """M_c of all classes, (B, C, n)."""
        heard = self._class_vectors(scaled.audio, self.classify_audio, self.project_audio)
        cells = unit(self.project_image(scaled.visual))
        return torch.einsum("bcd,bnd->bcn", heard, cells).relu()

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        """Probabilities to sound times those to be seen, (B, N); see the base class."""
        heard, seen = self.probabilities(self.prepare(tokens, vocabulary))
        return self.by_vocabulary(heard * seen, vocabulary)

    def probabilities(self, scaled: Tokens) -> tuple[Tensor, Tensor]:
        """Probabilities that each class sounds and that it is seen, both (B, C)."""
        heard = self.classify_audio(scaled.audio.mean(dim=1)).sigmoid()
        return heard, self.classify_image(scaled.visual.mean(dim=1)).sigmoid()

    def readouts(self) -> list[dict[str, Any]]:
        """Maps of classes, of the whole sound, or as the original chooses; spread and not."""
        return spread_and_not([{"readout": name} for name in CLASS_READOUTS])

    def active(self, scaled: Tokens) -> tuple[Tensor, Tensor]:
        """Both sides of E: classes with a high probability to sound, to be seen, (B, C) bool."""
        heard, seen = self.probabilities(scaled)
        return heard > self.config.probability, seen > self.config.probability

    def _pair_loss(self, audio: Tensor, image: Tensor) -> Tensor:
        """Half the mean over pairs that belong together and half that over all others."""
        split = self.correspond.weight.split(audio.shape[1], dim=1)
        # The first layer of all pairs at once: it is linear in either side.
        seen = F.linear(gather_rows(image), split[1], self.correspond.bias)
        first = F.linear(audio, split[0])[:, None] + seen
        logits = gather_rows(self.decide_pair(first.relu()).log_softmax(dim=2))
        together = torch.eye(len(logits), dtype=torch.bool, device=audio.device)
        apart = logits[..., 0][~together]
        return -(logits[..., 1][together].mean() + apart.sum() / max(1, len(apart))) / 2

    def _class_vectors(self, cells: Tensor, classify: nn.Module, project: nn.Module) -> Tensor:
        """f_c of all classes, unit, (B, n, D) to (B, C, d)."""
        with torch.no_grad():
            activation = classify(cells).relu()
        pooled = torch.einsum("bnc,bnd->bcd", activation, cells) / cells.shape[1]
        return unit(project(pooled / (activation.sum(dim=1)[..., None] + _TINY)))

    def _distance_losses(self, scaled: Tokens, heard: Tensor, seen: Tensor) -> dict[str, Tensor]:
        """L_d, its two means, for the two sides of E."""
        audio = self._class_vectors(scaled.audio, self.classify_audio, self.project_audio)
        image = self._class_vectors(scaled.visual, self.classify_image, self.project_image)
        audio, image, heard, seen = map(gather_rows, (audio, image, heard, seen))
        tiny = _TINY * heard.numel() ** 2
        same = heard & seen
        near = (2 - 2 * (audio * image).sum(dim=2))[same].sum() / (
            same.to(audio.dtype).sum() + tiny
        )
        rows, columns = (self._sampled(side) for side in (heard, seen))
        other = (rows[:, None] != columns).to(audio.dtype)
        cosines = audio.flatten(0, 1)[rows] @ image.flatten(0, 1)[columns].T
        # Where vectors coincide the root has no gradient.
        distances = (2 - 2 * cosines).clamp_min(_TINY).sqrt()
        short = (self.config.margin - distances).relu().square()
        far = (short * other).sum() / (other.sum() + tiny)
        return {"near": near, "far": far}

    def _sampled(self, active: Tensor) -> Tensor:
        """Numbers of active (clip, class) pairs, all of them or a random part."""
        numbers = active.flatten().nonzero()[:, 0]
        most = self.config.most_active
        if len(numbers) <= most:
            return numbers
        return numbers[torch.randperm(len(numbers), device=numbers.device)[:most]]

    def _whole_maps(self, scaled: Tokens, each: Tensor) -> Tensor:
        """Maps of the whole sound from those of the classes (B, C, n), (B, n)."""
        heard, _ = self.probabilities(scaled)
        counted = heard > self.config.probability
        counted = counted.scatter(1, heard.argmax(dim=1, keepdim=True), True)
        weights = heard * counted
        return torch.einsum("bc,bcn->bn", weights / weights.sum(dim=1, keepdim=True), each)


def _class_loss(logits: Tensor, target: Tensor) -> Tensor:
    logits, target = gather_rows(logits), gather_rows(target)
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
