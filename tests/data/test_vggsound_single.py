from __future__ import annotations

from pathlib import Path

from tests.data.made_files import clip, folders, media, real_lists, rows, vggss
from tvsl.data import find_data
from tvsl.data.checking import check_data
from tvsl.data.files import FileDataSet
from tvsl.metrics.protocols import PAPER_THRESHOLDS


def test_it_loads_from_its_public_layout(tmp_path: Path) -> None:
    labels = ("female speech, woman speaking", "elk bugling", "elk bugling")
    boxes = ([[0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 1.0, 1.0]], [[0.5, 0.5, 1, 1]], [[0, 1, 1, 1]])
    entries = {clip(n): (labels[n], boxes[n]) for n in range(3)}
    vggss(tmp_path / "metadata", entries)
    lines = [f"{clip(n)},{labels[n].replace(', ', '_').replace(' ', '_')}" for n in range(3)]
    rows(tmp_path / "metadata" / "vggsound_single_test.csv", lines)
    media(tmp_path, entries)
    data = find_data("vggsound-single", root=tmp_path)
    assert isinstance(data, FileDataSet)
    assert [item.id for item in data.items] == [clip(n) for n in range(3)]
    assert [item.labels for item in data.items] == [(label,) for label in labels]
    assert data.names == ("elk bugling", "female speech, woman speaking")
    assert not data.several
    sample = data.read(data.items[0], 8_000)
    assert len(sample.pictures) == 1
    assert sample.targets.sum() == 112**2 + 168**2 - 56**2  # the union, nothing counted twice
    found = check_data(data)
    assert (found.total.listed, found.total.found, found.total.without_boxes) == (3, 3, 1)
    assert found.classes["elk bugling"].without_boxes == 1


def test_the_real_list(tmp_path: Path) -> None:
    data = find_data("vggsound-single", root=folders(tmp_path), lists=real_lists())
    assert len(data.items) == 5158
    assert len({item.group for item in data.items}) == 5017  # videos, of which 141 gave two clips
    assert len(data.names) == 221
    assert set(data.names) == {label for item in data.items for label in item.labels}
    item = data.items[0]
    assert item.id == "zpWuikVorYg_000032"
    assert item.labels == ("elk bugling",)
    assert item.frames == (tmp_path / "frames" / "zpWuikVorYg_000032.jpg",)
    assert item.sounds == (tmp_path / "audio" / "zpWuikVorYg_000032.wav",)
    assert data.name in PAPER_THRESHOLDS
