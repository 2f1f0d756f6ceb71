"""AVGN: audio-visual grouping network (Mo & Tian, CVPR 2023).

One learned token for each class, shared by both sides, gathers what belongs to its class (see
``avgn_grouping.py``): the groups G^v and G^a, one embedding for each class.

    L = L_loc + L_tok + L_pred
    L_loc = CE(s / tau) + CE(s^T / tau),    s_ij = max_p v_ip . g^a_jy,    tau = 0.03
    L_tok = CE(linear(tokens), each its own class)
    L_pred = BCE(sigmoid(linear(G^v)), y seen) + BCE(sigmoid(linear(G^a)), y heard)

v are unit projections D -> 512 of the cells, g^a_jy is the group of a class that sounds in clip j.
Three self-attention blocks of 8 heads come before the grouping. The original: Adam at 1e-4,
batches of 128, 100 epochs.

Adapted to frozen shared tokens: the projections stand on the tokens. The public code groups one
pooled sound; here all audio tokens are grouped, so that there is something to share out. Its
picture shows the first source of a mixture alone; here it is the whole canvas, which shows all, so
that both sides have the same targets, and y in L_loc is drawn among the clip's classes. Its tokens
start at zero and g^a keeps its length, and it needs its 100 epochs to part the classes and to get
over logits in the hundreds; here tokens start apart and s is a cosine (``token_start``,
``normalise_groups``). The mean in L_pred leaves a class 1/C of it, so that few steps teach hardly
any detection; the tables of the synthetic world sum (``sum_presences``). Attention costs the square
of the number of cells: cells of a grid finer than the original's 7 x 7 are averaged before they are
grouped, though not for s and the maps.

Video labels. One map for each class that is asked for, v_p . g^a_y (the original's but for the
positive factor 1 / tau), of a single source as of several. Classes that it was not trained on
cannot be asked for.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.audioclip.config import MOST_CHANNELS
from tvsl.methods.avgn_grouping import HEADS, Grouping
from tvsl.methods.class_bound import ClassBound, ClassBoundConfig
from tvsl.methods.config import MethodConfig
from tvsl.tokens import Queries, Tokens, Vocabulary


class AVGNConfig(ClassBoundConfig):
    """Sizes of AVGN.

    Attributes:
        dimension: Size of the space that both are projected to, a multiple of 8.
        temperature: tau.
        depth: Self-attention blocks of each side.
        token_start: Standard deviation that class tokens start with.
        normalise_groups: Whether s is a cosine.
        group_grid: Most cells along each side of a panel that are grouped.
        drop_path: Rate of residual branches that these leave out in training.
        sum_presences: Whether L_pred sums over the classes; the original takes their mean.
    """

    dimension: int = Field(512, gt=0, le=MOST_CHANNELS, multiple_of=HEADS)
    temperature: float = Field(0.03, gt=0, le=1000)
    depth: int = Field(3, ge=1, le=32)
    token_start: float = Field(1.0, ge=0, le=1000)
    normalise_groups: bool = True
    group_grid: int = Field(7, gt=0, le=64)
    drop_path: float = Field(0.1, ge=0, lt=1)
    sum_presences: bool = False


class AVGN(ClassBound):
    """The AVGN head.

    Args:
        config: Its sizes, with its classes.

    Raises:
        UsageError: No class, or one twice.
    """

    name: ClassVar[str] = "avgn"
    config_type: ClassVar[type[MethodConfig]] = AVGNConfig
    config: AVGNConfig

    def __init__(self, config: AVGNConfig) -> None:
        super().__init__(config)
        size, classes = config.dimension, len(config.classes)
        self.class_tokens = nn.Parameter(config.token_start * torch.randn(classes, size))
        self.project_image = nn.Linear(config.embedding, size)
        self.project_audio = nn.Linear(config.embedding, size)
        self.group_image = Grouping(size, classes, config.depth, config.drop_path)
        self.group_audio = Grouping(size, classes, config.depth, config.drop_path)
        self.presence_image = nn.Linear(size, 1)
        self.presence_audio = nn.Linear(size, 1)
        self.classify_token = nn.Linear(size, classes)

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """L_loc, L_tok and L_pred; see the base class.

        Raises:
            ShapeError: Tokens, labels and vocabulary do not agree, or a clip has no label.
            VocabularyError: A class that the head does not know.
        """
        read = self.read(tokens, vocabulary)
        target = self.targets(tokens, labels, vocabulary)
        located = torch.multinomial(target.float(), 1)[:, 0]
        return self.grouped_losses(read, located, target, target)

    def grouped_losses(
        self, read: Tokens, located: Tensor, seen: Tensor, heard: Tensor
    ) -> dict[str, Tensor]:
        """The losses for given classes.

        Args:
            read: B clips as ``read`` gives them.
            located: The class of each clip that L_loc looks for, (B,).
            seen: Which classes are to be seen, (B, C) bool.
            heard: Which classes sound, (B, C) bool.

        Returns:
            The terms by name, scalars.
        """
        cells, image, audio = self.groups(read)
        sound = self._guides(audio)[torch.arange(read.batch, device=located.device), located]
        best = torch.einsum("ipd,jd->ijp", cells, sound).amax(dim=2)
        logits = best / self.config.temperature
        own = torch.arange(len(logits), device=logits.device)
        named = self.classify_token(self.class_tokens)
        presence = _presence_loss(self.presence_image(image), seen)
        presence = presence + _presence_loss(self.presence_audio(audio), heard)
        return {
            "loc": F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own),
            "tok": F.cross_entropy(named, torch.arange(len(named), device=named.device)),
            "pred": presence * seen.shape[1] if self.config.sum_presences else presence,
        }

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Unit cells times the audio group of the class; see the head of the file.

        Raises:
            ShapeError: Tokens, queries and vocabulary do not agree.
            VocabularyError: A class that the head does not know.
        """
        read = self.read(tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        rows = self.queried(queries, vocabulary)
        cells, sound = self.features(read)
        guides = self._guides(self.group_audio(sound, self.class_tokens))
        each = torch.einsum("bnd,bcd->bcn", cells, guides)
        return each[queries.clip, rows].reshape(-1, *tokens.grid)

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        """Probability that a class sounds times probability that it is seen, (B, N).

        Raises:
            ShapeError: Tokens and vocabulary do not agree.
            VocabularyError: A class that the head does not know.
        """
        seen, heard = self.presences(self.read(tokens, vocabulary))
        return self.by_vocabulary(seen * heard, vocabulary)

    def presences(self, read: Tokens) -> tuple[Tensor, Tensor]:
        """How likely each class is seen and sounds, both (B, C)."""
        _, image, audio = self.groups(read)
        seen = self.presence_image(image)[..., 0].sigmoid()
        return seen, self.presence_audio(audio)[..., 0].sigmoid()

    def groups(self, read: Tokens) -> tuple[Tensor, Tensor, Tensor]:
        """Unit cells (B, n, d), and the groups of picture and sound, (B, C, d)."""
        cells, sound = self.features(read)
        coarse = self._coarse(cells, read)
        image = self.group_image(coarse, self.class_tokens)
        return cells, image, self.group_audio(sound, self.class_tokens)

    def _guides(self, audio: Tensor) -> Tensor:
        """Audio groups as L_loc and maps compare them with cells."""
        return F.normalize(audio, dim=-1) if self.config.normalise_groups else audio

    def _coarse(self, cells: Tensor, read: Tokens) -> Tensor:
        """Cells of a finer grid than the original's, averaged panel by panel."""
        height, width = read.grid
        most = self.config.group_grid
        size = (min(height, most), min(width // read.panels, most) * read.panels)
        if size == read.grid:
            return cells
        canvas = cells.transpose(1, 2).unflatten(2, read.grid)
        return F.adaptive_avg_pool2d(canvas, size).flatten(2).transpose(1, 2)

    def features(self, read: Tokens) -> tuple[Tensor, Tensor]:
        """Unit cells (B, n_v, d) and unit pieces of the sound (B, n_a, d)."""
        cells, sound = self.project_image(read.visual), self.project_audio(read.audio)
        return F.normalize(cells, dim=-1), F.normalize(sound, dim=-1)


def _presence_loss(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits[..., 0], target.to(logits.dtype))
