"""Movement of boxes on a still picture with sound: ``python benchmarks/still_boxes.py VIDEO``.

Prints the standard deviation of each corner over the moments, before and after maps are averaged.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tvsl import Localizer
from tvsl.localization import Localization
from tvsl.media import load_audio, read_frame
from tvsl.media.writing import to_int16, write_still_video
from tvsl.segments import steady

RATE = 44_100


def main() -> None:
    """Make the still video, localize it, and print a line for each label."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--labels", default="woman speaking,train passing by")
    parser.add_argument("--at", type=float, default=7.0, help="the picture, seconds")
    arguments = parser.parse_args()
    labels = arguments.labels.split(",")
    picture = read_frame(arguments.video, arguments.at).image
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    sound = load_audio(arguments.video, RATE)
    with TemporaryDirectory() as folder:
        still = Path(folder) / "still.mp4"
        write_still_video(still, picture[:height, :width], to_int16(sound.samples), RATE)
        moments = list(Localizer.from_pretrained().localize_video(still, labels=labels))
    for name, found in (("before", moments), ("after", list(steady(moments)))):
        for label in labels:
            print(f"{name:6} {label}: {corner_deviations(found, label).round(1).tolist()}")


def corner_deviations(moments: Sequence[Localization], label: str) -> NDArray[np.float64]:
    """Standard deviation of left, top, right and bottom of a label's boxes, in pixels.

    Args:
        moments: Moments of a video.
        label: The label.
    """
    boxes = [one.box for found in moments for one in found.sources if one.label == label]
    corners = np.array([box.to_list() for box in boxes if box is not None], dtype=np.float64)
    deviations: NDArray[np.float64] = corners.std(axis=0)
    return deviations


if __name__ == "__main__":
    main()
