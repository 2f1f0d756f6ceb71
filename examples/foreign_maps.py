"""Score heat-maps of another program, with intervals, and compare them with ours.

`python foreign_maps.py work/`. Here the other program is a stand-in that marks what is unlike
most of the picture; put your model in its place. One file for each item of the data set, named by
its id.
"""

import sys
from pathlib import Path

import numpy as np

import tvsl


def other_program(picture: np.ndarray) -> np.ndarray:
    """A heat-map (h, w) of a picture (H, W, 3): your model stands here."""
    grey = picture.mean(axis=2)
    return np.abs(grey - np.median(grey)).astype(np.float32)


def main(output: str, count: str = "60") -> None:
    folder, options = Path(output), {"sources": 2, "count": int(count)}
    maps = folder / "maps"
    maps.mkdir(parents=True)
    data = tvsl.data.find_data("synthetic", **options)
    for item in data.items:
        canvas = np.concatenate(data.read(item, 16_000).pictures, axis=1)  # panels side by side
        np.save(maps / f"{item.id}.npy", other_program(canvas))
    theirs = tvsl.score(maps, "synthetic", data_options=options, output=folder / "theirs")
    ours = tvsl.evaluate("mini", "synthetic", data_options=options, output=folder / "ours")
    print(theirs.table, ours.table, sep="\n")
    compared = tvsl.compare(folder / "ours", folder / "theirs", methods=("tvsl (own head)", "maps"))
    for one in compared.differences:
        low, high = one.interval.low, one.interval.high
        print(f"{one.figure}: {one.value:+.2f} ({low:+.2f} to {high:+.2f}), {one.words}")


if __name__ == "__main__":
    main(*sys.argv[1:])
