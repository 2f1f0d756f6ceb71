"""Fused convolutions of oneDNN, which torch's compiler uses: bias and activation in one kernel."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from tvsl.utils.tracing import is_traced

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
