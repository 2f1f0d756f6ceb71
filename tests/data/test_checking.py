from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.data.made_files import clip, media, rows, sound, vggss, write
from tvsl.data import find_data
from tvsl.data.checking import Check, Tally, check_data
from tvsl.data.files import FileDataSet
from tvsl.errors import DataError

LABELS = ("elk bugling", "dog bow-wow")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight clips: one without its picture, a broken and a silent sound, one without a box."""
    boxes = {n: [[0.0, 0.0, 1.0, 0.5]] for n in range(8)} | {5: [[0.5, 0.5, 0.5, 1.0]]}
    entries = {clip(n): (LABELS[n % 2], some) for n, some in boxes.items()}
    vggss(tmp_path / "metadata", entries)
    lines = [f"{name},{label.replace(' ', '_')}" for name, (label, _) in entries.items()]
    rows(tmp_path / "metadata" / "vggsound_single_test.csv", lines)
    media(tmp_path, entries)
    (tmp_path / "frames" / f"{clip(1)}.jpg").unlink()
    write(tmp_path / "audio" / f"{clip(3)}.wav", b"RIFF, but no sound")
    sound(tmp_path / "audio" / f"{clip(4)}.wav", level=0)
    return tmp_path


def check(root: Path, **options: object) -> Check:
    data = find_data("vggsound-single", root=root)
    assert isinstance(data, FileDataSet)
    return check_data(data, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1, 3])
def test_everything_is_counted_for_each_class_too(root: Path, workers: int) -> None:
    found = check(root, workers=workers)
    assert found.total == Tally(listed=8, found=7, missing=1, unreadable=2, without_boxes=1)
    assert found.classes == {
        "dog bow-wow": Tally(4, 3, 1, 1, 1),
        "elk bugling": Tally(4, 4, 0, 1, 0),
    }
    assert found.layout == "frames/ID.jpg, audio/ID.wav"
    kinds = [(fault.id, fault.kind, fault.path) for fault in found.faults]
    assert kinds == [
        (clip(1), "missing", root / "frames" / f"{clip(1)}.jpg"),
        (clip(3), "unreadable", root / "audio" / f"{clip(3)}.wav"),
        (clip(4), "unreadable", root / "audio" / f"{clip(4)}.wav"),
    ]


def test_a_quick_look_opens_no_media(root: Path) -> None:
    found = check(root, read=False)
    assert found.total == Tally(listed=8, found=7, missing=1, unreadable=0, without_boxes=1)
    assert [fault.id for fault in found.faults] == [clip(1)]


def test_it_is_told_how_far_it_is(root: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    check(root, progress=lambda *counts: seen.append(counts))
    assert seen == [(n, 8) for n in range(1, 9)]


def test_what_to_leave_out_can_be_left_out(root: Path) -> None:
    text = check(root).ids_to_leave_out()
    path = write(root / "out.txt", text)
    assert text.count("\n") == 3
    data = find_data("vggsound-single", root=root, leave_out=path)
    assert isinstance(data, FileDataSet)
    found = check_data(data)
    assert found.total == Tally(8, 5, 0, 0, 1, left_out=3)
    assert found.classes["dog bow-wow"] == Tally(4, 2, 0, 0, 1, left_out=2)
    content = json.loads(json.dumps(found.to_dict()))
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    expected = {"file": str(path), "sha256": sha256, "items": 3, "unknown_ids": 0}
    assert content["left_out"] == expected
    assert ("Left out", f"3 of 8 listed items by {path} (SHA-256 {sha256}).") in found.notes


def test_all_may_be_left_out(root: Path) -> None:
    path = write(root / "out.txt", "".join(f"{clip(n)}\n" for n in range(8)))
    data = find_data("vggsound-single", root=root, leave_out=path)
    assert isinstance(data, FileDataSet)
    assert check_data(data).total == Tally(8, 0, 0, 0, 0, left_out=8)


def test_a_list_that_is_not_the_published_one_is_reported(root: Path) -> None:
    found = check(root, read=False)
    assert [(one.file, one.published) for one in found.lists] == [
        ("vggsound_single_test.csv", False),
        ("vggss.json", False),
    ]
    assert "vggsound_single_test.csv" in dict(found.notes)["Lists"]


def test_it_is_plain_json(root: Path) -> None:
    found = check(root)
    content = json.loads(json.dumps(found.to_dict()))
    assert content["total"]["unreadable"] == 2
    assert content["classes"]["elk bugling"]["listed"] == 4
    assert content["faults"][0]["path"].endswith(f"{clip(1)}.jpg")


def test_a_wrong_root_is_one_error(root: Path) -> None:
    for folder in ("frames", "audio"):
        for path in (root / folder).iterdir():
            path.rename(path.with_name(f"other {path.name}"))
    with pytest.raises(DataError, match="None of the 8 listed items") as caught:
        check(root)
    assert str(root / "audio" / f"{clip(0)}.wav") in str(caught.value)


def test_clips_to_train_on_need_no_boxes(root: Path) -> None:
    rows(root / "metadata" / "vggsound_single_train.txt", [f"{clip(0)},dog_bow-wow"])
    data = find_data("vggsound-single", root=root, split="train")
    assert isinstance(data, FileDataSet)
    for read in (True, False):
        assert check_data(data, read=read).total == Tally(1, 1, 0, 0, 0)


def test_files_of_masks_are_looked_for(tmp_path: Path) -> None:
    rows(tmp_path / "vgginstruments_test.csv", ["sample0000,banjo", "sample0001,harp"])
    media(tmp_path, ["sample0000", "sample0001"])
    write(tmp_path / "anno" / "sample0000.pkl", b"no mask")
    data = find_data("vgg-instruments-single", root=tmp_path)
    assert isinstance(data, FileDataSet)
    assert check_data(data, read=False).total == Tally(2, 1, 1, 0, 0)
    assert check_data(data).total == Tally(2, 1, 1, 1, 0)
