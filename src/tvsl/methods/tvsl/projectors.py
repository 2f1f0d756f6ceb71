"""The projectors P of the equations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

HIDDEN_FACTOR = 2


def linear_projector(size: int, identity_start: bool) -> nn.Linear:
    """A linear projector D -> D (Sec. 3.2-3.4).

    Args:
        size: D.
        identity_start: Whether it starts as the identity, so that an untrained head already
            compares what the encoder aligned.

    Returns:
        The projector.
    """
    projector = nn.Linear(size, size)
    if identity_start:
        nn.init.eye_(projector.weight)
        nn.init.zeros_(projector.bias)
    return projector


class FusionProjector(nn.Module):
    """P_f: 2D -> D, from concatenated audio and visual means to mixture features (Sec. 3.2).

    Args:
        size: D.
        layers: 1 as printed, 2 with a hidden GELU layer.
        identity_start: Whether it starts as the mean of both halves.
    """

    def __init__(self, size: int, layers: int, identity_start: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * size, size)
        self.hidden: nn.Sequential | None = None
        if layers == 2:
            wide = HIDDEN_FACTOR * size
            self.hidden = nn.Sequential(nn.Linear(2 * size, wide), nn.GELU(), nn.Linear(wide, size))
        if identity_start:
            half = torch.eye(size) / 2
            with torch.no_grad():
                self.linear.weight.copy_(torch.cat([half, half], dim=1))
                self.linear.bias.zero_()
                if self.hidden is not None:
                    # Almost, not quite zero: zero would keep gradients from the first layer.
                    for parameter in self.hidden[-1].parameters():
                        parameter.mul_(0.01)

    def forward(self, means: Tensor) -> Tensor:
        """Concatenated means (B, 2D) to mixture features (B, D)."""
        fused: Tensor = self.linear(means)
        return fused if self.hidden is None else fused + self.hidden(means)
