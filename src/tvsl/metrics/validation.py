"""Validation of inputs: each function returns a tensor of the right kind or raises an error."""

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
    """Raise a ShapeError unless a condition holds.

    Args:
        condition: What must be true.
        problem: What is wrong otherwise, one sentence.
        remedy: What to do about it, one sentence.
    """
    if not condition:
        raise ShapeError(problem, remedy)


def as_tensor(given: Any, name: str) -> Tensor:
    """Convert numbers to a dense tensor, on whatever device they are.

    Args:
        given: A tensor, a NumPy array, nested lists or a number.
        name: What to call it in an error.

    Returns:
        The tensor without gradients; it shares its memory with ``given`` where it can.

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


def _capitalize(name: str) -> str:
    return name[:1].upper() + name[1:]


def _at_least_single(values: Tensor) -> Tensor:
    """Floating values of at least 32 bits: many operations know none below on CPUs."""
    return values.float() if values.element_size() < 4 else values


def check_maps(maps: Any, finite: bool = True) -> Tensor:
    """Validate maps, (P, H, W) floating.

    Args:
        maps: As given.
        finite: Whether to check the values as well.

    Returns:
        The maps, of 32 bits or more.

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


def check_targets(targets: Any, like: Tensor | None = None, name: str = "Targets") -> Tensor:
    """Validate targets, (P, H, W), bool or a consensus in [0, 1].

    Args:
        targets: As given.
        like: The maps that they are for, whose device they are brought to.
        name: What to call them in an error.

    Returns:
        The targets, bool or floating.

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
        if tensor.numel():
            low, high = tensor.aminmax()
            require(
                bool((low >= 0) & (high <= 1)),
                f"Targets must lie in [0, 1], got {float(low)} to {float(high)}.",
                "Take the union of overlapping boxes, or the share of annotators.",
            )
    return tensor if like is None else tensor.to(like.device)


def check_same_shape(maps: Tensor, targets: Tensor) -> None:
    """Check that each map has its target.

    Args:
        maps: (P, H, W).
        targets: (P, H, W).

    Raises:
        ShapeError: The shapes differ.
    """
    require(
        maps.shape == targets.shape,
        f"Maps and targets must share one shape (P, H, W), got {tuple(maps.shape)} and "
        f"{tuple(targets.shape)}.",
        "Resize the maps to the size of the targets with `resize_maps`.",
    )


def _one_each(given: Any, like: Tensor, name: str) -> Tensor:
    """Convert a vector that must have one element for each of some values or maps."""
    tensor = as_tensor(given, _capitalize(name))
    require(
        tensor.ndim == 1 and len(like) == len(tensor),
        f"There must be as many {name} as values, one each, got {tuple(tensor.shape)} and "
        f"{tuple(like.shape)}.",
        "Give one per (clip, source) pair.",
    )
    return tensor.to(like.device)


def check_bool(masks: Any, like: Tensor | None = None, name: str = "Targets") -> Tensor:
    """Validate booleans of any shape.

    Args:
        masks: As given.
        like: A tensor whose device they are brought to.
        name: What to call them in an error.

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


def check_flags(flags: Any, like: Tensor, name: str) -> Tensor:
    """Validate one boolean for each of some values or maps, (P,).

    Args:
        flags: As given.
        like: The P values or maps, whose device they are brought to.
        name: What to call them in an error.

    Raises:
        ShapeError: They are not bool, or not as many.
    """
    return check_bool(_one_each(flags, like, name), name=_capitalize(name))


def check_values(values: Any, like: Tensor | None = None, name: str = "values") -> Tensor:
    """Validate values, (P,), at least one and none missing.

    Args:
        values: As given.
        like: Other values that there must be as many of, on the same device.
        name: What to call them in an error.

    Raises:
        ShapeError: No vector, empty, or a value is missing or not finite.
    """
    tensor = as_tensor(values, _capitalize(name)) if like is None else _one_each(values, like, name)
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


def check_integers(numbers: Any, like: Tensor, name: str) -> Tensor:
    """Validate one integer for each of some values or maps, (P,).

    Args:
        numbers: As given.
        like: The P values or maps, whose device they are brought to.
        name: What to call them in an error.

    Returns:
        The integers, int64.

    Raises:
        ShapeError: They are no integers, or not as many.
    """
    tensor = _one_each(numbers, like, name)
    require(
        not tensor.is_floating_point(),
        f"{_capitalize(name)} must be whole numbers, got {tensor.dtype}.",
        "Give the number of a class, frame or pair, such as its place in a list of names.",
    )
    return tensor.long()


def check_number(value: Any, name: str) -> float:
    """Validate a finite number, such as a threshold.

    Args:
        value: As given.
        name: What to call it in an error.

    Raises:
        UsageError: It is none, or not finite.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UsageError(f"{name} cannot be {value!r}.", "Give a number.") from error
    if not math.isfinite(number):
        raise UsageError(f"{name} cannot be {number}.", "Give a finite number.")
    return number


def check_choice(value: Any, choices: Iterable[str], name: str) -> None:
    """Check that a name is one of some.

    Args:
        value: As given.
        choices: The names.
        name: What to call it in an error.

    Raises:
        UsageError: It is none of them.
    """
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise UsageError(f"{name} cannot be {value!r}.", f"Choose one of {', '.join(known)}.")
