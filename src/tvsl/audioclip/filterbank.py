"""The learned time-frequency transform: a bank of frequency B-spline wavelets.

Source: Guzhov et al., 2021 ("ESResNe(X)t-fbsp: Learning Robust Time-Frequency Transformation of
Audio"). Filter n is sqrt(fb) * sinc(fb t / m)^m * exp(-i fc t) on t in [-pi, pi], where the
spline order m, the bandwidth fb and the centre frequency fc are learned.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

_EPSILON = 1e-8


class FilterMatrices(NamedTuple):
    """The real and the imaginary part of a filter bank, each (bins, length)."""

    real: Tensor
    imaginary: Tensor


class FilterBank(nn.Module):
    """The bank's three learned numbers per filter, and the matrices they stand for.

    Args:
        bins: Number of filters.
        length: Samples over which a filter is defined.
    """

    def __init__(self, bins: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.m = nn.Parameter(torch.zeros(bins))
        self.fb = nn.Parameter(torch.ones(bins))
        self.fc = nn.Parameter(torch.arange(bins, dtype=torch.float32))
        # The public state dict has an empty bias; without it the checkpoint would not be strict.
        self.bias = nn.Parameter(torch.empty(0))

    def matrices(self, first: int, last: int, bins: int | None = None) -> FilterMatrices:
        """Build the filters' samples from ``first`` to ``last`` (exclusive).

        A frame shorter than the filters is padded with zeros on both sides: only the columns
        that meet the frame are needed.

        Args:
            first: First sample of the filters.
            last: One past the last sample.
            bins: How many filters, from the lowest; all when None.

        Returns:
            Two matrices (bins, last - first), scaled by 1 / sqrt(length).
        """
        time = torch.linspace(-1.0, 1.0, self.length, device=self.m.device, dtype=self.m.dtype)
        time = (math.pi * time + _EPSILON)[first:last]
        order, bandwidth, centre = (
            parameter[:bins, None] for parameter in (self.m, self.fb, self.fc)
        )
        angle = bandwidth * time / (order + _EPSILON)
        spline = torch.where(angle == 0, torch.ones_like(angle), torch.sin(angle) / angle)
        # A negative number to a real power is complex: its phase pi is multiplied by the order.
        phase = math.pi * order * (spline < 0)
        magnitude = (spline.square().sqrt() ** 2) ** (0.5 * order)
        spline_real, spline_imaginary = magnitude * torch.cos(phase), magnitude * torch.sin(phase)
        cosine, sine = torch.cos(centre * time), -torch.sin(centre * time)
        scale = bandwidth.sqrt()
        return FilterMatrices(
            real=scale * (spline_real * cosine - spline_imaginary * sine) / self.length**0.5,
            imaginary=scale * (spline_real * sine + spline_imaginary * cosine) / self.length**0.5,
        )
