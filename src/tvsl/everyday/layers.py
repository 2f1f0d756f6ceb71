"""Convolutions of the pretrained networks, with batch normalisation folded in."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "relu6", "none"]


class Convolution(nn.Conv2d):
    """A convolution, padded as TensorFlow pads (``SAME``), and its activation.

    Where the padding is odd, the one more pixel lies right and below: with a stride of 2 this is
    not what ``padding=kernel // 2`` does, and networks that learned one are worse with the other.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Side of the kernel.
        stride: Step.
        depthwise: Filter each channel by itself.
        activation: What follows.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        depthwise: bool = False,
        activation: Activation = "relu6",
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=inputs if depthwise else 1)
        self.activation: Activation = activation

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        down, across = (
            max((-(-length // step) - 1) * step + kernel - length, 0)
            for length, step, kernel in zip(
                features.shape[2:], self.stride, self.kernel_size, strict=True
            )
        )
        if down or across:
            features = F.pad(
                features, (across // 2, across - across // 2, down // 2, down - down // 2)
            )
        result = F.conv2d(features, self.weight, self.bias, self.stride, 0, 1, self.groups)
        if self.activation == "relu":
            return result.relu_()
        return result.clamp_(0, 6) if self.activation == "relu6" else result


class InvertedResidual(nn.Module):
    """The block of MobileNetV2: expand, filter each channel, project; added to its input.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Side of the depthwise kernel.
        stride: Step of the depthwise convolution.
        expansion: Factor of the channels in between; 1 for no expansion.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = Convolution(inputs, inner) if expansion > 1 else nn.Identity()
        self.depthwise = Convolution(inner, inner, kernel, stride, depthwise=True)
        self.project = Convolution(inner, outputs, activation="none")
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) to (B, C', H', W')."""
        result: Tensor = self.project(self.depthwise(self.expand(features)))
        return result + features if self.residual else result
