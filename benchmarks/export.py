"""Speed of exported graphs beside our own, in one run: ``python benchmarks/export.py mini``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from tvsl import Localizer, export


def seconds(run: Callable[[], object], rounds: int) -> float:
    """Least time of some rounds, the first one left out."""
    run()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="mini")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--formats", nargs="+", default=["onnx", "torch"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    localizer = Localizer.from_pretrained(given.model, device="cpu")
    labels = localizer.encoder.classes[:2] or ("dog barking", "train")
    print(f"{given.model}, {given.threads} threads, one clip of 5 s, ms (and ours as 1)")
    with TemporaryDirectory() as work:
        for kind in given.formats:
            record = export.export_model(localizer, Path(work) / kind, labels, kind)
            content = json.loads(record.read_text(encoding="utf-8"))
            stated = content["preprocessing"]
            side = stated["frames"]["shorter_side"]
            frames = torch.rand(1, 3, side, side) * 2 - 1
            waves = torch.rand(1, 5 * stated["waveforms"]["sample_rate"]) - 0.5
            encoder = localizer.encoder
            eager = {"image": encoder.encode_frames, "sound": encoder.encode_sounds}
            for name, given_input in (("image", frames), ("sound", waves)):
                graph = next(one for one in content["graphs"] if one["name"] == name)
                names = [value["name"] for value in graph["inputs"]]
                run = export.RUNNERS[kind](record.parent / graph["file"], names)
                own = seconds(lambda: eager[name](given_input), given.rounds)  # noqa: B023
                other = seconds(lambda: run(given_input), given.rounds)  # noqa: B023
                print(
                    f"{name:6} ours {1000 * own:8.1f}   {kind:5} {1000 * other:8.1f}"
                    f"   ({own / other:.2f} times as fast as ours)"
                )


if __name__ == "__main__":
    main()
