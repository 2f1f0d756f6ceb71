"""AVGN's grouping networks: class tokens that gather what belongs to their class.

After AVGN (Mo & Tian, CVPR 2023), which takes the grouping block from GroupViT (Xu et al., CVPR
2022). Features and tokens first attend to all of each other; then every feature is shared out among
the tokens, and each token adds what it was given.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 8
WIDER = 4


def mlp(size: int, hidden: int) -> nn.Sequential:
    """Linear, GELU, linear, back to the size."""
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))


class DropPath(nn.Module):
    """Leaves a residual branch out for some of the items (Huang et al., 2016), in training alone.

    Args:
        rate: For which share of them.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) to the same; what is kept is scaled up to the same mean."""
        if not self.training or self.rate == 0:
            return branch
        shape = (len(branch), *(1 for _ in branch.shape[1:]))
        kept = torch.rand(shape, device=branch.device) >= self.rate
        return branch * kept / (1 - self.rate)


class Attention(nn.Module):
    """Scaled dot-product attention with several heads.

    Args:
        size: Channels.
        heads: How many heads.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.join = nn.Linear(size, size)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """(B, q, d) and (B, k, d) to (B, q, d)."""
        parts = (self.query(asking), self.key(asked), self.value(asked))
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
    """Tokens ask features; only the MLP's input is normalised before, and what comes out.

    Args:
        size: Channels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.attention = Attention(size, HEADS)
        self.norm_mlp, self.norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.mlp = mlp(size, WIDER * size)

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        """(B, C, d) and (B, n, d) to (B, C, d)."""
        tokens = tokens + self.attention(tokens, features)
        mixed: Tensor = self.norm(tokens + self.mlp(self.norm_mlp(tokens)))
        return mixed


class Assignment(nn.Module):
    """Every feature is shared out among the tokens; a token gets the mean of its shares.

    Args:
        size: Channels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.join = nn.Linear(size, size)

    def shares(self, tokens: Tensor, features: Tensor) -> Tensor:
        """How much of each feature each token gets, (B, C, n); they sum to 1 over the tokens."""
        fit: Tensor = self.query(tokens) @ self.key(features).transpose(1, 2)
        return (fit / math.sqrt(tokens.shape[2])).softmax(dim=1)

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        """(B, C, d) and (B, n, d) to what each token is given, (B, C, d)."""
        shares = self.shares(tokens, features)
        # The 1 keeps a token to which next to nothing belongs from taking that for all.
        weights = shares / (shares.sum(dim=2, keepdim=True) + 1)
        given: Tensor = self.join(weights @ self.value(features))
        return given


class Grouping(nn.Module):
    """From features and class tokens to one embedding for each class.

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
        """What the assignment compares.

        Args:
            features: (B, n, d).
            tokens: Class tokens, (C, d).

        Returns:
            Tokens (B, C, d) and features (B, n, d) after all attention.
        """
        count = features.shape[1]
        rows = torch.cat([features, tokens.expand(len(features), -1, -1)], dim=1)
        for block in self.blocks:
            rows = block(rows)
        features = self.norm_features(rows[:, :count])
        mixed = self.mix_tokens(self.norm_tokens(rows[:, count:]).transpose(1, 2))
        return self.ask(self.norm_mixed(mixed.transpose(1, 2)), features), features

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Features (B, n, d) and class tokens (C, d) to groups (B, C, d)."""
        asked, features = self.attended(features, tokens)
        groups = asked + self.assign(asked, features)
        finished: Tensor = groups + self.mlp(self.norm_groups(groups))
        return finished
