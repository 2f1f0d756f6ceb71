from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.data.made_files import folders, media, picture, real_lists, rows, sound, video, write
from tvsl.data import find_data
from tvsl.data.lists import read_rows
from tvsl.data.music import box_of
from tvsl.errors import DataError
from tvsl.metrics.protocols import PAPER_THRESHOLDS

FIRST, SECOND = f"{video(1)}_000_00000", f"{video(1)}_013_00397"


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    boxes = {FIRST: [0.5, 0.25, 0.25, 0.5], SECOND: [0.0, 0.0, 0.5, 1.0]}
    entries = [{"file": n, "class": "acoustic_guitar", "bbox": box} for n, box in boxes.items()]
    write(tmp_path / "lists" / "music_solo.json", json.dumps(entries))
    rows(tmp_path / "lists" / "music_solo_test.csv", [f"{n},acoustic_guitar" for n in boxes])
    return tmp_path / "lists"


def test_it_loads_from_its_public_layout(tmp_path: Path, lists: Path) -> None:
    root = tmp_path / "root"
    for number, name in enumerate((FIRST, SECOND)):
        picture(root / "frames" / f"{name}.jpg", grey=50 + number)
    sound(root / "audio" / f"{video(1)}.wav", level=0.3)
    data = find_data("music-solo", root=root, lists=lists)
    assert [item.labels for item in data.items] == [("acoustic guitar",)] * 2
    sample = data.read(data.items[0], 8_000)
    expected = np.zeros((1, 224, 224))
    expected[0, 56:168, 112:168] = 1  # left, top, width, height
    np.testing.assert_array_equal(sample.targets, expected)
    other = data.read(data.items[1], 8_000)
    np.testing.assert_array_equal(sample.waveform, other.waveform)  # that of the whole video
    assert {item.recording for item in data.items} == {video(1)}  # which is no two of anything
    assert data.name in PAPER_THRESHOLDS


@pytest.mark.parametrize("cut", ["", "_0_1000"])
def test_the_layout_of_dsol(tmp_path: Path, lists: Path, cut: str) -> None:
    root = tmp_path / "root"
    for second, number in (("000", "00000"), ("013", "00397")):
        folder = root / "video_frames" / f"{video(1)}{cut}" / f"frame_{second}"
        picture(folder / f"{number}.jpg", grey=60)
        picture(folder / "99999.jpg", grey=0)
    sound(root / "audio" / f"{video(1)}{cut}.wav")
    data = find_data("music-solo", root=root, lists=lists)
    assert data.layout.startswith("video_frames/")  # type: ignore[attr-defined]
    for item in data.items:
        assert data.read(item, 8_000).pictures[0].mean() == 60


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("short,cello", "has no video, second and frame"),
        (f"{FIRST},theremin", "'theremin'"),
        (f"{FIRST},cello", "has no box of its class"),
        (f"{video(2)}_000_00000,cello", "has no box of its class"),
    ],
)
def test_lists_that_contradict_themselves(
    tmp_path: Path, lists: Path, line: str, problem: str
) -> None:
    path = rows(lists / "music_solo_test.csv", [line])
    with pytest.raises(DataError, match=f"Line 1 .*{problem}|Line 1 {problem}") as caught:
        _ = find_data("music-solo", root=folders(tmp_path / "root"), lists=lists).items
    assert caught.value.path == path


def test_training_clips(tmp_path: Path, lists: Path) -> None:
    names = [f"{video(5)}_00{n}_0001{n}" for n in range(3)]
    rows(lists / "music_solo_train.txt", [f"{name},tuba" for name in names], "\n")
    root = tmp_path / "root"
    media(root, names)
    sound(root / "audio" / f"{video(5)}.wav")
    clips = find_data("music-solo", root=root, lists=lists).clips(None, 0)
    assert clips.count == 3
    assert {clips.names[label] for label in clips.read([0, 1, 2], 8_000).labels} == {"tuba"}


def test_the_real_boxes_are_width_and_height(tmp_path: Path) -> None:
    lists = real_lists()
    data = find_data("music-solo", root=folders(tmp_path), lists=lists)
    assert len(data.items) == 2124
    entries = {
        one["file"]: one["bbox"] for one in json.loads((lists / "music_solo.json").read_text())
    }
    areas = []
    for item in data.items:
        x, y, width, height = entries[item.id]
        target = item.sources[0].target
        assert target == box_of((x, y, width, height))
        ((left, top, right, bottom),) = target.boxes  # type: ignore[attr-defined]
        areas.append((right - left) * (bottom - top) / (width * height))
    np.testing.assert_allclose(areas, 1, atol=1e-6)  # as corners, 78 % would be empty
    assert len({item.recording for item in data.items}) == 20
    train = {
        row.cells[1].replace("_", " ") for row in read_rows(lists / "music_solo_train.txt", {2})
    }
    assert train == set(data.names)
