"""Speed of two processes beside one, on this machine: training, preparing, evaluating, localizing.

    python benchmarks/processes.py [--rounds N] [--only NAMES] [--model NAME] [--quick]

Each process has one core and one thread. Rounds of one process and of both alternate within
seconds, so that other work on the machine slows both alike; the other process waits while one
works. Printed are the medians of the seconds and of the ratios of neighbouring rounds, as rows of
a table. Starting the processes and loading the model are not in them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import re
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from localize import LABELS, write_clip
from tvsl.cli.inputs import GivenInput
from tvsl.cli.localized_files import CheckedInput, LocalizeOptions, localize_input
from tvsl.data import DATA_SETS, make_data
from tvsl.evaluation.evaluator import Evaluator, load_models
from tvsl.evaluation.predict import evaluation_config
from tvsl.global_batch import BatchShare, share_of_batch, sharing_batch
from tvsl.loading import load_encoder
from tvsl.localization import Request
from tvsl.localizer import Localizer
from tvsl.methods.base import MethodConfig
from tvsl.methods.tvsl import TVSL, TVSLConfig
from tvsl.preprocess.finding import Video
from tvsl.preprocess.options import make_options
from tvsl.preprocess.run import prepare_all
from tvsl.tokens import Tokens, Vocabulary
from tvsl.utils.processes import ALONE, Processes, current, no_stages, processes

SIZE, CELLS, PATCHES, PANELS, CLASSES = 1024, 49, 12, 2, 221
"""AudioCLIP's tokens of two panels, and as many classes as VGGSound-Single's list has."""

Work = Callable[[BatchShare | None], None]
"""Does the rows of a share, or all of them where it is None."""


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


def written(folder: Path, count: int, seconds: int, size: tuple[int, int]) -> list[Path]:
    """Videos of one content under so many names."""
    folder.mkdir()
    first = write_clip(folder / "clip000.mp4", seconds, size)
    others = [folder / f"clip{number:03}.mp4" for number in range(1, count)]
    for path in others:
        path.hardlink_to(first)
    return [first, *others]


def preparing(folder: Path, count: int, seconds: int) -> Work:
    """Preparing of videos, with one worker beside each process; its start counts."""
    files = written(folder, count, seconds, (240, 320))
    videos = [Video(path.stem, path.name, path.stat().st_size) for path in files]
    options, numbers = make_options(), itertools.count()

    def work(share: BatchShare | None) -> None:
        rows = slice(None) if share is None else share.rows
        root = folder / f"root{next(numbers)}"
        for name in ("frames", "audio"):
            (root / name).mkdir(parents=True)
        for video, result in prepare_all(videos[rows], folder, options, root, 1):
            if not hasattr(result, "pictures"):
                raise SystemExit(f"{video.id}: {result}")

    return work


def evaluating(model: str, items: int) -> Work:
    """Evaluating of duets of the synthetic world, with given and with detected labels."""
    data = make_data(DATA_SETS.resolve("synthetic"), {"sources": 2, "count": items})
    config = evaluation_config(batch=min(8, items // 2))
    evaluator = Evaluator(load_models(model, (), ("text-only",), "cpu"), data, config, workers=1)

    def work(share: BatchShare | None) -> None:
        evaluator.run(ALONE if share is None else current(), force=True)

    return work


def localizing(model: str, folder: Path, count: int, seconds: int) -> Work:
    """Localizing of videos, to their pages and videos."""
    localizer = Localizer.from_pretrained(model, device="cpu")
    files = written(folder, count, seconds, (360, 640))
    request = Request(LABELS if model != "mini" else localizer.encoder.classes[:2], None, None)
    options = LocalizeOptions(request, None, None, None, True, {}, stages=no_stages)

    def work(share: BatchShare | None) -> None:
        for path in files if share is None else files[share.rows]:
            target = CheckedInput(GivenInput(path, path.name), "video", folder / path.stem)
            localize_input(lambda: localizer, target, options)

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


def works(
    options: argparse.Namespace, folder: Path
) -> Iterator[tuple[str, Callable[[], Work], int]]:
    """The work to measure: its title, a function that makes it, and the size that is shared."""
    model, quick = options.model, options.quick
    batch, clips, videos, items, localized = (8, 4, 2, 4, 2) if quick else (64, 32, 24, 64, 4)
    seconds = 1 if quick else 10
    made = {
        "train": (f"training step of T-VSL, batch of {batch}", lambda: training(batch), batch),
        "encode": (f"encoding {clips} clips, `{model}`", lambda: encoding(model, clips), clips),
        "prepare": (
            f"preparing {videos} videos of {seconds} s, 320 x 240",
            lambda: preparing(folder / "prepared", videos, seconds),
            videos,
        ),
        "evaluate": (
            f"evaluating {items} duets, `{model}`",
            lambda: evaluating(model, items),
            items,
        ),
        "localize": (
            f"localizing {localized} videos of {seconds} s, 640 x 360, `{model}`",
            lambda: localizing(model, folder / "localized", localized, seconds),
            localized,
        ),
    }
    for name in options.only.split(","):
        yield made[name]


def processor() -> str:
    """Name of the processor, with family and model where Linux tells them."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    if not found:
        return platform.processor() or platform.machine()
    return ", ".join(f"{name} {value}" for name, value in found.items())


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
    cores = sorted(os.sched_getaffinity(0))
    with processes() as team, tempfile.TemporaryDirectory() as folder:
        os.sched_setaffinity(0, {cores[rank % len(cores)]})  # also for what it starts
        if team.leads:
            print(f"{processor()}, {len(cores)} cores, torch {torch.__version__}\n")
            print("| | one process | two | ratio |\n|---|---:|---:|---:|")
        for title, make, size in works(options, Path(folder)):
            alone, both = measure(team, make(), size, options.rounds)
            if team.leads:
                ratio = statistics.median(a / b for a, b in zip(alone, both, strict=True))
                seconds = (f"{statistics.median(each):.2f} s" for each in (alone, both))
                print(f"| {title} | {' | '.join(seconds)} | {ratio:.2f} |", flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", default="train,encode,prepare,evaluate,localize")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--quick", action="store_true", help="little of each, one round")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # remarks on its connections
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    spawn(one, args=(port, options), nprocs=2)


if __name__ == "__main__":
    main()
