from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.data.made_files import clip, folders, media, real_lists, rows, write
from tvsl.data import find_data
from tvsl.data.lists import read_rows
from tvsl.data.targets import files_of
from tvsl.errors import DataError, MissingFileError, UnreadableMediaError
from tvsl.metrics.protocols import PAPER_THRESHOLDS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    ids = [f"sample{n:04d}" for n in range(3)]
    labels = ("steel_guitar", "accordion", "bass_drum")
    lines = [f"{name},{label}" for name, label in zip(ids, labels, strict=True)]
    rows(tmp_path / "metadata" / "vgginstruments_test.csv", lines)
    pairs = [f"{lines[n]},{lines[(n + 1) % 3]}" for n in range(3)]
    rows(tmp_path / "metadata" / "vgginstruments_multi_test.csv", pairs)
    media(tmp_path, ids)
    for number, ending in enumerate((".pkl", ".pickle", ".npy")):
        mask = np.zeros((24, 32), dtype=np.uint8)
        mask[:, 8 * number : 8 * number + 8] = 1
        write(tmp_path / "anno" / f"{ids[number]}{ending}", pickle.dumps(mask))
    return tmp_path


def test_it_loads_from_its_public_layout(root: Path) -> None:
    data = find_data("vgg-instruments-single", root=root)
    assert [item.labels for item in data.items] == [
        ("steel guitar",),
        ("accordion",),
        ("bass drum",),
    ]
    for number, item in enumerate(data.items):
        expected = np.zeros((1, 224, 224))
        expected[0, :, 56 * number : 56 * (number + 1)] = 1
        np.testing.assert_array_equal(data.read(item, 8_000).targets, expected)
    assert not data.several
    assert data.name in PAPER_THRESHOLDS


def test_pairs_load_from_their_public_layout(root: Path) -> None:
    data = find_data("vgg-instruments-multi", root=root)
    assert data.several
    item = data.items[2]
    assert item.labels == ("bass drum", "steel guitar")
    sample = data.read(item, 8_000)
    assert len(sample.pictures) == 2
    expected = np.zeros((2, 224, 448))
    expected[0, :, 112:168] = 1
    expected[1, :, 224:280] = 1
    np.testing.assert_array_equal(sample.targets, expected)
    assert data.name in PAPER_THRESHOLDS


def test_masks_are_read_only_when_they_are_drawn(root: Path) -> None:
    (root / "anno" / "sample0001.pickle").unlink()
    data = find_data("vgg-instruments-single", root=root)
    assert data.read(data.items[0], 8_000).targets.any()
    with pytest.raises(MissingFileError, match="sample0001"):
        data.read(data.items[1], 8_000)


def test_training_clips(root: Path) -> None:
    lines = [f"{clip(0)},erhu", f"{clip(1)},electric_guitar"]
    rows(root / "metadata" / "vgginstruments_multi_train.txt", lines, "\n")
    media(root, [clip(0), clip(1)])
    clips = find_data("vgg-instruments-multi", root=root).clips(None, 0)
    assert clips.count == 2
    assert len(clips.names) == 37
    found = {clips.names[label] for label in clips.read([0, 1], 8_000).labels}
    assert found == {"erhu", "electric guitar"}


def test_an_unknown_instrument_is_an_error(root: Path) -> None:
    path = rows(root / "metadata" / "vgginstruments_test.csv", ["sample0000,theremin"])
    with pytest.raises(DataError, match=r"Line 1 .*'theremin'") as caught:
        _ = find_data("vgg-instruments-single", root=root).items
    assert caught.value.path == path


def test_the_real_lists(tmp_path: Path) -> None:
    root, lists = folders(tmp_path), real_lists()
    single = find_data("vgg-instruments-single", root=root, lists=lists)
    multi = find_data("vgg-instruments-multi", root=root, lists=lists)
    assert (len(single.items), len(multi.items)) == (446, 446)
    assert all(len(set(item.labels)) == 2 for item in multi.items)
    assert {label for item in single.items for label in item.labels} == {*single.names} - {"erhu"}
    train = read_rows(lists / "vgginstruments_multi_train.txt", {2})
    assert len(train) == 33934
    assert {row.cells[1].replace("_", " ") for row in train} == set(single.names)


@pytest.mark.parametrize(
    ("size", "fits"),
    [((24, 32), True), ((240, 320), True), ((64, 64), True), ((32, 24), False), ((24, 48), False)],
)
def test_a_mask_has_the_shape_of_its_picture_or_of_a_square(
    root: Path, size: tuple[int, int], fits: bool
) -> None:
    data = find_data("vgg-instruments-single", root=root)
    item = data.items[0]
    (path,) = files_of(item.sources[0].target)
    write(path, pickle.dumps(np.ones(size, dtype=np.uint8)))
    if fits:
        assert data.read(item, 8_000).targets.all()
        return
    with pytest.raises(UnreadableMediaError, match=f"{size[1]} x {size[0]} .* 32 x 24") as caught:
        data.read(item, 8_000)
    assert caught.value.path == path
