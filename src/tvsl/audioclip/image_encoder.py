"""The image encoder (ResNet-50) with dense tokens, and its normalisation of pictures.

Source: Radford et al., 2021 ("Learning Transferable Visual Models From Natural Language
Supervision", Sec. 2.4). Attribute names are those of the public state dict.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.audioclip.config import ImageEncoderConfig
from tvsl.encoder import ImageTokenMode
from tvsl.errors import ShapeError
from tvsl.utils.devices import normal
from tvsl.utils.kernels import is_traced, resized_table

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def normalise(images: NDArray[np.uint8]) -> Tensor:
    """Scale pictures by CLIP's mean and deviation: (B, 3, H, W), float32.

    Args:
        images: RGB, (B, H, W, 3), uint8.

    Raises:
        ShapeError: Another shape or type.
    """
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ShapeError(
            f"Pictures must be uint8 (B, H, W, 3), got {images.shape} {images.dtype}.",
            "Load them with `tvsl.media.load_image`.",
        )
    pixels = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255.0
    mean, deviation = torch.tensor(CLIP_MEAN), torch.tensor(CLIP_DEVIATION)
    return (pixels - mean[:, None, None]) / deviation[:, None, None]


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolution around a shortcut; average pooling does the striding.

    Args:
        inputs: Channels of the input.
        width: Channels of the two inner convolutions.
        stride: 1, or 2 to halve the map.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or inputs != outputs:
            # The public state dict counts the pooling as "-1", so that the convolution is "0".
            self.downsample = nn.Sequential()
            self.downsample.add_module("-1", nn.AvgPool2d(stride))
            self.downsample.add_module("0", nn.Conv2d(inputs, outputs, 1, bias=False))
            self.downsample.add_module("1", nn.BatchNorm2d(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, 4 * width, h / stride, w / stride)."""
        shortcut = features if self.downsample is None else self.downsample(features)
        inner = torch.relu_(self.bn1(self.conv1(features)))
        inner = torch.relu_(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(self.avgpool(inner)))
        return torch.relu_(inner + shortcut)


