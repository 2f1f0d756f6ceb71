"""Operations in another form than the plain one: for graphs, and oneDNN's fused convolutions.

Graphs that torch's exporter or compiler traces have to serve inputs of every size. What depends on
the size of one input, or on operators that other runtimes lack, is written here in a form that does
not; eager code takes it only while a graph is traced. The fused convolutions, bias and activation
in one kernel, are those that torch's compiler uses.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

_CUBIC = -0.75
"""Coefficient of torch's bicubic interpolation."""


def is_traced() -> bool:
    """Tell whether a graph is being traced: a choice by the sizes of this input would be for all.

    Where this is so, code that has a faster way for some sizes takes the one that is right for
    all of them.
    """
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def overlapping(signal: Tensor, length: int, hop: int) -> Tensor:
    """Cut the last axis into overlapping frames, as ``Tensor.unfold`` does: (..., frames, length).

    Args:
        signal: (..., S), at least one frame long.
        length: Values of a frame.
        hop: Values from frame to frame.
    """
    if not is_traced():
        return signal.unfold(-1, length, hop)
    count = (signal.shape[-1] - length) // hop + 1
    starts = hop * torch.arange(count, device=signal.device)
    return signal[..., starts[:, None] + torch.arange(length, device=signal.device)]


def halving_max(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Adaptive maximum pooling to at least half of the size, in a form for every size.

    Args:
        features: (B, C, h, w).
        size: Height and width of the result: 1, or from half of h or w to h or w.

    Returns:
        (B, C, *size), as ``adaptive_max_pool2d`` gives it.
    """
    for axis, side in zip((2, 3), size, strict=True):
        if isinstance(side, int) and side == 1:
            features = features.amax(dim=axis, keepdim=True)
            continue
        length = features.shape[axis]
        place = torch.arange(side, device=features.device)
        # Without negative numbers: ONNX divides them towards 0.
        first, last = place * length // side, ((place + 1) * length + side - 1) // side - 1
        windows = [torch.minimum(first + step, last) for step in range(3)]
        parts = [features.index_select(axis, window) for window in windows]
        features = torch.stack(parts).amax(dim=0)
    return features


def resized_table(table: Tensor, size: tuple[int, int]) -> Tensor:
    """A table of vectors in another size, bicubic, as ``interpolate`` gives it: (*size, C).

    Args:
        table: (h, w, C).
        size: New height and width.
    """
    down, across = (
        _cubic_weights(length, side, table.device)
        for length, side in zip(table.shape[:2], size, strict=True)
    )
    rows = torch.einsum("yh,hwc->ywc", down, table)
    return torch.einsum("xw,ywc->yxc", across, rows)


def _cubic_weights(length: int, side: int, device: torch.device) -> Tensor:
    """Share of each of ``length`` places in each of ``side``, by the bicubic kernel."""
    centre = (torch.arange(side, device=device) + 0.5) * (length / side) - 0.5
    first = centre.floor()
    taps = torch.arange(-1, 3, device=device)
    far = (centre[:, None] - first[:, None] - taps).abs()
    near = ((_CUBIC + 2) * far - (_CUBIC + 3)) * far * far + 1
    rest = ((_CUBIC * far - 5 * _CUBIC) * far + 8 * _CUBIC) * far - 4 * _CUBIC
    weights = torch.where(far <= 1, near, rest)
    place = (first.long()[:, None] + taps).clamp(0, length - 1)
    hits = place[..., None] == torch.arange(length, device=device)
    return (weights[..., None] * hits).sum(dim=1)


def reduced(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames in a smaller size, bilinear with antialiasing, in a form for every size.

    Args:
        frames: (B, C, H, W).
        size: Height and width of the result, H and W at most.

    Returns:
        (B, C, *size), as ``interpolate`` gives it.
    """
    if not is_traced():
        if tuple(frames.shape[2:]) == size:
            return frames
        return F.interpolate(
            frames, size=size, mode="bilinear", align_corners=False, antialias=True
        )
    down, across = (
        _triangle_weights(length, side, frames.device)
        for length, side in zip(frames.shape[2:], size, strict=True)
    )
    # Each product has the batch on its left: on the right, torch would not take one of 1.
    return ((frames @ across.T).transpose(2, 3) @ down.T).transpose(2, 3)


def _triangle_weights(length: int, side: int, device: torch.device) -> Tensor:
    """Share of each of ``length`` places in each of ``side``, by triangles as wide as the step."""
    step = length / side
    centre = (torch.arange(side, device=device) + 0.5) * step
    place = torch.arange(length, device=device) + 0.5
    weights = (1 - (place - centre[:, None]).abs() / step).clamp_min(0)
    return weights / weights.sum(dim=1, keepdim=True)


def magnitudes(frames: Tensor, size: int) -> Tensor:
    """Magnitudes of the Fourier transform of frames, which are filled up with zeros.

    Args:
        frames: (..., length).
        size: Size of the transform, the length or more.

    Returns:
        (..., size // 2 + 1).
    """
    if not is_traced():
        spectrum: Tensor = torch.fft.rfft(frames, size).abs()
        return spectrum
    # As products with sines and cosines: not every runtime has transforms.
    turns = torch.outer(
        torch.arange(frames.shape[-1], dtype=torch.float64), torch.arange(size // 2 + 1)
    )
    angles = (turns % size) * (2 * torch.pi / size)
    cosines, sines = (part.to(frames) for part in (angles.cos(), angles.sin()))
    found: Tensor = ((frames @ cosines).square() + (frames @ sines).square()).sqrt()
    return found


_FUSED_OPERATORS = {
    "_reorder_convolution_weight.default": "self padding stride dilation groups input_size",
    "_convolution_pointwise.default": (
        "X W B padding stride dilation groups attr scalars algorithm"
    ),
    "_convolution_pointwise_.binary": (
        "other X W B padding stride dilation groups "
        "binary_attr alpha unary_attr unary_scalars unary_algorithm"
    ),
}
"""Fused operators of torch, with the arguments that are passed here."""


def can_fuse(features: Tensor) -> bool:
    """Tell whether the fused convolutions support the device and type of these features.

    Not in a traced graph: these kernels are torch's own, and their packed weights are of one size.
    """
    if is_traced() or features.device.type != "cpu" or not fused_kernels_exist():
        return False
    half = features.dtype == torch.bfloat16
    return features.dtype == torch.float32 or (half and fused_bfloat16_exists())


@cache
def fused_bfloat16_exists() -> bool:
    """Tell whether this processor runs oneDNN's bfloat16 kernels; plain ones work anywhere."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and bool(supported())


@cache
def fused_kernels_exist() -> bool:
    """Tell whether oneDNN's fused convolutions exist with the arguments that are passed here.

    They are internal to torch's compiler, so another version may have others or none; plain
    convolutions are used then.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    for path, arguments in _FUSED_OPERATORS.items():
        name, overload = path.split(".")
        operator = getattr(getattr(torch.ops.mkldnn, name, None), overload, None)
        if operator is None:
            return False
        if [argument.name for argument in operator._schema.arguments] != arguments.split():
            return False
    return True
