"""Convolutions of the pretrained networks, with batch normalisation folded in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

from tvsl.utils import kernels

Activation = Literal["relu", "relu6", "none"]

_FUSED: Final[dict[Activation, tuple[str, list[float]]]] = {
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
    "none": ("none", []),
}
"""Names and limits of the activations in oneDNN."""


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
        self._packed: tuple[tuple[object, ...], Tensor] | None = None

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        self._packed = None  # laid out for the device and type that the weights had
        return cast(Self, super()._apply(fn, recurse))  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        """Without the packed weights: they can be neither pickled nor copied, only made again."""
        return {**self.__dict__, "_packed": None}

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        if kernels.is_traced():
            features, padding = self._padded_for_any_size(features), (0, 0)
        else:
            features, padding = self._padded(features)
        if self._is_frozen() and kernels.can_fuse(features):
            return self._fused(features, list(padding))
        result = F.conv2d(features, self.weight, self.bias, self.stride, padding, 1, self.groups)
        if self.activation == "relu":
            return result.relu_()
        return result.clamp_(0, 6) if self.activation == "relu6" else result

    def _padded(self, features: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Features, padded where the two sides differ, and what the convolution is to pad."""
        down, across = (
            max((-(-length // step) - 1) * step + kernel - length, 0)
            for length, step, kernel in zip(
                features.shape[2:], self.stride, self.kernel_size, strict=True
            )
        )
        if down % 2 or across % 2:
            sides = across // 2, across - across // 2, down // 2, down - down // 2
            return F.pad(features, sides), (0, 0)
        return features, (down // 2, across // 2)

    def _padded_for_any_size(self, features: Tensor) -> Tensor:
        """Features padded as ``_padded`` and the convolution do, in a form for every size."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        padded = F.pad(features, (kernel // 2,) * 4)
        if stride == 1 or kernel == 1:
            return padded
        for axis in (2, 3):  # with a stride of 2 an even length has one pixel less before it
            length = features.shape[axis]
            needed = torch.arange((length + 1) // 2 * 2 + kernel - 2, device=features.device)
            padded = padded.index_select(axis, needed + (1 - length % 2))
        return padded

    def _is_frozen(self) -> bool:
        """Tell whether the weights cannot change."""
        return not self.weight.requires_grad and self.weight.device.type == "cpu"

    def _fused(self, features: Tensor, padding: list[int]) -> Tensor:
        """Convolution and activation in one kernel; as above but for rounding, in less time."""
        operators, stride, dilation = torch.ops.mkldnn, list(self.stride), [1, 1]
        features = features.contiguous(memory_format=torch.channels_last)
        weight = self.weight
        state = features.shape[1:], weight.data_ptr(), weight.is_inference() or weight._version
        if self._packed is None or self._packed[0] != state:
            # The kernel's best layout depends on the size.
            packed = operators._reorder_convolution_weight(
                weight, padding, stride, dilation, self.groups, list(features.shape)
            )
            self._packed = state, packed
        activation, limits = _FUSED[self.activation]
        result = operators._convolution_pointwise(
            features,
            self._packed[1],
            self.bias,
            padding,
            stride,
            dilation,
            self.groups,
            activation,
            limits,
            "",
        )
        return cast(Tensor, result)


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