class AttentionPool(nn.Module):
    """Multi-head attention that pools a feature map, or projects it cell by cell.

    Args:
        side: Cells along one side of the training grid.
        channels: Channels of the feature map.
        heads: Attention heads.
        embedding: D, channels of the output.
    """

    def __init__(self, side: int, channels: int, heads: int, embedding: int) -> None:
        super().__init__()
        self.side = side
        self.heads = heads
        self.positional_embedding = nn.Parameter(
            normal(side * side + 1, channels, over=channels**0.5)
        )
        self.k_proj = nn.Linear(channels, channels)
        self.q_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.c_proj = nn.Linear(channels, embedding)

    def forward(self, features: Tensor) -> Tensor:
        """Pool a map (B, C, h, w) to (B, D): the mean of all cells is the query.

        One query needs no projected keys or values: its products with the keys are those of
        W_k^T q with the cells, and the weighted mean of the values is W_v times that of the cells.
        The keys' bias adds the same to all products of a query, so the softmax cancels it.
        """
        cells = self._with_mean_token(features)
        split = (self.heads, -1)
        query = self.q_proj(cells[:, 0]).unflatten(-1, split)
        keys, values = (layer.weight.unflatten(0, split) for layer in (self.k_proj, self.v_proj))
        projected = torch.einsum("bhd,hdc->bhc", query, keys) / query.shape[-1] ** 0.5
        weights = (projected @ cells.transpose(1, 2)).softmax(dim=-1)
        pooled = torch.einsum("bhc,hdc->bhd", weights @ cells, values).flatten(1)
        return cast(Tensor, self.c_proj(pooled + self.v_proj.bias))

    def tokens(self, features: Tensor, mode: ImageTokenMode) -> Tensor:
        """Dense tokens of a map: (B, h * w, D), row-major.

        Args:
            features: Map, (B, C, h, w).
            mode: ``values`` projects each cell by itself, value and output projection only,
                without position (localizes best: no mixing between cells). ``cells`` takes every
                cell as a query, with the mean token among the keys. ``released`` is the released
                T-VSL: no mean token, and the position table misread as a one-dimensional sequence.
        """
        if mode == "values":
            return self._values(features.flatten(2).transpose(1, 2))
        if mode == "cells":
            keys = self._with_mean_token(features)
            return self._attend(keys[:, 1:], keys)
        cells = features.flatten(2).transpose(1, 2)
        cells = cells + self._released_positions(cells.shape[1])
        return self._attend(cells, cells)

    def _values(self, cells: Tensor) -> Tensor:
        """Value and output projection of cells (B, n, C), (B, n, D)."""
        few = not is_traced() and cells.shape[0] * cells.shape[1] <= self.c_proj.out_features
        if few:
            return cast(Tensor, self.c_proj(self.v_proj(cells)))
        # The product of both linear maps saves work if there are more cells than output channels:
        # a third of the work for the mini model, forwards and backwards.
        weight = self.c_proj.weight @ self.v_proj.weight
        return F.linear(cells, weight, self.c_proj(self.v_proj.bias))

    def _with_mean_token(self, features: Tensor) -> Tensor:
        cells = features.flatten(2).transpose(1, 2)
        cells = torch.cat([cells.mean(dim=1, keepdim=True), cells], dim=1)
        return cells + self._positions(features.shape[2], features.shape[3])

    def _positions(self, height: int, width: int) -> Tensor:
        """Position table for another grid, interpolated in two dimensions, (1 + h * w, C)."""
        if not is_traced() and (height, width) == (self.side, self.side):
            return self.positional_embedding
        mean, cells = self.positional_embedding[:1], self.positional_embedding[1:]
        if is_traced():
            table = resized_table(cells.unflatten(0, (self.side, self.side)), (height, width))
            return torch.cat([mean, table.flatten(0, 1)])
        table = cells.T.reshape(1, -1, self.side, self.side)
        table = F.interpolate(table, size=(height, width), mode="bicubic", align_corners=False)
        return torch.cat([mean, table[0].flatten(1).T])

    def _released_positions(self, count: int) -> Tensor:
        """Position table of the released T-VSL, (n, C).

        The first cell gets the mean token's row, the rest a stretched sequence.
        """
        mean, cells = self.positional_embedding[:1], self.positional_embedding[1:]
        stretched = F.interpolate(cells.T[None], size=count - 1, mode="linear", align_corners=True)
        return torch.cat([mean, stretched[0].T])

    def _attend(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Multi-head attention from (B, q, C) to (B, k, C), projected to (B, q, D)."""

        def split(projected: Tensor) -> Tensor:
            return cast(Tensor, projected.unflatten(-1, (self.heads, -1)).transpose(1, 2))

        attended = F.scaled_dot_product_attention(
            split(self.q_proj(queries)), split(self.k_proj(keys)), split(self.v_proj(keys))
        )
        return cast(Tensor, self.c_proj(attended.transpose(1, 2).flatten(2)))


class ImageEncoder(nn.Module):
    """Picture to feature map, pooled embedding or dense tokens.

    Args:
        config: Sizes.
        embedding: D, the size of the shared space.
    """

    def __init__(self, config: ImageEncoderConfig, embedding: int) -> None:
        super().__init__()
        half = config.width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, config.width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(config.width)
        self.avgpool = nn.AvgPool2d(2)
        inputs = config.width
        stages = zip(config.blocks, config.multiples, config.strides, strict=True)
        for number, (blocks, multiple, stride) in enumerate(stages, start=1):
            width = config.width * multiple
            stage = [Bottleneck(inputs, width, stride)]
            inputs = width * Bottleneck.expansion
            stage += [Bottleneck(inputs, width, 1) for _ in range(blocks - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        side = config.resolution // config.cell
        self.attnpool = AttentionPool(side, config.channels, config.heads, embedding)

    @property
    def stages(self) -> list[nn.Sequential]:
        """The four residual stages."""
        return [cast(nn.Sequential, getattr(self, f"layer{number}")) for number in range(1, 5)]

    def features(self, images: Tensor) -> Tensor:
        """Normalised pictures (B, 3, H, W) to the last feature map (B, C, h, w)."""
        features = torch.relu_(self.bn1(self.conv1(images)))
        features = torch.relu_(self.bn2(self.conv2(features)))
        features = torch.relu_(self.bn3(self.conv3(features)))
        features = cast(Tensor, self.avgpool(features))
        for stage in self.stages:
            features = cast(Tensor, stage(features))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures (B, 3, H, W) to pooled embeddings (B, D)."""
        return cast(Tensor, self.attnpool(self.features(images)))
