"""Speed of two processes beside one, on this machine: a training step of T-VSL, and encoding.

    python benchmarks/processes.py [--rounds N] [--batch N] [--clips N] [--model NAME]

Rounds of one process and of both alternate within seconds, so that other work on the machine slows
both alike; the other process waits while one works. Printed are the medians of the seconds and of
the ratios of neighbouring rounds. Each process works on one thread.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from tvsl.global_batch import BatchShare, share_of_batch, sharing_batch
from tvsl.loading import load_encoder
from tvsl.methods.base import MethodConfig
from tvsl.methods.tvsl import TVSL, TVSLConfig
from tvsl.tokens import Tokens, Vocabulary
from tvsl.utils.processes import Processes, processes

SIZE, CELLS, PATCHES, PANELS, CLASSES = 1024, 49, 12, 2, 221
"""AudioCLIP's tokens of two panels, and as many classes as VGGSound-Single's list has."""

Work = Callable[[BatchShare | None], None]


class Step(nn.Module):
    """The losses of a head as DDP wants them, and of the whole batch as one process has them."""

    def __init__(self, method: TVSL) -> None:
        super().__init__()
        self.method = method

    def forward(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> Tensor:
        """The sum of the losses."""
        return torch.stack(list(self.method.losses(tokens, labels, vocabulary).values())).sum()


def training(batch: int) -> Work:
    """A training step: losses, gradients, and the update."""
    torch.manual_seed(0)
    tokens = Tokens(
        torch.randn(batch, CELLS * PANELS, SIZE),
        torch.randn(batch, PATCHES, SIZE),
        torch.randn(batch, SIZE),
        torch.randn(batch, SIZE),
        (7, 7 * PANELS),
        PANELS,
    )
    labels = torch.zeros(batch, CLASSES, dtype=torch.bool)
    labels[torch.arange(batch), torch.arange(batch) % CLASSES] = True
    labels[torch.arange(batch), (torch.arange(batch) + 7) % CLASSES] = True
    words = nn.functional.normalize(torch.randn(CLASSES, SIZE), dim=1)
    vocabulary = Vocabulary(tuple(f"class {number}" for number in range(CLASSES)), words)
    step = Step(TVSL(TVSLConfig(token_projectors="trained")))
    shared = nn.parallel.DistributedDataParallel(step, find_unused_parameters=True)
    optimizer = torch.optim.Adam(step.parameters(), lr=1e-4)

    def work(share: BatchShare | None) -> None:
        rows = slice(None) if share is None else share.rows
        own = Tokens(
            tokens.visual[rows],
            tokens.audio[rows],
            tokens.image[rows],
            tokens.sound[rows],
            tokens.grid,
            tokens.panels,
        )
        optimizer.zero_grad()
        with sharing_batch(share):
            loss: Tensor = (step if share is None else shared)(own, labels[rows], vocabulary)
        torch.autograd.backward(loss)
        optimizer.step()

    return work


def encoding(model: str, clips: int) -> Work:
    """Encoding of clips: pictures and sounds to tokens."""
    encoder = load_encoder(model, MethodConfig(), "cpu")
    picture = torch.zeros(120, 160, 3, dtype=torch.uint8).random_().numpy()
    frames = torch.stack([encoder.prepare(picture, True)] * clips)
    waveforms = 0.1 * torch.randn(clips, encoder.sample_rate)

    def work(share: BatchShare | None) -> None:
        rows = slice(None) if share is None else share.rows
        encoder.encode(frames[rows], waveforms[rows])

    return work


def measure(team: Processes, work: Work, size: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each round by one process, and by both."""
    share = share_of_batch(size, team.rank, team.count)
    alone, both = list[float](), list[float]()
    for number in range(-1, rounds):  # the first is not counted
        for mine, kept, active in ((None, alone, team.leads), (share, both, True)):
            team.meet()
            start = time.perf_counter()
            if active:
                work(mine)
            team.meet()
            if number >= 0:
                kept.append(time.perf_counter() - start)
    return alone, both


def one(rank: int, port: int, options: argparse.Namespace) -> None:
    """Work of each of the two processes; the first prints."""
    for name, value in {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": 2,
        "LOCAL_WORLD_SIZE": 2,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }.items():
        os.environ[name] = str(value)
    torch.set_num_threads(1)
    with processes() as team:
        for title, work, size in (
            (
                f"training step, T-VSL, batch {options.batch}",
                training(options.batch),
                options.batch,
            ),
            (
                f"encoding, {options.model}, {options.clips} clips",
                encoding(options.model, options.clips),
                options.clips,
            ),
        ):
            alone, both = measure(team, work, size, options.rounds)
            if team.leads:
                ratio = statistics.median(a / b for a, b in zip(alone, both, strict=True))
                seconds = statistics.median(alone), statistics.median(both)
                print(f"{title}: {seconds[0]:.3f} s by one, {seconds[1]:.3f} s by two: {ratio:.2f}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--model", default="mini")
    options = parser.parse_args()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    spawn(one, args=(port, options), nprocs=2)


if __name__ == "__main__":
    main()
