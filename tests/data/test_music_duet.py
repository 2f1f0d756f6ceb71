from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.data.made_files import folders, picture, real_lists, rows, sound, video, write
from tvsl.data import find_data
from tvsl.errors import DataError, UsageError
from tvsl.metrics.protocols import PAPER_THRESHOLDS

NAME = f"{video(3)}_175_05257"


def lists(folder: Path, second: str = "acoustic_guitar") -> Path:
    entry = {
        "file": NAME,
        "class_src1": "cello",
        "bbox_src1": [0.0, 0.0, 0.25, 1.0],
        "class_src2": second,
        "bbox_src2": [0.5, 0.5, 0.5, 0.25],
    }
    write(folder / "music_duet.json", json.dumps([entry]))
    rows(folder / "music_duet_test.csv", [NAME])
    return folder


def test_it_loads_from_its_public_layout(tmp_path: Path) -> None:
    lists(tmp_path / "metadata")
    picture(tmp_path / "frames" / f"{NAME}.jpg")
    sound(tmp_path / "audio" / f"{video(3)}.wav", level=0.3)
    data = find_data("music-duet", root=tmp_path)
    assert data.several
    (item,) = data.items
    assert item.labels == ("cello", "acoustic guitar")
    sample = data.read(item, 8_000)
    assert len(sample.pictures) == 1  # one natural picture with both of them
    np.testing.assert_allclose(sample.waveform, 0.3, atol=1e-3)  # and one sound, not added up
    expected = np.zeros((2, 224, 224))
    expected[0, :, :56] = 1
    expected[1, 112:168, 112:] = 1
    np.testing.assert_array_equal(sample.targets, expected)
    assert data.name in PAPER_THRESHOLDS


def test_an_unknown_instrument_is_named_with_its_entry(tmp_path: Path) -> None:
    folder = lists(tmp_path / "metadata", "theremin")
    with pytest.raises(DataError, match=f"entry of '{NAME}' .*'theremin'") as caught:
        _ = find_data("music-duet", root=folders(tmp_path)).items
    assert caught.value.path == folder / "music_duet.json"


def test_a_frame_without_annotation(tmp_path: Path) -> None:
    folder = lists(tmp_path / "metadata")
    rows(folder / "music_duet_test.csv", [f"{video(4)}_000_00000"])
    with pytest.raises(DataError, match="Line 1 names a frame that is not annotated"):
        _ = find_data("music-duet", root=folders(tmp_path)).items


def test_its_training_frames_have_two_sources_and_no_clips(tmp_path: Path) -> None:
    rows(tmp_path / "metadata" / "music_duet_train.txt", [f"{NAME},cello,violin"], "\n")
    data = find_data("music-duet", root=folders(tmp_path), split="train")
    assert data.items[0].labels == ("cello", "violin")
    with pytest.raises(UsageError, match="0 clips of one labelled source"):
        data.clips(None, 0)


def test_the_real_list(tmp_path: Path) -> None:
    data = find_data("music-duet", root=folders(tmp_path), lists=real_lists())
    assert len(data.items) == 1020
    pairs = Counter(item.labels for item in data.items)
    assert pairs["cello", "acoustic guitar"] == 1012
    for item in data.items:
        for source in item.sources:
            assert source.target.draw(224, 224).any()  # as corners, 99.6 % of the second are empty
