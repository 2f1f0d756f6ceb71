from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.made_files import clip, folders, media, real_lists, rows, vggss, write
from tvsl.data import find_data
from tvsl.errors import DataError, UsageError

BOX = [[0.25, 0.25, 0.75, 0.75]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    labels = ("elk bugling", "dog bow-wow", "cat purring", "singing choir")
    vggss(tmp_path / "metadata", {clip(n): (label, BOX) for n, label in enumerate(labels)})
    rows(tmp_path / "metadata" / "vggss_heard_test.csv", [clip(0), clip(2)], "\n")
    rows(tmp_path / "metadata" / "vggss_unheard_test.csv", [clip(1)], "\n")
    media(tmp_path, [clip(n) for n in range(4)])
    return tmp_path


def test_they_load_from_their_public_layout(root: Path) -> None:
    heard, unheard = (find_data(f"vggss-{name}", root=root) for name in ("heard", "unheard"))
    assert [item.id for item in heard.items] == [clip(0), clip(2)]
    assert heard.names == ("cat purring", "elk bugling")
    assert unheard.names == ("dog bow-wow",)
    assert heard.read(heard.items[1], 8_000).targets.sum() == 112**2
    assert unheard.read(unheard.items[0], 8_000).targets.sum() == 112**2


def test_classes_may_be_detected_among_all(root: Path) -> None:
    assert len(find_data("vggss-unheard", root=root, among="all").names) == 4


def test_training_clips_have_their_classes_from_the_other_list(root: Path) -> None:
    rows(root / "metadata" / "vggss_heard.txt", [clip(8), clip(7)], "\n")
    train = root / "metadata" / "vggsound_single_train.txt"
    rows(train, [f"{clip(7)},elk_bugling", f"{clip(8)},cat_purring", f"{clip(9)},dog_bow-wow"])
    media(root, [clip(7), clip(8)])
    clips = find_data("vggss-heard", root=root).clips(None, 0)
    labels = {item.id: item.labels[0] for item in clips.chosen}  # type: ignore[attr-defined]
    assert labels == {clip(7): "elk bugling", clip(8): "cat purring"}
    assert clips.names == ("cat purring", "elk bugling")
    assert sorted(clips.read([0, 1], 8_000).labels.tolist()) == [0, 1]


@pytest.mark.parametrize("line", [f"{clip(9)},elk_bugling", f"{clip(7)},dog_bow-wow"])
def test_training_clips_without_a_heard_class_are_an_error(root: Path, line: str) -> None:
    write(root / "metadata" / "vggss_heard.txt", clip(7))
    write(root / "metadata" / "vggsound_single_train.txt", line)
    with pytest.raises(DataError, match="1 of 1 clips"):
        find_data("vggss-heard", root=root).clips(None, 0)


def test_nothing_is_trained_on_unheard_classes(root: Path) -> None:
    with pytest.raises(UsageError, match="no split 'train'"):
        find_data("vggss-unheard", root=root).clips(None, 0)


def test_the_real_lists(tmp_path: Path) -> None:
    root, lists = folders(tmp_path), real_lists()
    heard = find_data("vggss-heard", root=root, lists=lists)
    unheard = find_data("vggss-unheard", root=root, lists=lists)
    assert (len(heard.items), len(unheard.items)) == (2564, 2575)
    assert (len(heard.names), len(unheard.names)) == (110, 110)
    assert not set(heard.names) & set(unheard.names)
    everything = find_data("vggss-heard", root=root, lists=lists, among="all").names
    assert set(everything) - set(heard.names) - set(unheard.names) == {"singing choir"}
