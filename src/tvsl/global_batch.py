"""Training batches that several processes share.

A loss that compares the clips of a batch, and the mean of one over the batch, mean the whole
batch, however many processes there are. Each process runs its own rows through the parameters;
where the loss compares, ``gather_rows`` gives all rows to all processes, with gradients, so that
every process comes to the same loss. What is random is drawn for the whole batch, and each process
takes its rows.

The gradient of a process is that of the sum of all processes' losses by its own rows; their mean
over the processes, which DDP takes, is the gradient of the loss.

Without ``sharing_batch``, and in a process alone, the rows are the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.nn import functional as F

from tvsl.utils.processes import connected


@dataclass(frozen=True)
class BatchShare:
    """The part of a batch that falls to a process.

    Attributes:
        rank: Number of the process.
        starts: First row of each process, and the number of rows at the end.
    """

    rank: int
    starts: tuple[int, ...]

    @property
    def size(self) -> int:
        """Rows of the whole batch."""
        return self.starts[-1]

    @property
    def rows(self) -> slice:
        """Rows of this process."""
        return slice(self.starts[self.rank], self.starts[self.rank + 1])


def share_of_batch(size: int, rank: int, count: int, together: int = 1) -> BatchShare | None:
    """Share out a batch.

    Args:
        size: Rows of the batch.
        rank: Number of this process.
        count: Number of processes.
        together: Rows that must not be parted, counted from the first.

    Returns:
        The share of this process; None where there is not enough for all, or one process: then
        each of them does all of it.
    """
    groups = size // together
    if count == 1 or groups < count:
        return None
    starts = [together * (groups * number // count) for number in range(count)]
    return BatchShare(rank, (*starts, size))


_share: ContextVar[BatchShare | None] = ContextVar("share", default=None)


@contextmanager
def sharing_batch(share: BatchShare | None) -> Iterator[None]:
    """Let losses see the rows of this process as its share of a batch; None shares nothing."""
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


def own_rows(whole: Tensor) -> Tensor:
    """The rows (b, ...) of this process of what is known for the whole batch, (B, ...)."""
    share = _share.get()
    return whole if share is None else whole[share.rows]


def batch_size(rows: int) -> int:
    """Size of the whole batch."""
    share = _share.get()
    return rows if share is None else share.size


def gather_rows(rows: Tensor) -> Tensor:
    """Gather the rows of all processes, with gradients.

    Args:
        rows: What this process has, (b, ...), of any number of rows; also one for each pair.

    Returns:
        (B, ...), the same in all processes, in the order of the processes.

    Raises:
        LostProcessError: A process has ended.
    """
    share = _share.get()
    if share is None:
        return rows
    counts = torch.zeros(len(share.starts) - 1, dtype=torch.int64, device=rows.device)
    counts[share.rank] = len(rows)
    connected(distributed.all_reduce, counts)
    ends = counts.cumsum(0).tolist()
    place = slice(ends[share.rank] - len(rows), ends[share.rank])
    if rows.is_floating_point():
        gathered: Tensor = _Gather.apply(rows, place, ends[-1])  # type: ignore[no-untyped-call]
        return gathered
    return _gathered(rows.to(torch.int64), place, ends[-1]).to(rows.dtype)


class _Gather(Function):
    """Rows of all processes; backwards, the sum of what all of them say of the own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, place: slice, size: int) -> Tensor:
        ctx.place = place
        return _gathered(rows.detach(), place, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].contiguous().clone()
        connected(distributed.all_reduce, total)
        return total[ctx.place], None, None


def _gathered(rows: Tensor, place: slice, size: int) -> Tensor:
    """Rows among zeros, summed over the processes: exact, of whatever number of rows each has."""
    whole = rows.new_zeros(size, *rows.shape[1:])
    whole[place] = rows
    connected(distributed.all_reduce, whole)
    return whole


def draw_normal_like(rows: Tensor) -> Tensor:
    """Normal noise for the rows (b, ...) of this process, drawn for the whole batch."""
    if _share.get() is None:
        return torch.randn_like(rows)
    return own_rows(_whole(rows).normal_())


def draw_uniform(shape: Sequence[int], device: torch.device) -> Tensor:
    """Values between 0 and 1 for the rows of this process, drawn for the whole batch.

    Args:
        shape: (b, ...).
        device: Their device.
    """
    rows, *rest = shape
    return own_rows(torch.rand((batch_size(rows), *rest), device=device))


def _whole(rows: Tensor) -> Tensor:
    return rows.new_empty(batch_size(len(rows)), *rows.shape[1:])


class BatchDropout(nn.Dropout):
    """Dropout whose mask is drawn for the whole batch."""

    def forward(self, rows: Tensor) -> Tensor:
        """Leave out values of (b, ...), in training alone."""
        if not self.training or _share.get() is None:
            return super().forward(rows)
        kept = F.dropout(torch.ones_like(_whole(rows)), self.p, training=True)
        return rows * own_rows(kept)


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the mean and variance of the whole batch.

    Torch's own for several processes works on GPUs alone.
    """

    def forward(self, values: Tensor) -> Tensor:
        """(b, C, h, w) to the same."""
        if not self.training or _share.get() is None:
            return super().forward(values)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        count = values.numel() // values.shape[1]
        total = gather_rows(values.new_full((1,), count)).sum()
        mean = gather_rows(values.sum(dim=(0, 2, 3))[None]).sum(dim=0) / total
        apart = (values - mean[None, :, None, None]).square().sum(dim=(0, 2, 3))
        variance = gather_rows(apart[None]).sum(dim=0) / total
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (total / (total - 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return values * scale[None, :, None, None] + shift[None, :, None, None]


def with_global_batch_norm(module: nn.Module) -> None:
    """Let batch normalisations see the whole batch, in place; their state stays as it is."""
    for part in module.modules():
        if type(part) is nn.BatchNorm2d:
            part.__class__ = GlobalBatchNorm2d
