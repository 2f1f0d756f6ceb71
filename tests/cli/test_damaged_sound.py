"""Messages of the commands on damaged sound: one line of tvsl, and none of FFmpeg."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import run, run_alone
from tests.media.media_makers import chirp, make_sound, make_video
from tvsl.preprocess.options import make_options
from tvsl.preprocess.worker import prepare_video

RATE = 44_100
MODEL = ("--model", "mini", "--labels", "red square")


def damage(path: Path, size: int = 300) -> Path:
    """Overwrite some bytes in the middle of a file."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + size] = b"\x5a" * size
    path.write_bytes(content)
    return path


@pytest.fixture
def bad_sound(tmp_path: Path) -> Path:
    return damage(make_sound(tmp_path / "bad.mp3", chirp(4, RATE), RATE, "libmp3lame", kind="fltp"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(path)
    return path


def warning_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if "warning" in line]


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_localize_warns_once_and_notes_it(tmp_path, picture, bad_sound, more):
    out = tmp_path / "out"
    ran = run("localize", picture, "--audio", bad_sound, "-o", out, *MODEL, *more)
    assert ran.code == 0
    (line,) = warning_lines(ran.err)
    assert line.startswith(f"tvsl: warning: {bad_sound}: The sound is damaged at ")
    if more:
        assert json.loads(ran.out)
    content = json.loads((out / "localization.json").read_text())
    assert content["warnings"] == [line.removeprefix("tvsl: warning: ")]


def test_one_sound_for_many_pictures_is_warned_of_once(tmp_path, picture, bad_sound):
    other = tmp_path / "q.png"
    other.write_bytes(picture.read_bytes())
    ran = run("localize", picture, other, "--audio", bad_sound, "-o", tmp_path / "out", *MODEL)
    assert ran.code == 0
    assert len(warning_lines(ran.err)) == 1
    for name in ("p", "q"):
        (found,) = (tmp_path / "out").rglob(f"*{name}*/localization.json")
        assert json.loads(found.read_text())["warnings"]


def test_prepare_warns_and_records(tmp_path):
    """The warning passes from the worker's process to the command and into its journal."""
    videos = tmp_path / "videos"
    videos.mkdir()
    clip = make_video(videos / "clip.mkv", 75, sound=chirp(3, RATE), options={"crf": "51"})
    content = bytearray(clip.read_bytes())
    middle = len(content) * 3 // 4
    content[middle : middle + 150] = b"\x5a" * 150
    clip.write_bytes(content)
    ran = run("prepare", videos, "-o", tmp_path / "root", "--workers", "1")
    (line,) = warning_lines(ran.err)
    assert line.startswith(f"tvsl: warning: {clip}: The sound is damaged at ")
    (entry,) = map(json.loads, (tmp_path / "root/prepared.jsonl").read_text().splitlines())
    assert line.endswith(entry["warnings"][0])


def test_nothing_of_ffmpeg_is_printed(tmp_path, picture):
    """Broken files of several codecs, in a process of its own with PyAV as it comes."""
    kinds = {
        "mp3": ("libmp3lame", "fltp"),
        "m4a": ("aac", "fltp"),
        "aac": ("aac", "fltp"),
        "ogg": ("libopus", "flt"),
        "flac": ("flac", "s16"),
        "mka": ("ac3", "fltp"),
    }
    sounds = []
    for ending, (codec, kind) in kinds.items():
        path = tmp_path / f"bad.{ending}"
        form = "matroska" if ending == "mka" else None
        make_sound(path, chirp(3, RATE), 48_000, codec, kind=kind, container_format=form)
        sounds.append(damage(path, 600))
    sounds.append(damage(make_video(tmp_path / "bad.mp4", 50, sound=chirp(2, RATE)), 900))
    script = """
import sys, warnings
warnings.simplefilter("ignore")
from tvsl.errors import TvslError
from tvsl.media import iterate_frames, load_audio, media_type_of
for path in sys.argv[1:]:
    for reader in (media_type_of, load_audio, lambda path: list(iterate_frames(path))):
        try:
            reader(path)
        except TvslError:
            pass
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, sounds)], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
    ran = run_alone("localize", picture, "--audio", sounds[0], "-o", tmp_path / "out", *MODEL)
    assert all(line.startswith("tvsl: warning: ") for line in warning_lines(ran.err))
    assert "[" not in ran.err.replace(str(tmp_path), "")


@pytest.mark.slow
def test_the_tenth_file_costs_what_the_second_did(tmp_path):
    """With no collection of garbage: neither pictures nor files are kept by ``localize``."""
    clip = make_video(tmp_path / "clip.mp4", 25, size=(640, 480), sound=chirp(1, RATE))
    clips = [tmp_path / f"{number}.mp4" for number in range(10)]
    for path in clips:
        path.write_bytes(clip.read_bytes())
    sizes, files = measured(
        lambda path: run(
            "localize", path, "-o", tmp_path / f"out-{path.stem}", "--every", "0.5", *MODEL
        ),
        clips,
    )
    assert max(sizes[1:]) - sizes[1] < 12  # MB; a file whose pictures stay costs 23
    assert len(set(files[1:])) == 1


def test_the_tenth_clip_costs_what_the_second_did(tmp_path):
    """The same of what a worker of ``prepare`` does."""
    clip = make_video(tmp_path / "clip.mp4", 50, size=(640, 480), sound=chirp(2, RATE))
    options = make_options()
    for name in ("frames", "audio"):
        (tmp_path / name).mkdir()
    sizes, files = measured(
        lambda name: prepare_video(name, clip, (name,), options, tmp_path), "abcdefghij"
    )
    assert max(sizes[1:]) - sizes[1] < 12
    assert len(set(files[1:])) == 1


def measured(step, inputs):
    """Memory in MB and the number of open files after each input, garbage uncollected."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("the system does not tell what a process holds")
    sizes, files = [], []
    gc.collect()
    gc.disable()
    try:
        for one in inputs:
            step(one)
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            sizes.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
            files.append(len(list(Path("/proc/self/fd").iterdir())))
    finally:
        gc.enable()
    return sizes, files
