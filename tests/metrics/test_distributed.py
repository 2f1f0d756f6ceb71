"""Two processes give the numbers of one, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.metrics.inputs import boxes, coarse_maps
from tvsl.metrics import (
    PROTOCOLS,
    DetectionMeanAveragePrecision,
    PermutationInvariantAveragePrecision,
    ProtocolMetric,
)

COUNT = 11
# Which pairs each process sees: shares of different sizes, with pairs that a sampler repeats to
# make them equal, and a process that sees nothing.
SHARES = {
    "uneven": [list(range(0, COUNT, 2)), list(range(1, COUNT, 2))],
    "padded": [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 0]],
    "one idle": [list(range(COUNT)), []],
}


def numbers(seen: list[int]) -> dict[str, Any]:
    """All numbers of the pairs that this process sees, together with those of the others."""
    maps, targets, generator = coarse_maps(COUNT), boxes(COUNT), torch.Generator().manual_seed(1)
    targets[3] = False
    chosen = torch.tensor(seen, dtype=torch.int64)
    found: dict[str, Any] = {}
    for name, protocol in PROTOCOLS.items():
        metric = ProtocolMetric(protocol, several_sources=True)
        for some in chosen.split(2) if seen else ():
            metric.update(maps[some], targets[some], some % 4, some // 2, some)
        found[name] = metric.compute()
        found[f"{name} again"] = metric.compute()
    metric = PermutationInvariantAveragePrecision()
    for some in chosen:
        metric.update(maps[some, None], targets[some, None], frames=some[None], ids=some[None])
    found["PIAP"] = metric.compute()
    scores = torch.randn(COUNT, 3, generator=generator)
    labels = torch.rand(COUNT, 3, generator=generator) < 0.5
    detection = DetectionMeanAveragePrecision(3)
    if seen:
        detection.update(scores[chosen], labels[chosen], chosen)
    found["detection"] = detection.compute()
    return found


def one_process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {name: numbers(shares[rank]) for name, shares in SHARES.items()}
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("processes")
    mp.spawn(one_process, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("share", SHARES)
def test_two_processes_give_the_numbers_of_one(
    share: str, results: list[dict[str, dict[str, Any]]]
) -> None:
    alone = numbers(list(range(COUNT)))
    for result in results:
        for name, value in result[share].items():
            assert value == alone[name], name
