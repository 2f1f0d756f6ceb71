"""Time and memory against the size of the work: video length, clips, vocabulary, sources, items.

    python benchmarks/growth.py [--quick] [--only video,vocabulary,...] [--largest N]
    python benchmarks/growth.py --one video 7200     # one size, as JSON

Every size runs in a process of its own, which tells its CPU seconds (without those of loading, with
those of its workers) and the most memory while it works, looked at 20 times a second, without
mapped files, which the system drops at need; that of a worker, as the system tells it, if more.
It fails where the work grows by more than 1.6 times its size from one size to the next, if the
smaller one took 0.3 CPU seconds or more, and where memory grows from the smallest to the largest by
more than `MOST_MEGABYTES` allows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from tvsl.data.token_store import TokenStore
    from tvsl.training.modules import TokenBatches

QUICK = {
    "video": (20, 60),
    "vocabulary": (360, 1_080),
    "sources": (2, 8),
    "items": (25, 100),
    "maps": (1_000, 4_000),
    "prepared clips": (50, 150),
    "training clips": (4_000, 16_000),
    "batches read": (32_000, 96_000),
}
FULL = {
    "video": (10, 100, 1_000, 7_200),
    "vocabulary": (36, 360, 3_600, 10_000),
    "sources": (1, 2, 4, 8),
    "items": (100, 1_000),
    "maps": (100, 1_000, 10_000),
    "prepared clips": (100, 1_000, 10_000),
    "training clips": (1_000, 10_000, 100_000),
    "batches read": (1_000, 10_000, 100_000),
}
UNITS = {
    "video": "seconds of video",
    "vocabulary": "classes",
    "sources": "sources",
    "items": "duets evaluated",
    "maps": "maps scored",
    "prepared clips": "clips prepared",
    "training clips": "clips trained on",
    "batches read": "clips read for training",
}
MOST_MEGABYTES = {
    "video": 120,
    "vocabulary": 1_000,
    "sources": 300,
    "items": 300,
    "maps": 300,
    "prepared clips": 60,
    "training clips": 400,
    "batches read": 400,
}
"""Most by which memory may grow from the smallest to the largest size."""
SLACK = 1.6
"""Most by which the work may grow faster than its size, noise of a busy machine included."""
PART_OF = {"batches read": "training clips"}
"""Work that is shown, and judged with the whole that it is a part of."""
LEAST_SECONDS = 0.3
"""Work that takes less is not judged."""
WIDTH, CLASSES = 64, 220
"""Size of the space and number of classes of made-up training clips."""


def grow_video(size: int) -> Callable[[], object]:
    """Localize a video of so many seconds, a moment a second, all of which the command keeps."""
    from localize import write_clip
    from tvsl.localizer import Localizer

    folder = Path(tempfile.mkdtemp())
    clip = write_clip(folder / "clip.mp4", size, (80, 160))
    localizer = Localizer.from_pretrained("mini", device="cpu")
    labels = localizer.encoder.classes[:2]
    return lambda: list(localizer.localize_video(clip, labels))


def grow_vocabulary(size: int) -> Callable[[], object]:
    """Detect among so many classes, whose names are read and merged."""
    import torch

    from tvsl.localizer import Localizer
    from tvsl.vocabularies import everyday_sounds

    localizer = Localizer.from_pretrained("everyday", device="cpu")
    torch.set_num_threads(1)
    known = everyday_sounds()
    names = [f"{known[n % len(known)]} {n // len(known)}" for n in range(size)]
    picture = np.full((96, 160, 3), 128, np.uint8)
    sound = (0.1 * np.sin(np.arange(16_000)).astype(np.float32), 16_000)
    encoded = localizer.encode(picture, sound)
    return lambda: localizer.localize_encoded(encoded, vocabulary=names)


def grow_sources(size: int) -> Callable[[], object]:
    """Localize so many sources, each in a panel of its own."""
    from tvsl.localizer import Localizer

    localizer = Localizer.from_pretrained("everyday", device="cpu")
    picture = np.random.default_rng(0).integers(0, 256, (224, 224 * size, 3), dtype=np.uint8)
    sound = (0.1 * np.sin(np.arange(32_000)).astype(np.float32), 16_000)
    names = ("dog", "cat", "train", "car", "bird", "horse", "sheep", "boat")[:size]
    localizer.localize(picture, sound, labels=names, panels=size)

    def run() -> None:
        for _ in range(3):
            localizer.localize(picture, sound, labels=names, panels=size)

    return run


def grow_items(size: int) -> Callable[[], object]:
    """Evaluate `mini` on so many made-up duets, as `tvsl evaluate` does, its files included."""
    import tvsl
    from tvsl.localizer import Localizer

    localizer = Localizer.from_pretrained("mini", device="cpu")

    def run(count: int) -> object:
        options, folder = {"sources": 2, "count": count}, Path(tempfile.mkdtemp())
        return tvsl.evaluate(
            localizer, "synthetic", data_options=options, workers=1, output=folder / "results"
        )

    run(2)  # imports what an evaluation needs
    return lambda: run(size)


def grow_maps(size: int) -> Callable[[], object]:
    """Score so many maps: the same 50 again and again, but every score is kept."""
    import torch

    from tvsl.metrics import MeanIoU, SuccessRate

    maps = torch.rand(50, 7, 7)
    targets = torch.zeros(50, 224, 224, dtype=torch.bool)
    targets[:, 50:120, 60:150] = True

    def run() -> None:
        from tvsl.metrics import minmax, resize_maps

        metrics = [MeanIoU(), SuccessRate()]
        for _ in range(size // 50):
            large = minmax(resize_maps(maps, (224, 224)))
            for metric in metrics:
                metric.update(large, targets)
        for metric in metrics:
            metric.compute()

    return run


def grow_prepared_clips(size: int) -> Callable[[], object]:
    """Prepare so many clips, each one file under another name."""
    from localize import write_clip
    from tvsl.preprocess.options import make_options
    from tvsl.preprocess.run import prepare

    folder = Path(tempfile.mkdtemp())
    (folder / "videos").mkdir()
    clip = write_clip(folder / "clip.mp4", 1, (80, 160))
    for number in range(size):
        (folder / "videos" / f"clip_{number:06}.mp4").hardlink_to(clip)
    return lambda: prepare(folder / "videos", folder / "clips", make_options(), workers=1)


def write_repeated(folder: Path, size: int) -> TokenStore:
    """A store of so many clips whose tokens are those of the same 512, drawn at random."""
    import torch

    from tvsl.data.mixtures import draw_mixtures, split_clips
    from tvsl.data.token_store import (
        MANIFEST_FILE,
        SHARD_CLIPS,
        Manifest,
        MixtureTokens,
        Shard,
        StoreKey,
        TokenStore,
        shard_path,
        write_shard,
    )

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape).bfloat16()

    key = StoreKey(
        encoder="", image_tokens=None, flip_average="none", precision="", most_sources=2, clips={}
    )
    groups = split_clips(size, SHARD_CLIPS)
    visual, image = drawn(SHARD_CLIPS, 49, WIDTH), drawn(SHARD_CLIPS, WIDTH)
    for number, clips in enumerate(groups):
        rows = len(clips)
        mixtures = {}
        for sources in (1, 2):
            members = torch.from_numpy(draw_mixtures(clips % CLASSES, sources, seed=number))
            mixed = len(members)
            mixtures[sources] = MixtureTokens(members, drawn(mixed, 8, WIDTH), drawn(mixed, WIDTH))
        labels = torch.from_numpy(clips % CLASSES)
        shard = Shard(
            torch.from_numpy(clips), labels, visual[:rows], image[:rows], (7, 7), mixtures
        )
        write_shard(shard, shard_path(folder, number), key.digest())
    names = tuple(f"class {number}" for number in range(CLASSES))
    manifest = Manifest(key=key, names=names, shards=len(groups))
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(), encoding="utf-8")
    return TokenStore(folder, key)


def epoch_of(store: TokenStore) -> tuple[TokenBatches, int]:
    """The batches of an epoch on clips alone and in pairs, and how many there are."""
    from tvsl.training.config import TrainConfig
    from tvsl.training.modules import BatchPlan, TokenBatches

    config = TrainConfig(most_sources=2)
    plan = BatchPlan(store.mixtures(), config.batch, config.seed)
    return TokenBatches(store, plan, range(plan.steps_of_epoch)), plan.steps_of_epoch


def grow_batches_read(size: int) -> Callable[[], object]:
    """Read the batches of an epoch on so many clips, without training on them."""
    batches, _ = epoch_of(write_repeated(Path(tempfile.mkdtemp()), size))
    return lambda: sum(1 for _ in batches)


def grow_training_clips(size: int) -> Callable[[], object]:
    """Train T-VSL for an epoch on so many clips, alone and in pairs, from their tokens on disk."""
    import torch
    from torch.nn import functional as F
    from torch.utils.data import DataLoader

    from tvsl.methods import METHODS
    from tvsl.tokens import Vocabulary
    from tvsl.training.config import TrainConfig
    from tvsl.training.modules import fit_head

    torch.manual_seed(0)
    torch.set_num_threads(1)
    store = write_repeated(Path(tempfile.mkdtemp()), size)
    vocabulary = Vocabulary(store.names, F.normalize(torch.randn(CLASSES, WIDTH), dim=-1))
    method = METHODS["tvsl"]
    head = method.from_config(method.config_type(embedding=WIDTH), None)
    config = TrainConfig(most_sources=2)

    def run() -> None:
        batches, steps = epoch_of(store)
        fit_head(head, vocabulary, config, DataLoader(batches, batch_size=None), steps)

    return run


WORK: dict[str, Callable[[int], Callable[[], object]]] = {
    "video": grow_video,
    "vocabulary": grow_vocabulary,
    "sources": grow_sources,
    "items": grow_items,
    "maps": grow_maps,
    "prepared clips": grow_prepared_clips,
    "training clips": grow_training_clips,
    "batches read": grow_batches_read,
}


class Memory(threading.Thread):
    """The most memory of this process, in MB, while the block runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.over = 0.0, threading.Event()

    def run(self) -> None:
        """Look at it again and again."""
        while not self.over.wait(0.05):
            self.most = max(self.most, self.now())

    def now(self) -> float:
        """Memory that is not of files; the most ever where the system does not tell."""
        status = Path("/proc/self/status")
        if not status.is_file():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        words = status.read_text(encoding="utf-8").split()
        return int(words[words.index("RssAnon:") + 1]) / 1024

    def __enter__(self) -> Memory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()
        self.most = max(self.most, self.now())


