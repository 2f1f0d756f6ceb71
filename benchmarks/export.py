"""Speed of exported graphs beside our own encoder and head, in one run.

    python benchmarks/export.py mini everyday audioclip [--formats onnx torch] [--rounds 10]

One clip of 5 s, with two labels. Figures are milliseconds of CPU time, the least of some rounds in
which ours and the graphs take turns; in brackets the speed with ours as 1. `audioclip` has random
weights in full size and a head without training: the time does not depend on them. The maps of the
graphs have to agree with ours to 1e-4, which `tvsl export` itself judges.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from localize import load
from tvsl import export
from tvsl.localizer import Localizer
from tvsl.methods.tvsl.detection import largest_eigenvalue
from tvsl.tokens import Tokens, Vocabulary

PARTS = ("image", "sound", "head")


def least(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least CPU seconds of each candidate, the first round left out; they take turns."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, run in candidates.items():
            start = time.process_time()
            run()
            if number:
                taken[name].append(time.process_time() - start)
    return {name: min(found) for name, found in taken.items()}


def measure(
    localizer: Localizer, formats: Sequence[str], rounds: int
) -> dict[str, dict[str, float]]:
    """Seconds of ours and of each format, for each part."""
    encoder, head = localizer.encoder, export.HeadGraph(localizer.method)
    labels = encoder.classes[:2] or ("dog barking", "train")
    with TemporaryDirectory() as work:
        records = {
            kind: export.export_model(localizer, Path(work) / kind, labels, kind)  # type: ignore[arg-type]
            for kind in formats
        }
        content = json.loads(next(iter(records.values())).read_text(encoding="utf-8"))
        side = content["preprocessing"]["frames"]["shorter_side"]
        frames = torch.rand(1, 3, side, side) * 2 - 1
        waves = torch.rand(1, 5 * content["preprocessing"]["waveforms"]["sample_rate"]) - 0.5
        classes = content["classes"]
        vectors = np.load(next(iter(records.values())).parent / classes["file"])
        vocabulary = Vocabulary(tuple(classes["names"]), torch.from_numpy(vectors))
        given = head_inputs(encoder.encode(frames, waves), vocabulary, classes["asked"])
        ours: dict[str, tuple[Callable[..., object], tuple[Tensor, ...]]] = {
            "image": (encoder.encode_frames, (frames,)),
            "sound": (encoder.encode_sounds, (waves,)),
            "head": (head, given),
        }
        found = {}
        for part, (own, inputs) in ours.items():
            candidates: dict[str, Callable[[], object]] = {"tvsl": partial(own, *inputs)}
            for kind, record in records.items():
                graph = next(
                    one
                    for one in json.loads(record.read_text(encoding="utf-8"))["graphs"]
                    if one["name"] == part
                )
                names = [value["name"] for value in graph["inputs"]]
                run = export.RUNNERS[kind](record.parent / graph["file"], names)  # type: ignore[index]
                candidates[kind] = partial(run, *inputs)
            found[part] = least(candidates, rounds)
        return found


def head_inputs(tokens: Tokens, vocabulary: Vocabulary, asked: Sequence[int]) -> tuple[Tensor, ...]:
    """Inputs of the head's graph."""
    return (
        tokens.visual.unflatten(1, tokens.grid),
        tokens.image,
        tokens.audio,
        tokens.sound,
        vocabulary.embeddings,
        torch.tensor(largest_eigenvalue(vocabulary.embeddings)),
        torch.tensor([list(asked)]),
    )


@torch.no_grad()
def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["mini"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--formats", nargs="+", default=["onnx", "torch"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    table = Table(
        title=f"CPU ms of one clip of 5 s, {arguments.threads} threads (speed, ours as 1)"
    )
    for column in ("model", "graph", "tvsl", *arguments.formats):
        table.add_column(column, justify="left" if column in ("model", "graph") else "right")
    for model in arguments.models:
        for part, seconds in measure(load(model), arguments.formats, arguments.rounds).items():
            own = seconds.pop("tvsl")
            cells = [f"{1000 * one:.2f} ({own / one:.2f})" for one in seconds.values()]
            table.add_row(model, part, f"{1000 * own:.2f}", *cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
