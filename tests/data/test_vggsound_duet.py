from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.data.made_files import clip, folders, media, real_lists, rows, vggss
from tvsl.data import find_data
from tvsl.data.base import draw_targets
from tvsl.data.vggsound import read_vggss
from tvsl.metrics.protocols import PAPER_THRESHOLDS

LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]


def test_it_loads_from_its_public_layout(tmp_path: Path) -> None:
    entries = {
        clip(0): ("elk bugling", [LEFT]),
        clip(1): ("dog bow-wow", [RIGHT]),
        clip(2): ("dog bow-wow", [LEFT]),
    }
    vggss(tmp_path / "metadata", entries)
    lines = [
        f"{clip(0)},elk_bugling,{clip(1)},dog_bow-wow",
        f"{clip(1)},dog_bow-wow,{clip(2)},dog_bow-wow",
    ]
    rows(tmp_path / "metadata" / "vggsound_duet_test.csv", lines)
    media(tmp_path, entries)
    data = find_data("vggsound-duet", root=tmp_path)
    assert data.several
    first, same = data.items
    assert first.labels == ("elk bugling", "dog bow-wow")
    sample = data.read(first, 8_000)
    assert len(sample.pictures) == first.panels == 2
    np.testing.assert_allclose(sample.waveform, 0.1 + 0.11, atol=1e-3)
    expected = np.zeros((2, 224, 448))
    expected[0, :, :112] = 1
    expected[1, :, 336:] = 1  # its own boxes, in its own panel
    np.testing.assert_array_equal(sample.targets, expected)
    assert same.labels == ("dog bow-wow",)
    expected = np.zeros((1, 224, 448))
    expected[0, :, 112:336] = 1
    np.testing.assert_array_equal(data.read(same, 8_000).targets, expected)


def test_the_real_list(tmp_path: Path) -> None:
    data = find_data("vggsound-duet", root=folders(tmp_path), lists=real_lists())
    assert len(data.items) == 5158
    assert data.name in PAPER_THRESHOLDS
    same = [item for item in data.items if len(item.sources) == 1]
    assert len(same) == 22
    truth = read_vggss(real_lists() / "vggss.json")
    for item in (*data.items[:20], *same):
        ids = item.id.split("+")
        drawn = draw_targets(item.sources, 2, 224, 224).max(axis=0)
        sides = [truth[name].boxes.draw(224, 224) for name in ids]
        np.testing.assert_array_equal(drawn, np.concatenate(sides, axis=1))
        assert {truth[name].label for name in ids} == set(item.labels)