def one(kind: str, size: int) -> dict[str, float]:
    """Seconds and megabytes of one size, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        run = WORK[kind](size)
        start = sum(os.times()[:4])
        with Memory() as memory:
            run()
        seconds = sum(os.times()[:4]) - start
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": seconds, "megabytes": max(memory.most, workers)}


def apart(kind: str, size: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", kind, str(size)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=14_400,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode:
        sys.exit(f"{kind} {size}: {done.stderr.strip()[-500:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", default=",".join(WORK))
    parser.add_argument("--largest", type=int, help="leave larger sizes out")
    parser.add_argument("--one", nargs=2, metavar=("WORK", "SIZE"), help="measure one size")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one[0], int(arguments.one[1]))))
        return
    table = Table(
        title="CPU seconds and largest memory against size",
        caption=f"in brackets: not judged, the smaller size takes under {LEAST_SECONDS} s",
    )
    for head in ("work", "size", "CPU s", "growth beside size", "MB"):
        table.add_column(head, justify="left" if head == "work" else "right")
    failures = []
    for kind in arguments.only.split(","):
        sizes = (QUICK if arguments.quick else FULL)[kind]
        sizes = tuple(s for s in sizes if arguments.largest is None or s <= arguments.largest)
        found = {size: apart(kind, size) for size in sizes}
        for before, size in zip((None, *sizes), sizes, strict=False):
            shown = ""
            if before is not None:
                ratio = found[size]["seconds"] / max(found[before]["seconds"], 1e-9)
                growth = ratio / (size / before)
                judged = found[before]["seconds"] >= LEAST_SECONDS
                shown = f"{growth:.2f}" if judged else f"({growth:.2f})"
                if judged and growth > SLACK and kind not in PART_OF:
                    failures.append(f"{kind}: from {before} to {size} {growth:.1f} times its size")
            table.add_row(
                UNITS[kind],
                f"{size:,}",
                f"{found[size]['seconds']:.2f}",
                shown,
                f"{found[size]['megabytes']:.0f}",
            )
        more = found[sizes[-1]]["megabytes"] - found[sizes[0]]["megabytes"]
        if more > MOST_MEGABYTES[kind]:
            failures.append(f"{kind}: {more:.0f} MB more for {sizes[-1]} than for {sizes[0]}")
        table.add_section()
    Console(width=100).print(table)
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
