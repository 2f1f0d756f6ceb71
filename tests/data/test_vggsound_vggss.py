from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.made_files import (
    clip,
    folders,
    media,
    picture,
    real_lists,
    rows,
    sound,
    vggss,
    video,
    write,
)
from tvsl.data import find_data
from tvsl.data.vggsound import VGGSoundSingle, read_vggss
from tvsl.errors import DataError

LISTED = ("dog_bow-wow", "cattle_bovinae_cowbell")
BOX = [0.25, 0.25, 0.75, 0.75]


def test_the_real_annotations() -> None:
    found = read_vggss(real_lists() / "vggss.json")
    assert len(found) == 5158
    assert len({one.label for one in found.values()}) == 221
    # 5,941 boxes, of which 18 files hold some without area; those of two clips all vanish.
    boxes = [box for one in found.values() for box in one.boxes.boxes]
    assert 5941 - 40 < len(boxes) < 5941
    assert all(0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 for x1, y1, x2, y2 in boxes)
    empty = {name for name, one in found.items() if not one.boxes.draw(224, 224).any()}
    assert empty == {"M1P1xla8rg0_000000", "MKC9LvRivTM_000030"}


def test_wild_boxes_are_cut_off_and_degenerate_ones_dropped(tmp_path: Path) -> None:
    boxes = [[-2.9e16, 0.5, 0.25, 3], BOX, [0.5, 0.1, 0.5, 0.2]]
    found = read_vggss(vggss(tmp_path, {"a": ("dog bow-wow", boxes)}))["a"]
    assert found.label == "dog bow-wow"
    assert found.boxes.boxes == ((0.0, 0.5, 0.25, 1.0), tuple(BOX))


def made(root: Path, **options: object) -> VGGSoundSingle:
    found = find_data("vggsound-single", root=root, **options)
    assert isinstance(found, VGGSoundSingle)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = {clip(0): ("dog bow-wow", [BOX]), clip(1): ("cattle, bovinae cowbell", [BOX])}
    vggss(tmp_path / "metadata", names)
    lines = [f"{clip(0)},dog_bow-wow", f"{clip(1)},cattle_bovinae_cowbell"]
    rows(tmp_path / "metadata" / "vggsound_single_test.csv", lines)
    return folders(tmp_path)


@pytest.mark.parametrize("double", [False, True])
def test_the_layout_of_sslalignment(root: Path, double: bool) -> None:
    for folder in ("frames", "audio"):
        (root / folder).rmdir()
    for number in (0, 1):
        name = f"{clip(number)[:11]}_30000_40000"
        picture(root / "VGGSound_img" / name / "image_050.jpg", grey=90 + number)
        picture(root / "VGGSound_img" / name / "image_001.jpg", grey=0)
        sound(root / "VGGSound_aud" / (name if double else "") / f"{name}.wav")
    data = made(root)
    assert data.layout.startswith("VGGSound_img/")
    sample = data.read(data.items[1], 8_000)
    assert abs(int(sample.pictures[0].mean()) - 91) <= 2
    assert len(sample.waveform) == 4000


def test_other_kinds_of_files_are_found(root: Path) -> None:
    picture(root / "frames" / f"{clip(0)}.png", grey=77)
    sound(root / "audio" / f"{clip(0)}.flac")  # a WAV in truth: content decides how it is read
    data = made(root)
    assert data.read(data.items[0], 8_000).pictures[0].mean() == 77


def test_training_clips_are_those_of_avgn_s_list(root: Path) -> None:
    lines = [f"{clip(7)},cattle_bovinae_cowbell", f"{clip(8)},dog_bow-wow"]
    rows(root / "metadata" / "vggsound_single_train.txt", lines, "\n")
    items = made(root, split="train").items
    assert [(item.id, item.labels) for item in items] == [
        (clip(7), ("cattle, bovinae cowbell",)),
        (clip(8), ("dog bow-wow",)),
    ]
    assert not made(root).targets(items[0], ()).any()


