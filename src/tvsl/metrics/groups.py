"""Scores of pairs brought together: by frame, by class."""

from __future__ import annotations

import torch
from torch import Tensor

from tvsl.metrics.arithmetic import exact
from tvsl.metrics.checks import Array, values_of, whole_numbers


def group_mean(values: Array, groups: Array) -> Tensor:
    """The mean of each group.

    With frames as groups and cIoUs as values it is what DSOL and CoarsetoFine decide success on:
    the mean over the sources of a frame.

    Args:
        values: (P,), such as cIoUs.
        groups: Which group each pair belongs to, such as its frame, (P,) int64.

    Returns:
        (G,), float64, one for each group that occurs, in the order of their numbers.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.
    """
    values = values_of(values)
    groups = whole_numbers(groups, values, "groups")
    kept, place = groups.unique(return_inverse=True)
    sums = exact(values).new_zeros(len(kept)).index_add_(0, place, exact(values))
    return torch.div(sums, place.bincount(minlength=len(kept)))


def group_minimum(values: Array, groups: Array) -> Tensor:
    """The worst of each group: a frame succeeds only if all of its sources do.

    With frames as groups and cIoUs as values, `success_rate` of this is IIoU and `success_auc` of
    it IAUC (`finalize_cIoU` and `finalize_IAUC` of SSLalignment).

    Args:
        values: (P,), such as cIoUs.
        groups: Which group each pair belongs to, such as its frame, (P,) int64.

    Returns:
        (G,), one for each group that occurs, in the order of their numbers.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.
    """
    values = values_of(values)
    groups = whole_numbers(groups, values, "groups")
    kept, place = groups.unique(return_inverse=True)
    start = values.new_full((len(kept),), torch.inf)
    return start.scatter_reduce(0, place, values, reduce="amin")


def class_average(values: Array, labels: Array) -> Tensor:
    """Mean within each class, then over the classes that occur: CAP out of APs (design, Sec. 7).

    Args:
        values: (P,), such as the average precision of each (clip, source) pair.
        labels: The class of each pair, (P,) int64.

    Returns:
        A scalar, float64; frequent classes weigh no more than rare ones.

    Raises:
        ShapeError: There is no value, one is missing, or the vectors differ in length.
    """
    return group_mean(values, labels).mean()
