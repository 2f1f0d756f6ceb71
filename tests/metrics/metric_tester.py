"""One tester for all metrics: class = functional = reference, in batches and in processes.

The reference is written with NumPy and scikit-learn, map by map, and shares no code with tvsl.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torchmetrics import Metric

Inputs = dict[str, torch.Tensor]
Output = torch.Tensor | dict[str, torch.Tensor]
BATCHES = ([12], [4, 2, 6], [2] * 6)

SHARES: dict[str, list[list[int]]] = {
    "uneven, with repeats": [[0, 1, 4, 5, 8, 9, 10, 11], [2, 3, 6, 7, 0, 1]],
    "one idle": [list(range(12)), []],
}
"""Pairs that each process sees; frames, which are two pairs each, stay together."""


@dataclass(frozen=True)
class MetricCase:
    """A metric, two other ways to its numbers, and what it is given.

    Attributes:
        metric: Makes a new metric.
        inputs: Arguments of `update` by name, the first axis is that of the pairs (or clips).
        functional: The numbers by the functional interface of tvsl.
        reference: The numbers by NumPy and scikit-learn.
        maps: Name of the floating input that may be of any type.
    """

    metric: Callable[[], Metric]
    inputs: Inputs
    functional: Callable[[Inputs], Output]
    reference: Callable[[dict[str, np.ndarray[Any, Any]]], float | dict[str, float]]
    maps: str = "maps"


def fed(metric: Metric, inputs: Inputs, batches: Sequence[Sequence[int] | torch.Tensor]) -> Metric:
    """Update a metric with some rows of the inputs after others."""
    for rows in batches:
        metric.update(**{name: value[rows] for name, value in inputs.items()})
    return metric


def parts(sizes: Sequence[int]) -> Sequence[torch.Tensor]:
    """Rows 0, 1, ... in batches of some sizes."""
    return torch.arange(sum(sizes)).split(list(sizes))


def as_dict(output: Output | float | dict[str, float]) -> dict[str, float]:
    values = output if isinstance(output, dict) else {"": output}
    return {name: float(value) for name, value in values.items()}


class MetricTester:
    """Checks of one case; tests parametrize over the cases."""

    def class_equals_functional(self, case: MetricCase) -> None:
        """To the last bit, whatever the batches, and when pairs are seen twice."""
        expected = as_dict(case.functional(case.inputs))
        for sizes in BATCHES:
            metric = fed(case.metric(), case.inputs, parts(sizes))
            assert as_dict(metric.compute()) == expected, sizes
        metric.reset()
        fed(fed(metric, case.inputs, parts([12])), case.inputs, parts([6, 6]))
        assert as_dict(metric.compute()) == expected

    def copies_go_on_alone(self, case: MetricCase) -> None:
        """A copy, or a pickled one, in the middle of the pairs is a metric of its own."""
        first, second = parts([6, 6])
        metric = fed(case.metric(), case.inputs, [first])
        for other in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):  # noqa: S301
            fed(other, case.inputs, [second])
            assert as_dict(other.compute()) == as_dict(case.functional(case.inputs))
        half = {name: value[first] for name, value in case.inputs.items()}
        assert as_dict(metric.compute()) == as_dict(case.functional(half))

    def class_equals_reference(self, case: MetricCase) -> None:
        """Up to rounding, on the same inputs."""
        arrays = {name: value.numpy() for name, value in case.inputs.items()}
        found = as_dict(fed(case.metric(), case.inputs, parts([12])).compute())
        assert found == pytest.approx(as_dict(case.reference(arrays)), abs=1e-9)

    def dtypes_agree(self, case: MetricCase, dtype: torch.dtype) -> None:
        """Values of another type give the numbers of their float32 or float64 copies."""
        inputs = {**case.inputs, case.maps: case.inputs[case.maps].to(dtype)}
        wide = torch.promote_types(dtype, torch.float32)
        expected = case.functional({**inputs, case.maps: inputs[case.maps].to(wide)})
        found = fed(case.metric(), inputs, parts([12])).compute()
        assert as_dict(found) == as_dict(expected)

    def device_agrees(self, case: MetricCase, device: str) -> None:
        """Another device gives the CPU's numbers up to rounding."""
        inputs = {name: value.to(device) for name, value in case.inputs.items()}
        found = as_dict(fed(case.metric().to(device), inputs, parts([4, 2, 6])).compute())
        assert found == pytest.approx(as_dict(case.functional(case.inputs)), abs=1e-5)


def _one_process(rank: int, folder: str, cases: Callable[[], dict[str, MetricCase]]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {}
    for name, case in cases().items():
        for share, rows in SHARES.items():
            mine = torch.tensor(rows[rank], dtype=torch.int64)
            metric = fed(case.metric(), case.inputs, mine.split(2) if len(mine) else ())
            found[name, share] = as_dict(metric.compute()), as_dict(metric.compute())
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def in_two_processes(
    folder: Path, cases: Callable[[], dict[str, MetricCase]]
) -> list[dict[tuple[str, str], tuple[dict[str, float], dict[str, float]]]]:
    """Compute all cases in two processes that share the pairs.

    Args:
        folder: Where the processes meet.
        cases: Makes the cases, importable by name.

    Returns:
        By process, then by case and share: the numbers, and those of a second `compute`.
    """
    mp.spawn(_one_process, args=(str(folder), cases), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
