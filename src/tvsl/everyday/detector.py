"""SSD with MobileNetV2: boxes of 80 kinds of things (COCO), whatever the shape of the picture.

Liu et al. 2016, Sandler et al. 2018; trained at 300 x 300 pixels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tvsl.everyday.layers import Convolution, InvertedResidual

TRAINING_SIZE = 300
CLASSES = 91
"""The background and COCO's 90 numbers, of which 80 are used."""
BLOCKS = (
    (16, 1, 1),
    (24, 2, 6),
    (24, 1, 6),
    (32, 2, 6),
    (32, 1, 6),
    (32, 1, 6),
    (64, 2, 6),
    (64, 1, 6),
    (64, 1, 6),
    (64, 1, 6),
    (96, 1, 6),
    (96, 1, 6),
    (96, 1, 6),
    (160, 2, 6),
    (160, 1, 6),
    (160, 1, 6),
    (320, 1, 6),
)
"""Channels, stride and expansion of each block."""
FIRST_HEAD_BLOCK = 13
"""The block whose expanded features are read first, at 1/16 of the picture."""
EXTRA = ((256, 512), (128, 256), (128, 256), (64, 128))
LEVELS = (576, 1280, 512, 256, 256, 128)
SMALLEST, LARGEST = 0.2, 0.95
RATIOS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
CENTRE_SCALE, SIZE_SCALE = 10.0, 5.0


class PredictedBoxes(NamedTuple):
    """All boxes of B pictures, before any are left out.

    Attributes:
        boxes: (B, anchors, 4): x1, y1, x2, y2 in pixels.
        logits: (B, anchors, 91).
    """

    boxes: Tensor
    logits: Tensor


def anchor_shapes(level: int) -> Tensor:
    """Widths and heights of the anchors of one level, as shares of the training size, (A, 2)."""
    scales = [
        SMALLEST + (LARGEST - SMALLEST) * number / (len(LEVELS) - 1)
        for number in range(len(LEVELS))
    ]
    scales.append(1.0)
    if level == 0:
        pairs = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
    else:
        pairs = [(scales[level], ratio) for ratio in RATIOS]
        pairs.append((math.sqrt(scales[level] * scales[level + 1]), 1.0))
    return torch.tensor([(s * math.sqrt(ratio), s / math.sqrt(ratio)) for s, ratio in pairs])


class SSDMobileNetV2(nn.Module):
    """Pictures to boxes with the logits of 91 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 3, 2)
        blocks: list[nn.Module] = []
        inputs = 32
        for outputs, stride, expansion in BLOCKS:
            blocks.append(InvertedResidual(inputs, outputs, 3, stride, expansion))
            inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(inputs, LEVELS[1])
        extra: list[nn.Module] = []
        inputs = LEVELS[1]
        for narrow, outputs in EXTRA:
            extra.append(
                nn.Sequential(
                    Convolution(inputs, narrow),
                    Convolution(narrow, narrow, 3, 2, depthwise=True),
                    Convolution(narrow, outputs),
                )
            )
            inputs = outputs
        self.extra = nn.ModuleList(extra)
        anchors = [len(anchor_shapes(level)) for level in range(len(LEVELS))]
        self.box_heads = nn.ModuleList(
            Convolution(width, count * 4, 3, activation="none")
            for width, count in zip(LEVELS, anchors, strict=True)
        )
        self.class_heads = nn.ModuleList(
            Convolution(width, count * CLASSES, 3, activation="none")
            for width, count in zip(LEVELS, anchors, strict=True)
        )

    def _levels(self, frames: Tensor) -> list[Tensor]:
        """Features of six sizes, each about half of the one before."""
        features, levels = self.stem(frames), []
        for number, block in enumerate(self.blocks):
            if number == FIRST_HEAD_BLOCK:
                assert isinstance(block, InvertedResidual)
                expanded = block.expand(features)
                levels.append(expanded)
                features = block.project(block.depthwise(expanded))
            else:
                features = block(features)
        levels.append(self.head(features))
        for layers in self.extra:
            levels.append(layers(levels[-1]))
        return levels

    def forward(self, frames: Tensor) -> PredictedBoxes:
        """Find boxes in pictures (B, 3, H, W) of pixels in [-1, 1]."""
        height, width = frames.shape[2:]
        boxes, logits = [], []
        for level, features in enumerate(self._levels(frames)):
            shapes = anchor_shapes(level).to(features) * TRAINING_SIZE
            rows, columns = features.shape[2:]
            encoded = self.box_heads[level](features).permute(0, 2, 3, 1).unflatten(-1, (-1, 4))
            y = (torch.arange(rows).to(features) + 0.5)[:, None, None] * (height / rows)
            x = (torch.arange(columns).to(features) + 0.5)[None, :, None] * (width / columns)
            # As the network was trained, a box is (y, x, height, width) beside its anchor's.
            centre_y = y + encoded[..., 0] / CENTRE_SCALE * shapes[:, 1]
            centre_x = x + encoded[..., 1] / CENTRE_SCALE * shapes[:, 0]
            half_height = (encoded[..., 2] / SIZE_SCALE).exp() * shapes[:, 1] / 2
            half_width = (encoded[..., 3] / SIZE_SCALE).exp() * shapes[:, 0] / 2
            corners = (
                centre_x - half_width,
                centre_y - half_height,
                centre_x + half_width,
                centre_y + half_height,
            )
            boxes.append(torch.stack(corners, dim=-1).flatten(1, 3))
            scores = self.class_heads[level](features).permute(0, 2, 3, 1)
            logits.append(scores.unflatten(-1, (-1, CLASSES)).flatten(1, 3))
        return PredictedBoxes(torch.cat(boxes, dim=1), torch.cat(logits, dim=1))
