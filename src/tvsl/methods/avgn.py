"""AVGN: audio-visual grouping network (Mo & Tian, CVPR 2023).

The grouping block is that of GroupViT (Xu et al., CVPR 2022). Features and tokens first attend to
all of each other; then every feature is shared out among the tokens, and each token adds its share.

One learned token for each class, shared by both sides, gathers what belongs to its class
(``Grouping``): the groups G^v and G^a, one embedding for each class.

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

Video labels. One map for each queried class, v_p . g^a_y (the original's but for the
positive factor 1 / tau), of a single source as of several. It cannot localize classes outside
of training.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.contrastive import symmetric_info_nce
from tvsl.encoder import MOST_CHANNELS
from tvsl.global_batch import draw_uniform, gather_rows, own_rows
from tvsl.methods.adapted import ClosedVocabulary, ClosedVocabularyConfig
from tvsl.methods.cosine import best_cosines
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.utils.devices import normal

HEADS = 8
WIDER = 4


def mlp(size: int, hidden: int) -> nn.Sequential:
    """Linear, GELU, linear.

    Args:
        size: Channels of input and output.
        hidden: Channels between.
    """
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))


class DropPath(nn.Module):
    """Stochastic depth: leaves a residual branch out for some of the items, in training alone.

    After Huang et al., 2016.

    Args:
        rate: Share of the items.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) to the same; what is kept is scaled up to the same mean."""
        if not self.training or self.rate == 0:
            return branch
        shape = (len(branch), *(1 for _ in branch.shape[1:]))
        kept = draw_uniform(shape, branch.device) >= self.rate
        return branch * kept / (1 - self.rate)


class Attention(nn.Module):
    """Scaled dot-product attention with several heads.

    Args:
        size: Channels.
        heads: Number of heads.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.join = nn.Linear(size, size)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Attend to the keys: (B, q, d).

        Args:
            queries: (B, q, d).
            keys: (B, k, d).
        """
        parts = (self.query(queries), self.key(keys), self.value(keys))
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value)
        joined: Tensor = self.join(mixed.transpose(1, 2).flatten(2))
        return joined


class SelfAttentionBlock(nn.Module):
    """Attention and MLP, each normalised before and added to what came in.

    Args:
        size: Channels.
        drop_path: Rate of branches that are left out in training.
    """

    def __init__(self, size: int, drop_path: float) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attention = Attention(size, HEADS)
        self.mlp = mlp(size, WIDER * size)
        self.drop = DropPath(drop_path)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, n, d) to the same."""
        normal = self.norm_attention(rows)
        rows = rows + self.drop(self.attention(normal, normal))
        mixed: Tensor = rows + self.drop(self.mlp(self.norm_mlp(rows)))
        return mixed


class CrossAttentionBlock(nn.Module):
    """Tokens attend to features; only the MLP's input is normalised before, and the output.

    Args:
        size: Channels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.attention = Attention(size, HEADS)
        self.norm_mlp, self.norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.mlp = mlp(size, WIDER * size)

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        """Attend to the features: (B, C, d).

        Args:
            tokens: (B, C, d).
            features: (B, n, d).
        """
        tokens = tokens + self.attention(tokens, features)
        mixed: Tensor = self.norm(tokens + self.mlp(self.norm_mlp(tokens)))
        return mixed


class Assignment(nn.Module):
    """Soft assignment of every feature to the tokens; a token gets the mean of its shares.

    Args:
        size: Channels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.join = nn.Linear(size, size)

    def shares(self, tokens: Tensor, features: Tensor) -> Tensor:
        """Share of each feature that each token gets: (B, C, n), with sums of 1 over the tokens.

        Args:
            tokens: (B, C, d).
            features: (B, n, d).
        """
        fit: Tensor = self.query(tokens) @ self.key(features).transpose(1, 2)
        return (fit / math.sqrt(tokens.shape[2])).softmax(dim=1)

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        """Mean assigned feature of each token, (B, C, d); see ``shares``."""
        shares = self.shares(tokens, features)
        # The 1 keeps a token to which next to nothing belongs from taking that for all.
        weights = shares / (shares.sum(dim=2, keepdim=True) + 1)
        given: Tensor = self.join(weights @ self.value(features))
        return given


