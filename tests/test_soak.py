"""Long batches: the last file costs what the first ones did, in memory and in descriptors."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.media.media_makers import chirp, make_sound, make_video

LOCALIZATIONS = 500
PREPARED = 200
MOST_GROWTH_MB = 40
MOST_DESCRIPTORS = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to measure by"),
]


class Sample(NamedTuple):
    """Resources of a process and its children while ``done`` files were finished."""

    done: int
    megabytes: float
    descriptors: int


def processes(root: int) -> list[int]:
    """A process and all that it started."""
    found = [root]
    for pid in found:  # which grows
        for children in Path(f"/proc/{pid}/task").glob("*/children"):  # each thread has its own
            found += [int(child) for child in children.read_text().split()]
    return found


def resources(root: int) -> tuple[float, int] | None:
    """Resident memory in MB and open descriptors, summed; None where a process just ended."""
    kilobytes = descriptors = 0
    try:
        for pid in processes(root):
            status = Path(f"/proc/{pid}/status").read_text()
            kilobytes += next(
                int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line
            )
            descriptors += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except (OSError, StopIteration):
        return None
    return kilobytes / 1024, descriptors


def watched(command: list[str], finished: Callable[[], int]) -> list[Sample]:
    """Run a command to its end and measure it all the time."""
    samples = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            used = resources(process.pid)
            if used is not None:
                samples.append(Sample(finished(), *used))
            time.sleep(0.05)
        assert process.stderr is not None
        complaints = process.stderr.read().decode()
    assert process.returncode == 0, complaints
    return samples


def assert_flat(samples: list[Sample], count: int) -> None:
    """The last third of the files needs no more than the second tenth of them did."""
    early = [sample for sample in samples if count * 0.1 <= sample.done <= count * 0.2]
    late = [sample for sample in samples if count * 0.67 <= sample.done < count]
    assert min(len(early), len(late)) >= 3, "measured too seldom"
    for name, most in (("megabytes", MOST_GROWTH_MB), ("descriptors", MOST_DESCRIPTORS)):
        before = np.median([getattr(sample, name) for sample in early])
        after = np.median([getattr(sample, name) for sample in late])
        assert after <= before + most, f"{name}: {before:g} at first, {after:g} at the end"


def make_clips(folder: Path) -> list[Path]:
    """Clips of several containers, shapes and lengths."""
    folder.mkdir()
    kinds = [
        ("a.mp4", (640, 360), 3.0, {}),
        ("b.mkv", (120, 64), 2.0, {}),
        ("c.mov", (48, 96), 4.0, {"sound_offset": 0.3}),
        ("d.avi", (960, 540), 2.5, {"codec": "mpeg4"}),
    ]
    return [
        make_video(
            folder / name, round(10 * seconds), 10, size, sound=chirp(seconds, 44_100), **more
        )
        for name, size, seconds, more in kinds
    ]


def links(clips: list[Path], folder: Path, count: int) -> list[Path]:
    """Many names for a few files."""
    folder.mkdir()
    made = []
    for number in range(count):
        clip = clips[number % len(clips)]
        made.append(folder / f"clip{number:04d}{clip.suffix}")
        made[-1].symlink_to(clip)
    return made


def test_memory_is_flat_over_many_localizations(tmp_path: Path) -> None:
    clips = make_clips(tmp_path / "made")
    inputs = links(clips, tmp_path / "clips", LOCALIZATIONS)
    output = tmp_path / "out"
    command = [sys.executable, "-m", "tvsl", "localize", *map(str, inputs), "--model", "mini"]
    samples = watched(
        [*command, "--every", "2", "-o", str(output)],
        lambda: len(list(output.glob("*/localization.json"))),
    )
    assert len(list(output.glob("*/localization.json"))) == LOCALIZATIONS
    assert_flat(samples, LOCALIZATIONS)


def test_memory_is_flat_over_many_pictures_in_python(tmp_path: Path) -> None:
    """The same localizer, asked 500 times, with names that change: no cache grows."""
    from tvsl import Localizer

    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 255, (120, 160, 3), dtype=np.uint8)).save(
        tmp_path / "picture.png"
    )
    make_sound(tmp_path / "sound.wav", chirp(3.0, 44_100), 44_100)
    localizer = Localizer.from_pretrained("mini")
    names = localizer.encoder.classes
    samples = []
    for number in range(LOCALIZATIONS):
        chosen = generator.permutation(names)[: 2 + number % 5].tolist()
        localizer.localize(tmp_path / "picture.png", tmp_path / "sound.wav", labels=chosen)
        used = resources(os.getpid())
        assert used is not None
        samples.append(Sample(number, *used))
    assert_flat(samples, LOCALIZATIONS)


def test_memory_is_flat_over_many_prepared_clips(tmp_path: Path) -> None:
    clips = make_clips(tmp_path / "made")
    links(clips, tmp_path / "videos", PREPARED)
    output = tmp_path / "root"
    samples = watched(
        [sys.executable, "-m", "tvsl", "prepare", str(tmp_path / "videos"), "-o", str(output)],
        lambda: len(list((output / "audio").glob("*.wav"))),
    )
    assert len(list((output / "audio").glob("*.wav"))) == PREPARED
    assert_flat(samples, PREPARED)
