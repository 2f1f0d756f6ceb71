"""At full size: localizations from a real video and a photo, and a video made a benchmark.

The weights are made up, in the official format: what the maps say means nothing, the way is tried.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.real_media import copy_video, video_boxes
from tests.shared_files import shared
from tvsl.media import load_audio, probe_video

pytestmark = pytest.mark.slow


def tvsl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tvsl", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_a_real_video_of_two_sources(full_checkpoint: Path, tmp_path: Path) -> None:
    video = shared("media", "open_video", "pe_train_woman.mp4")
    labels = "woman speaking,train passing by"
    done = tvsl(
        "localize", video, "--labels", labels, "--every", "3", "--model", full_checkpoint,
        "-o", tmp_path / "out", "--json", "--duplicates", "--outputs", "video,sheet,moments",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)["results"][0]
    assert content["folder"] == str(tmp_path / "out")
    assert content["label_source"] == "given"
    assert [moment["time"] for moment in content["moments"]] == [0, 3, 6, 9, 12]
    for moment in content["moments"]:
        assert [source["label"] for source in moment["sources"]] == labels.split(",")
        for source in moment["sources"]:
            left, top, right, bottom = source["box"]
            assert 0 <= left < right <= 598
            assert 0 <= top < bottom <= 336
            assert np.shape(source["map"]) == (7, 12)
    out = tmp_path / "out"
    assert json.loads((out / "localization.json").read_text())["moments"] == content["moments"]
    assert len(list((out / "moments").glob("*.png"))) == 5 * 2
    assert Image.open(out / "contact_sheet.jpg").size[1] > 500
    before, after = probe_video(video), probe_video(out / "overlay.mp4")
    assert (after.width, after.height) == (before.width, before.height)
    assert abs(after.duration - before.duration) < 0.1
    heard, original = load_audio(out / "overlay.mp4"), load_audio(video)
    count = min(len(heard.samples), len(original.samples))
    assert abs(len(heard.samples) - len(original.samples)) < 4_410
    assert np.corrcoef(heard.samples[:count], original.samples[:count])[0, 1] > 0.99


def test_a_photo_and_a_sound_with_detected_classes(full_checkpoint: Path, tmp_path: Path) -> None:
    done = tvsl(
        "localize", shared("media", "images", "coral", "pets.jpg"),
        "--audio", shared("media", "audio", "esc10", "dog_bark", "1-30226-A.ogg"),
        "--sources", "2", "--model", full_checkpoint, "-o", tmp_path / "out",
        "--duplicates", "--outputs", "sheet,moments",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out" / "localization.json").read_text())
    sources = content["moments"][0]["sources"]
    assert content["label_source"] == "detected"
    assert len(sources) == 2
    assert sources[0]["score"] >= sources[1]["score"]
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    assert (tmp_path / "out" / "contact_sheet.jpg").exists()


def test_a_video_that_is_prepared_listed_checked_and_evaluated(
    full_checkpoint: Path, tmp_path: Path
) -> None:
    copy_video(tmp_path / "videos" / "platform.mp4")
    (tmp_path / "videos" / "broken.mp4").write_text("no video")
    root, out = tmp_path / "root", tmp_path / "out"
    prepared = tvsl("prepare", tmp_path / "videos", "-o", root, "--at", "7", "--window", "5")
    assert prepared.returncode == 1
    assert "broken.mp4: The file is broken" in prepared.stderr
    assert "2 videos: 1 prepared, 1 failed" in prepared.stdout
    labels = ("woman speaking", "train passing by")
    boxes = dict(zip(labels, ([box] for box in video_boxes(7)), strict=True))
    line = {"id": "platform", "frame": "frames/platform.jpg", "audio": "audio/platform.wav"}
    (root / "manifest.jsonl").write_text(json.dumps({**line, "labels": labels, "boxes": boxes}))
    checked = tvsl("data", "check", "folder", root)
    assert checked.returncode == 0, checked.stderr
    done = tvsl(
        "evaluate", "--model", full_checkpoint, "--data", "folder", "--root", root, "-o", out,
        "--method", "tvsl", "--method", "text-only", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content == json.loads((out / "results.json").read_text())
    assert (content["found"], content["listed"]) == (1, 1)
    keys = [(row["name"], row["label_source"]) for row in content["results"][:4]]
    names = ("tvsl (untrained)", "text-only (untrained)")
    assert keys == [(name, labels) for name in names for labels in ("given", "detected")]
    for row in content["results"]:
        assert all(0 <= value <= 1 for value in row["values"].values())
    page = (out / "page.html").read_text(encoding="utf-8")
    assert "platform" in page
    assert page.count("<audio") == 1
