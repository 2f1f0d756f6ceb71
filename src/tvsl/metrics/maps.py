"""Maps and targets before maps are scored: validated, resized, normalized, counted.

What validates returns a tensor of the right kind or raises an error. Counts and their quotients are
float64, which keeps every digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

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


def foreground(targets: Tensor) -> Tensor:
    """Pixels where a target is over 0, bool."""
    return targets if targets.dtype == torch.bool else targets > 0


def at_least(maps: Tensor, threshold: float | Tensor) -> Tensor:
    """Compare each pixel with a threshold.

    Args:
        maps: (P, H, W), floating.
        threshold: One for all, or one for each map, (P, 1, 1).

    Returns:
        (P, H, W) bool, true where the threshold is reached.
    """
    if maps.device.type != "cpu" or maps.dtype == torch.bfloat16:
        return maps >= threshold
    # NumPy compares about five times as fast as torch.
    level = threshold.detach().numpy() if isinstance(threshold, Tensor) else threshold
    return torch.from_numpy(maps.detach().numpy() >= level)


def count(masks: Tensor) -> Tensor:
    """Count the true elements of each row, (R, N) bool to (R,) float64."""
    if masks.device.type == "cpu":
        # NumPy counts bytes with vector instructions, many times as fast as torch sums them.
        counts = [np.count_nonzero(row) for row in masks.numpy()]
        return torch.tensor(counts, dtype=torch.float64)
    return masks.sum(dim=1).double()


def sort_rows(values: Tensor) -> Tensor:
    """Sort each row in ascending order, (P, N); the tensor given may be overwritten."""
    if values.device.type == "cpu" and values.dtype != torch.bfloat16:
        # NumPy sorts with vector instructions, about ten times as fast as torch.
        values.numpy().sort(axis=1)
        return values
    return values.sort(dim=1).values


def resize_maps(maps: Array, size: tuple[int, int]) -> Tensor:
    """Resize maps to the size of their targets, bilinear (design, Sec. 7).

    Args:
        maps: (P, h, w), floating.
        size: Height and width, in pixels.

    Returns:
        (P, H, W). Corners are not aligned: a cell is an area, not a point.

    Raises:
        ShapeError: Not maps, a value is not finite, or a size below one pixel.

    Examples:
        >>> resize_maps([[[0.0, 1.0]]], (1, 4)).tolist()
        [[[0.0, 0.25, 0.75, 1.0]]]
    """
    tensor = check_maps(maps)
    shape = tuple(size) if isinstance(size, tuple | list) else ()
    whole = len(shape) == 2 and all(isinstance(side, int | np.integer) for side in shape)
    require(
        whole and min(shape) > 0,
        f"No map has the size {size!r}.",
        "Give a height and width in pixels.",
    )
    height, width = (int(side) for side in shape)
    return F.interpolate(tensor[:, None], (height, width), mode="bilinear", align_corners=False)[
        :, 0
    ]


def minmax(maps: Array) -> Tensor:
    """Normalize each map to [0, 1], as every public evaluator but one does.

    Args:
        maps: (P, H, W), floating.

    Returns:
        (P, H, W) in [0, 1]. A constant map says nothing and becomes zeros.

    Raises:
        ShapeError: Not maps, or a value is not finite.

    Examples:
        >>> minmax([[[-1.0, 0.0, 3.0]]]).tolist()
        [[[0.0, 0.25, 1.0]]]
    """
    tensor = check_maps(maps, finite=False)
    low, high = tensor.amin(dim=(1, 2), keepdim=True), tensor.amax(dim=(1, 2), keepdim=True)
    require(
        bool((low.isfinite() & high.isfinite()).all()),
        "A map holds a value that is not finite.",
        "Look for an overflow where the maps are made.",
    )
    span = high - low
    return (tensor - low).div_(torch.where(span > 0, span, torch.ones_like(span)))


def normalize_maps(maps: Tensor, size: tuple[int, int], step: int = 1) -> Tensor:
    """Maps in full size and in [0, 1], as all protocols score them.

    Args:
        maps: Maps after ``Method.postprocess``, (P, h, w).
        size: Height and width in pixels.
        step: Rows and columns that are wanted, from the first on: every one, every second, ...

    Returns:
        (P, H, W) of the wanted pixels, which reach from 0 to 1. A constant map means all of the
        frame where it is positive, else nothing.
    """
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    resized = resize_maps(maps, size) if step == 1 else _resize_some(maps, size, step)
    return torch.where(low == high, (high > 0).float(), minmax(resized))


def _resize_some(maps: Tensor, size: tuple[int, int], step: int) -> Tensor:
    """Some rows and columns of ``resize_maps``; those in between are not computed."""
    down, across = (
        F.interpolate(torch.eye(cells, device=maps.device)[None], side, mode="linear")[0]
        for cells, side in zip(maps.shape[1:], size, strict=True)
    )
    return down[:, ::step].T @ maps @ across[:, ::step]