def test_training_clips_of_vggsound_s_own_list(root: Path) -> None:
    lines = [
        f"{clip(7)[:11]},3,dog bow-wow,train",
        f"{clip(8)[:11]},30,dog bow-wow,test",
        f'{clip(9)[:11]},0,"cattle, bovinae cowbell",train',
        f"{clip(9)[:11]},10,people marching,train",
    ]
    rows(root / "metadata" / "vggsound.csv", lines, "\n")
    items = made(root, split="train").items
    assert [item.id for item in items] == [clip(7, 3), clip(9, 0)]
    rows(root / "metadata" / "vggsound_single_train.txt", [f"{clip(1)},dog_bow-wow"])
    assert [item.id for item in made(root, split="train").items] == [clip(1)]


@pytest.mark.parametrize(
    ("file", "line", "problem"),
    [
        ("vggsound_single_train.txt", "a,cat_purring", "Line 1 names a class"),
        ("vggsound.csv", "a,soon,dog bow-wow,train", "Line 1 has no start"),
        ("vggsound_single_test.csv", "a,dog_bow-wow", "Line 1 names a clip"),
        ("vggsound_single_test.csv", f"{clip(0)},elk_bugling", "says 'elk_bugling'"),
    ],
)
def test_lists_that_contradict_themselves(root: Path, file: str, line: str, problem: str) -> None:
    path = rows(root / "metadata" / file, [line])
    with pytest.raises(DataError, match=problem) as caught:
        _ = made(root, split="test" if "test" in file else "train").items
    assert caught.value.path == path


def test_training_clips_of_other_classes_are_counted(root: Path) -> None:
    lines = [
        "YouTube ID,start seconds,label,train/test split",
        f"{video(1)},30,dog bow-wow,train",
        f'{video(2)}, 30.0, "cattle, bovinae cowbell", train',
        f"{video(3)},7,cat purring,train",
        f"{video(4)},7,fire truck siren,train",
        f"{video(5)},7,cat purring,test",
    ]
    rows(root / "metadata" / "vggsound.csv", lines)
    data = made(root, split="train")
    assert [item.id for item in data.items] == [clip(1), clip(2)]
    assert list(data.dropped.values()) == [2]
    assert dict(data.notes)["Not used"].startswith("2 training clips of other classes")
    assert [one.file for one in data.used_lists] == ["vggsound.csv"]
    assert made(root).dropped == {}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("head", ["", "\ufeff", "video,label\n", "# a comment\nID,class\n"])
@pytest.mark.parametrize(
    "form", ["{}_30", "{}_30_40", "{}_30000_40000", "{}_000030.mp4", '"{}_30"']
)
def test_lists_in_other_forms_name_the_same_clips(
    root: Path, form: str, head: str, end: str
) -> None:
    expected = [item.id for item in made(root).items]
    lines = [f"{form.format(video(n))},{label}" for n, label in enumerate(LISTED)]
    text = head + "\n".join(lines)
    write(root / "metadata" / "vggsound_single_test.csv", text.replace("\n", end))
    assert [item.id for item in made(root).items] == expected


def test_ids_that_leave_the_root_are_refused(root: Path) -> None:
    name = "../../secret"
    vggss(root / "metadata", {name: ("dog bow-wow", [BOX])})
    rows(root / "metadata" / "vggsound_single_test.csv", [f"{name},dog_bow-wow"])
    with pytest.raises(DataError, match="leads out"):
        _ = made(root).items


def test_lists_may_lie_elsewhere(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (root / "metadata").rename(elsewhere)
    with pytest.raises(DataError, match="fetch-lists vggsound-single"):
        _ = made(root).items
    assert len(made(root, lists=elsewhere).items) == 2


def test_every_clip_is_scored_in_a_square(root: Path) -> None:
    media(root, [clip(0)])
    data = made(root)
    assert data.square
    targets = data.read(data.items[0], 8_000).targets
    assert targets.shape == (1, 224, 224)
    expected = np.zeros((224, 224))
    expected[56:168, 56:168] = 1
    np.testing.assert_array_equal(targets[0], expected)
