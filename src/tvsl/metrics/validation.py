"""The door of the metrics: what is given as tensors of the right kind, or an error."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from tvsl.errors import ShapeError, UsageError

Array = Tensor | ArrayLike
"""Whatever `torch.as_tensor` takes: tensors, NumPy arrays, nested lists, numbers."""


def require(condition: bool, problem: str, remedy: str) -> None:
    """Raise a ShapeError unless a condition holds."""
    if not condition:
        raise ShapeError(problem, remedy)


def as_tensor(given: Any, name: str) -> Tensor:
    """Numbers as a dense tensor, where it is on whatever device it is.

    Args:
        given: A tensor, a NumPy array, nested lists or a number.
        name: What to call it in an error.

    Returns:
        The tensor; it shares its memory with what was given where it can.

    Raises:
        ShapeError: No numbers, complex ones, of no regular shape, or without data.
    """
    try:
        tensor = given if isinstance(given, Tensor) else _from_array(given)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ShapeError(
            f"{name} cannot be made a tensor: {type(given).__name__} ({error}).",
            "Give a tensor, a NumPy array or lists of numbers.",
        ) from error
    dense = tensor.layout is torch.strided and not (tensor.is_nested or tensor.is_quantized)
    require(
        dense and not tensor.is_meta and not tensor.is_complex(),
        f"{name} must be dense real numbers, got {tensor.dtype} on '{tensor.device}'.",
        "Give a plain tensor that holds its values.",
    )
    return tensor.detach()


def _from_array(given: Any) -> Tensor:
    if isinstance(given, list | tuple):
        given = np.asarray(given)  # 64 bits, where torch would round a list to 32
    if isinstance(given, np.ndarray):
        if given.dtype.kind == "u" and given.dtype.itemsize > 1:
            given = given.astype(np.int64)  # torch can do next to nothing with them
        # Torch wants the machine's own byte order, no negative strides, and what it may write to.
        plain = np.require(given, given.dtype.newbyteorder("="), ("C", "W"))
        return torch.from_numpy(plain)
    return torch.as_tensor(given)


def _titled(name: str) -> str:
    return name[:1].upper() + name[1:]


def _at_least_single(values: Tensor) -> Tensor:
    """Floating values of at least 32 bits: many operations know none below on CPUs."""
    return values.float() if values.element_size() < 4 else values


def maps_of(maps: Any, finite: bool = True) -> Tensor:
    """Maps, (P, H, W) floating of 32 bits or more.

    Raises:
        ShapeError: Not maps, or a value is not finite.
    """
    tensor = as_tensor(maps, "Maps")
    require(
        tensor.ndim == 3 and tensor.is_floating_point() and tensor.shape[1] * tensor.shape[2] > 0,
        f"Maps must be floating and (P, H, W), got {tuple(tensor.shape)} {tensor.dtype}.",
        "Give one map per (clip, source) pair.",
    )
    tensor = _at_least_single(tensor)
    if finite and tensor.numel():
        low, high = tensor.aminmax()
        require(
            math.isfinite(low) and math.isfinite(high),
            "A map holds a value that is not finite.",
            "Look for an overflow where the maps are made.",
        )
    return tensor


def targets_of(targets: Any, like: Tensor | None = None, name: str = "Targets") -> Tensor:
    """Targets, (P, H, W), bool or a consensus in [0, 1].

    Args:
        targets: As given.
        like: The maps that they are for, whose device they are brought to.
        name: What to call them.

    Raises:
        ShapeError: Of another shape, or outside [0, 1].
    """
    tensor = as_tensor(targets, name)
    require(
        tensor.ndim == 3 and tensor.shape[1] * tensor.shape[2] > 0,
        f"{name} must be (P, H, W), got {tuple(tensor.shape)}.",
        "Give one per (clip, source) pair.",
    )
    if tensor.dtype != torch.bool:
        tensor = _at_least_single(tensor) if tensor.is_floating_point() else tensor.float()
        _check_consensus(tensor)
    return tensor if like is None else tensor.to(like.device)


def _check_consensus(targets: Tensor) -> None:
    if targets.numel() == 0:
        return
    low, high = targets.aminmax()
    require(
        bool((low >= 0) & (high <= 1)),
        f"Targets must lie in [0, 1], got {float(low)} to {float(high)}.",
        "Take the union of overlapping boxes, or the share of annotators.",
    )


def check_pairs(maps: Tensor, targets: Tensor) -> None:
    """Check that each map has its target, both (P, H, W)."""
    require(
        maps.shape == targets.shape,
        f"Maps and targets must share one shape (P, H, W), got {tuple(maps.shape)} and "
        f"{tuple(targets.shape)}.",
        "Resize the maps to the size of the targets with `resize_maps`.",
    )


def masks_of(masks: Any, like: Tensor | None = None, name: str = "Targets") -> Tensor:
    """Yes or no for each element, bool of any shape.

    Raises:
        ShapeError: They are not bool.
    """
    tensor = as_tensor(masks, name)
    require(
        tensor.dtype == torch.bool,
        f"{name} must be bool, got {tensor.dtype}.",
        "Cut at a value first, a consensus map at `> 0`.",
    )
    return tensor if like is None else tensor.to(like.device)


def values_of(values: Any, like: Tensor | None = None, name: str = "values") -> Tensor:
    """Values, (P,) floating, at least one and none missing.

    Args:
        values: As given.
        like: Other values that there must be as many of, on the same device.
        name: What to call them.

    Raises:
        ShapeError: They are not.
    """
    tensor = as_tensor(values, _titled(name))
    if like is not None:
        check_alike(like, tensor, name)
        tensor = tensor.to(like.device)
    require(
        tensor.ndim == 1 and len(tensor) > 0,
        f"There must be a vector of at least one value, got {tuple(tensor.shape)}.",
        "Give one value per (clip, source) pair.",
    )
    tensor = _at_least_single(tensor) if tensor.is_floating_point() else tensor.double()
    require(
        not bool(tensor.isnan().any()),
        "A value is missing (NaN).",
        "Leave out the pairs whose target is empty, and count them.",
    )
    require(
        bool(tensor.isfinite().all()),
        "A value is not finite.",
        "Look for an overflow where the values are made.",
    )
    return tensor


def whole_numbers(numbers: Any, like: Tensor, name: str) -> Tensor:
    """Whole numbers that go with some values or maps, (P,) int64.

    Args:
        numbers: As given.
        like: The P values or maps, whose device they are brought to.
        name: What to call them.

    Raises:
        ShapeError: They are no whole numbers, or not as many.
    """
    tensor = as_tensor(numbers, _titled(name))
    check_alike(like, tensor, name)
    require(
        not tensor.is_floating_point(),
        f"{_titled(name)} must be whole numbers, got {tensor.dtype}.",
        "Give the number of a class, frame or pair, such as its place in a list of names.",
    )
    return tensor.to(like.device, torch.int64)


def flags_of(flags: Any, like: Tensor, name: str) -> Tensor:
    """Yes or no for each of some values or maps, (P,) bool.

    Raises:
        ShapeError: They are not bool, or not as many.
    """
    tensor = as_tensor(flags, _titled(name))
    check_alike(like, tensor, name)
    return masks_of(tensor, like, _titled(name))


def check_alike(values: Tensor, others: Tensor, name: str) -> None:
    """Check that a vector has one element for each of some values or maps."""
    require(
        others.ndim == 1 and len(values) == len(others),
        f"There must be as many {name} as values, one each, got {tuple(others.shape)} and "
        f"{tuple(values.shape)}.",
        "Give one per (clip, source) pair.",
    )


def number_of(value: Any, name: str) -> float:
    """A finite number, such as a threshold.

    Raises:
        UsageError: It is none.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UsageError(f"{name} cannot be {value!r}.", "Give a number.") from error
    if not math.isfinite(number):
        raise UsageError(f"{name} cannot be {number}.", "Give a finite number.")
    return number


def choice_of(value: Any, choices: Iterable[str], name: str) -> None:
    """Check that a name is one of some.

    Raises:
        UsageError: It is none of them.
    """
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise UsageError(f"{name} cannot be {value!r}.", f"Choose one of {', '.join(known)}.")
