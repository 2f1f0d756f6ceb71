"""Speed of making clips of raw videos: ``tvsl prepare`` against a shell loop over ``ffmpeg``.

    python benchmarks/prepare.py [--clips N] [--seconds S] [--rounds N] [--workers N]

Both make a picture of the middle and a WAV file of the sound around it (44.1 kHz, mono, 5 s) of
each of the same made-up clips (H.264 and MPEG-4, 320 x 240, 25 pictures per second, AAC), with as
many processes; the starts of all processes count. Both take turns, so that a noisy neighbour slows
them alike; compare ratios, not seconds. The loop is ``xargs -P`` over two calls of ``ffmpeg`` a
clip, each of which seeks before it decodes. What both made is compared. Without the program
``ffmpeg`` only ours is timed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from rich.console import Console
from rich.table import Table

from tvsl.media import load_audio, load_image

SIZE = (320, 240)
FRAME_RATE = 25
SOUND_RATE = 44_100
WINDOW = 5.0
# Grey values; they differ in how they make RGB of YUV, and in how they write JPEG.
LARGEST_DIFFERENCE = 12
DIFFERENT_CLIPS = 24
CODECS: tuple[Literal["libx264", "mpeg4"], ...] = ("libx264", "mpeg4")
SHELL_LOOP = """
find "$1" -name '*.mp4' -print0 | xargs -0 -P "$3" -I{} sh -c '
  name=$(basename "$1" .mp4)
  ffmpeg -nostdin -v error -y -ss "$3" -i "$1" -frames:v 1 -q:v 2 "$2/frames/$name.jpg"
  ffmpeg -nostdin -v error -y -ss "$4" -t "$5" -i "$1" -vn -ac 1 -ar 44100 "$2/audio/$name.wav"
' sh {} "$2" "$4" "$5" "$6"
"""

Program = Callable[[Path, Path, int, float], None]


def write_clip(path: Path, seed: int, seconds: int) -> None:
    """A patterned ground that moves, and a tone in noise, in stereo."""
    random = np.random.default_rng(seed)
    ground = random.integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8)
    ground = ground.repeat(8, axis=0).repeat(8, axis=1)
    moments = np.arange(seconds * SOUND_RATE) / SOUND_RATE
    tone = 0.3 * np.sin(2 * np.pi * (200 + 20 * seed) * moments)
    noise = 0.05 * random.standard_normal((2, moments.size))
    codec = CODECS[seed % len(CODECS)]
    with av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=FRAME_RATE)
        sound = output.add_stream("aac", rate=SOUND_RATE)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        sound.codec_context.layout = "stereo"
        for number in range(seconds * FRAME_RATE):
            picture = av.VideoFrame.from_ndarray(np.roll(ground, 3 * number, axis=1))
            picture.pts, picture.time_base = number, Fraction(1, FRAME_RATE)
            output.mux(video.encode(picture))
        samples = (tone + noise).astype(np.float32)
        for begin in range(0, moments.size, 1024):
            block = np.ascontiguousarray(samples[:, begin : begin + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = SOUND_RATE, begin
            output.mux(sound.encode(frame))
        output.mux([*video.encode(None), *sound.encode(None)])


def with_tvsl(videos: Path, root: Path, workers: int, _: float) -> None:
    """The command line, as a user types it; it finds the middle itself."""
    options = ("--window", f"{WINDOW}", "--workers", f"{workers}")
    command = [sys.executable, "-m", "tvsl", "prepare", str(videos), "-o", str(root), *options]
    subprocess.run(command, check=True, capture_output=True)


def with_ffmpeg(videos: Path, root: Path, workers: int, at: float) -> None:
    """A shell loop for clips of one known length."""
    for name in ("frames", "audio"):
        (root / name).mkdir(parents=True)
    numbers = (f"{workers}", f"{at}", f"{at - WINDOW / 2}", f"{WINDOW}")
    subprocess.run(["sh", "-c", SHELL_LOOP, "sh", videos, root, *numbers], check=True)


def seconds_of(make: Program, videos: Path, root: Path, workers: int, at: float) -> float:
    """Time of one run into an empty folder."""
    shutil.rmtree(root, ignore_errors=True)
    start = time.perf_counter()
    make(videos, root, workers, at)
    return time.perf_counter() - start


def check(videos: Path, roots: Sequence[Path]) -> None:
    """Stop unless all made all clips, and the same of each."""
    for video in videos.iterdir():
        names = f"frames/{video.stem}.jpg", f"audio/{video.stem}.wav"
        pictures = [load_image(root / names[0]).astype(int) for root in roots]
        sounds = [load_audio(root / names[1], SOUND_RATE).samples for root in roots]
        for picture, sound in zip(pictures, sounds, strict=True):
            if np.abs(picture - pictures[0]).mean() > LARGEST_DIFFERENCE:
                raise SystemExit(f"The pictures of {video.name} differ.")
            if abs(len(sound) - WINDOW * SOUND_RATE) > 1:
                raise SystemExit(f"A sound of {video.name} has {len(sound)} samples.")


def main() -> int:
    parser = argparse.ArgumentParser(description="How fast raw videos become clips.")
    parser.add_argument("--clips", type=int, help="[24, or 12 a process where that is more]")
    parser.add_argument("--seconds", type=int, default=10, help="length of each clip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    clips = options.clips or max(DIFFERENT_CLIPS, 12 * options.workers)
    candidates: dict[str, Program] = {"tvsl prepare": with_tvsl}
    if shutil.which("ffmpeg"):
        candidates["shell loop over ffmpeg"] = with_ffmpeg
    times: dict[str, list[float]] = {name: [] for name in candidates}
    with tempfile.TemporaryDirectory() as folder:
        videos, roots = Path(folder, "videos"), [Path(folder, name) for name in candidates]
        videos.mkdir()
        for number in range(clips):
            path = videos / f"clip{number:04d}.mp4"
            if number < DIFFERENT_CLIPS:
                write_clip(path, number, options.seconds)
            else:
                shutil.copyfile(videos / f"clip{number % DIFFERENT_CLIPS:04d}.mp4", path)
        for _ in range(options.rounds):
            for root, (name, make) in zip(roots, candidates.items(), strict=True):
                took = seconds_of(make, videos, root, options.workers, options.seconds / 2)
                times[name].append(took)
        check(videos, roots)
    report(times, clips, options.seconds, options.workers)
    return 0


def report(times: dict[str, list[float]], clips: int, seconds: int, workers: int) -> None:
    title = f"{clips} clips of {seconds} s, {workers} process(es), {os.cpu_count()} cores"
    table = Table("Program", "clips per minute, median", "fastest", title=title)
    for name, took in times.items():
        rates = [60 * clips / value for value in took]
        table.add_row(name, f"{statistics.median(rates):.0f}", f"{max(rates):.0f}")
    console = Console()
    console.print(table)
    if len(times) == 1:
        console.print("The program ffmpeg is not here: nothing to compare with.")
        return
    ours, theirs = times.values()
    ratios = [slower / faster for faster, slower in zip(ours, theirs, strict=True)]
    console.print(
        f"{statistics.median(ratios):.1f} times as many clips per minute "
        f"({min(ratios):.1f} to {max(ratios):.1f} over {len(ratios)} rounds)."
    )


if __name__ == "__main__":
    sys.exit(main())