class Grouping(nn.Module):
    """Grouping block: from features and class tokens to one embedding for each class.

    Args:
        size: d, channels.
        classes: C, the number of tokens.
        depth: Self-attention blocks before the grouping.
        drop_path: Rate of branches that these leave out in training.
    """

    def __init__(self, size: int, classes: int, depth: int, drop_path: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SelfAttentionBlock(size, drop_path) for _ in range(depth))
        self.norm_tokens, self.norm_features = nn.LayerNorm(size), nn.LayerNorm(size)
        self.mix_tokens = mlp(classes, size // 2)
        self.norm_mixed = nn.LayerNorm(size)
        self.ask = CrossAttentionBlock(size)
        self.assign = Assignment(size)
        self.norm_groups = nn.LayerNorm(size)
        self.mlp = mlp(size, WIDER * size)

    def attended(self, features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, C, d) and features (B, n, d) after all attention.

        Args:
            features: (B, n, d).
            tokens: Class tokens, (C, d).
        """
        count = features.shape[1]
        rows = torch.cat([features, tokens.expand(len(features), -1, -1)], dim=1)
        for block in self.blocks:
            rows = block(rows)
        features = self.norm_features(rows[:, :count])
        mixed = self.mix_tokens(self.norm_tokens(rows[:, count:]).transpose(1, 2))
        return self.ask(self.norm_mixed(mixed.transpose(1, 2)), features), features

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Groups, (B, C, d); see ``attended``."""
        attended, features = self.attended(features, tokens)
        groups = attended + self.assign(attended, features)
        finished: Tensor = groups + self.mlp(self.norm_groups(groups))
        return finished


class AVGNConfig(ClosedVocabularyConfig):
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


class AVGN(ClosedVocabulary):
    """The AVGN head.

    Args:
        config: Its sizes, with its classes.

    Raises:
        UsageError: No class, or one twice.
    """

    name: ClassVar[str] = "avgn"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[AVGNConfig]] = AVGNConfig
    config: AVGNConfig

    def __init__(self, config: AVGNConfig) -> None:
        super().__init__(config)
        size, classes = config.dimension, len(config.classes)
        self.class_tokens = nn.Parameter(normal(classes, size, times=config.token_start))
        self.project_image = nn.Linear(config.embedding, size)
        self.project_audio = nn.Linear(config.embedding, size)
        self.group_image = Grouping(size, classes, config.depth, config.drop_path)
        self.group_audio = Grouping(size, classes, config.depth, config.drop_path)
        self.presence_image = nn.Linear(size, 1)
        self.presence_audio = nn.Linear(size, 1)
        self.classify_token = nn.Linear(size, classes)

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """L_loc, L_tok and L_pred; see the base class."""
        scaled = self.prepare(tokens, vocabulary)
        target = self.targets(tokens, labels, vocabulary)
        located = own_rows(torch.multinomial(gather_rows(target).float(), 1)[:, 0])
        return self.grouped_losses(scaled, located, target, target)

    def grouped_losses(
        self, scaled: Tokens, located: Tensor, seen: Tensor, heard: Tensor
    ) -> dict[str, Tensor]:
        """Losses for given classes: scalars by name.

        Args:
            scaled: B clips as ``prepare`` gives them.
            located: The class of each clip that L_loc looks for, (B,).
            seen: Classes that are to be seen, (B, C) bool.
            heard: Classes that sound, (B, C) bool.
        """
        cells, image, audio = self.groups(scaled)
        sound = self._guides(audio)[torch.arange(scaled.batch, device=located.device), located]
        best = best_cosines(cells, sound)
        named = self.classify_token(self.class_tokens)
        presence = _presence_loss(self.presence_image(image), seen)
        presence = presence + _presence_loss(self.presence_audio(audio), heard)
        return {
            "loc": symmetric_info_nce(best / self.config.temperature, "sum"),
            "tok": F.cross_entropy(named, torch.arange(len(named), device=named.device)),
            "pred": presence * seen.shape[1] if self.config.sum_presences else presence,
        }

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Unit cells times the audio group of the class; see the base class."""
        scaled = self.prepare(tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        rows = self.queried(queries, vocabulary)
        cells, sound = self.features(scaled)
        guides = self._guides(self.group_audio(sound, self.class_tokens))
        each = torch.einsum("bnd,bcd->bcn", cells, guides)
        return each[queries.clip, rows].reshape(-1, *tokens.grid)

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        """Probabilities to sound times those to be seen, (B, N); see the base class."""
        seen, heard = self.presences(self.prepare(tokens, vocabulary))
        return self.by_vocabulary(seen * heard, vocabulary)

    def presences(self, scaled: Tokens) -> tuple[Tensor, Tensor]:
        """Probabilities that each class is seen and that it sounds, both (B, C)."""
        _, image, audio = self.groups(scaled)
        seen = self.presence_image(image)[..., 0].sigmoid()
        return seen, self.presence_audio(audio)[..., 0].sigmoid()

    def groups(self, scaled: Tokens) -> tuple[Tensor, Tensor, Tensor]:
        """Unit cells (B, n, d), and the groups of picture and sound, (B, C, d)."""
        cells, sound = self.features(scaled)
        coarse = self._coarse(cells, scaled)
        image = self.group_image(coarse, self.class_tokens)
        return cells, image, self.group_audio(sound, self.class_tokens)

    def _guides(self, audio: Tensor) -> Tensor:
        """Audio groups as L_loc and maps compare them with cells."""
        return F.normalize(audio, dim=-1) if self.config.normalise_groups else audio

    def _coarse(self, cells: Tensor, scaled: Tokens) -> Tensor:
        """Cells of a finer grid than the original's, averaged panel by panel."""
        height, width = scaled.grid
        most = self.config.group_grid
        size = (min(height, most), min(width // scaled.panels, most) * scaled.panels)
        if size == scaled.grid:
            return cells
        canvas = cells.transpose(1, 2).unflatten(2, scaled.grid)
        return F.adaptive_avg_pool2d(canvas, size).flatten(2).transpose(1, 2)

    def features(self, scaled: Tokens) -> tuple[Tensor, Tensor]:
        """Unit cells (B, n_v, d) and unit pieces of the sound (B, n_a, d)."""
        cells, sound = self.project_image(scaled.visual), self.project_audio(scaled.audio)
        return F.normalize(cells, dim=-1), F.normalize(sound, dim=-1)


def _presence_loss(logits: Tensor, target: Tensor) -> Tensor:
    logits, target = gather_rows(logits[..., 0]), gather_rows(target)
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
