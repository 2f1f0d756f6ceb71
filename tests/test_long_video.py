"""A long video must not need more memory than a short one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tests.small_model import write_small_checkpoint

RATE = 16_000
SIZE = (240, 320)

MEASURE = """
import resource, sys
from tvsl import Localizer
localizer = Localizer.from_pretrained(sys.argv[1])
moments = list(localizer.localize_video(sys.argv[2], labels=["dog barking", "train"], every=2))
print(len(moments), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def write_video(path: Path, seconds: int) -> Path:
    generator = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg4", rate=10)
        video.height, video.width, video.pix_fmt = *SIZE, "yuv420p"
        audio = output.add_stream("aac", rate=RATE, layout="mono")
        for second in range(seconds):
            for _ in range(10):
                pixels = generator.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
                output.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            noise = 0.1 * generator.standard_normal((1, RATE)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, second * RATE
            output.mux(audio.encode(frame))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    checkpoint = write_small_checkpoint(tmp_path)
    used = {}
    for seconds in (20, 600):
        video = write_video(tmp_path / f"{seconds}.mp4", seconds)
        command = [sys.executable, "-c", MEASURE, str(checkpoint), str(video)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        moments, used[seconds] = (int(word) for word in printed.split())
        assert moments == seconds // 2
    # All pictures of the long video would take 1.4 GB, its sound 100 MB.
    assert used[600] < used[20] + 100
