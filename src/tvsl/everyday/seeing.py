"""EfficientNet-Lite0, whose last features say what each part of a picture shows.

Tan and Le 2019; the Lite form has no squeeze and excitation and clips its activations at 6.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from tvsl.everyday.layers import Convolution, InvertedResidual

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Repetitions, kernel, stride, expansion and channels of each stage."""
FINE_STAGE = 4
FINE_WIDTH, WIDTH = 112, 1280
FINE_CELL, CELL = 16, 32
"""Pixels of a cell of the fine and of the last features."""
CLASSES = 1000


class Features(NamedTuple):
    """Features of B pictures.

    Attributes:
        fine: (B, 112, H / 16, W / 16).
        last: (B, 1280, H / 32, W / 32).
    """

    fine: Tensor
    last: Tensor


class EfficientNetLite0(nn.Module):
    """Pictures to features of two sizes, and to logits of ImageNet's classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 3, 2)
        stages: list[nn.Module] = []
        inputs = 32
        for repetitions, kernel, stride, expansion, outputs in STAGES:
            blocks = []
            for number in range(repetitions):
                step = stride if number == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, kernel, step, expansion))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = Convolution(inputs, WIDTH)

    def forward(self, frames: Tensor) -> Features:
        """Features of pictures (B, 3, H, W), (pixel - 127) / 128 of pixels in 0 to 255."""
        features, fine = self.stem(frames), None
        for number, stage in enumerate(self.stages):
            features = stage(features)
            if number == FINE_STAGE:
                fine = features
        assert fine is not None
        return Features(fine, self.head(features))
