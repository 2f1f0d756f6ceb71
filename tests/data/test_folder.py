from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.made_files import media, picture, sound, write
from tvsl.data import find_data
from tvsl.data.base import DataSet
from tvsl.data.checking import Check, check_data
from tvsl.data.folder import FolderData
from tvsl.errors import DataError, UnreadableMediaError, VocabularyError
from tvsl.synthetic.export import export_world
from tvsl.synthetic.world import World

WORLD = World("test", "unseen", seed=3, twins=0.5, off_screen=0.5)
COUNT = 4


@pytest.fixture(scope="module", params=[1, 2, 3])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int]:
    folder = tmp_path_factory.mktemp("world") / "out"
    export_world(WORLD, folder, COUNT, request.param)
    return folder, request.param


def world(sources: int, truth: str) -> DataSet:
    return find_data(
        "synthetic", count=COUNT, sources=sources, truth=truth, classes="unseen", seed=3,
        twins=0.5, off_screen=0.5,
    )  # fmt: skip


@pytest.mark.parametrize("truth", ["boxes", "masks"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_exported_world_is_the_world(exported: tuple[Path, int], truth: str, rate: int) -> None:
    folder, sources = exported
    found, made = find_data("folder", root=folder, truth=truth), world(sources, truth)
    assert found.names == made.names
    assert (found.several, found.square) == (made.several, made.square)
    assert [item.id for item in found.items] == [item.id for item in made.items]
    for one, other in zip(found.items, made.items, strict=True):
        assert (one.labels, one.panels) == (other.labels, other.panels)
        left, right = found.read(one, rate), made.read(other, rate)
        np.testing.assert_array_equal(left.pictures, right.pictures)
        np.testing.assert_array_equal(left.waveform, right.waveform)
        np.testing.assert_array_equal(left.targets, right.targets)


def test_an_exported_world_can_be_trained_on(tmp_path: Path) -> None:
    export_world(World("train"), tmp_path / "out", 3)
    clips = find_data("folder", root=tmp_path / "out").clips(None, 0)
    batch = clips.read([0, 1, 2], 16_000)
    assert batch.waveforms.shape == (3, 80_000)
    lines = [
        json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()
    ]
    assert {clips.names[label] for label in batch.labels} == {line["labels"][0] for line in lines}
    assert clips.names == World("train").names


def manifest(root: Path, *lines: dict[str, Any]) -> Path:
    text = "".join(
        json.dumps({"frame": f"{line['id']}.jpg", "audio": f"{line['id']}.wav", **line}) + "\n"
        for line in lines
    )
    return write(root / "manifest.jsonl", text)


def folder(root: Path, **options: object) -> FolderData:
    found = find_data("folder", root=root, **options)
    assert isinstance(found, FolderData)
    return found


def test_pictures_are_scored_at_their_own_size_unless_they_are_large(tmp_path: Path) -> None:
    manifest(tmp_path, {"id": "small", "labels": ["dog"], "boxes": {"dog": [[0.5, 0, 1, 1]]}},
             {"id": "large", "labels": ["dog"], "boxes": {"dog": [[0, 0, 0.25, 1]]}})  # fmt: skip
    media(tmp_path, ["small"], ".", ".")
    picture(tmp_path / "large.jpg", size=(800, 600))
    sound(tmp_path / "large.wav")
    data = folder(tmp_path, side=100)
    small, large = (data.read(item, 8_000) for item in data.items)
    assert small.targets.shape == (1, 24, 32)
    assert small.targets.sum() == 24 * 16
    assert large.targets.shape == (1, 100, 133)
    assert large.targets.sum() == 100 * 33
    assert large.pictures[0].shape == (600, 800, 3)
    assert not data.square
    squeezed = folder(tmp_path, squeeze=True, side=100)
    assert squeezed.square
    assert squeezed.read(squeezed.items[1], 8_000).targets.shape == (1, 100, 100)


def test_several_boxes_and_sources(tmp_path: Path) -> None:
    two = [[0, 0, 4, 24], [2, 0, 8, 24]]
    manifest(tmp_path, {"id": "a", "labels": ["dog", "cat"], "boxes": {"dog": two},
                        "width": 32, "height": 24})  # fmt: skip
    media(tmp_path, ["a"], ".", ".")
    data = folder(tmp_path)
    assert data.several
    targets = data.read(data.items[0], 8_000).targets
    assert targets[0].sum() == 8 * 24
    assert not targets[1].any()  # nobody drew a box of the cat


def test_spellings_of_a_label_are_one_class(tmp_path: Path) -> None:
    manifest(
        tmp_path,
        {"id": "a", "labels": ["Dog"], "boxes": {"dog ": [[0, 0, 1, 0.5]]}},
        {"id": "b", "labels": ["ｄｏｇ", "cat"], "boxes": {"DOG": [[0, 0, 1, 1]]}},  # noqa: RUF001
    )
    media(tmp_path, ["a", "b"], ".", ".")
    data = folder(tmp_path)
    assert data.names == ("Dog", "cat")
    assert [item.labels for item in data.items] == [("Dog",), ("Dog", "cat")]
    assert data.read(data.items[0], 8_000).targets[0].sum() == 12 * 32
    assert data.read(data.items[1], 8_000).targets[0].sum() == 24 * 32
    write(tmp_path / "names.txt", "cat\ndog\n")
    assert [item.labels for item in folder(tmp_path).items] == [("dog",), ("dog", "cat")]
    write(tmp_path / "names.txt", "cat\ndog\nDOG\n")
    with pytest.raises(VocabularyError, match="'dog' and 'DOG'"):
        _ = folder(tmp_path).items


def test_two_spellings_of_a_label_in_one_line(tmp_path: Path) -> None:
    manifest(tmp_path, {"id": "a", "labels": ["Dog", "dog"]})
    with pytest.raises(DataError, match=r"Line 1 .*'Dog' and 'dog'"):
        _ = folder(tmp_path).items


def test_data_without_classes(tmp_path: Path) -> None:
    manifest(tmp_path, {"id": "a", "boxes": [[0, 0, 1, 0.5]]})
    media(tmp_path, ["a"], ".", ".")
    data = folder(tmp_path)
    assert data.names == ()
    assert data.items[0].labels == (None,)
    assert data.read(data.items[0], 8_000).targets.sum() == 12 * 32


def test_a_table_may_lie_elsewhere(tmp_path: Path) -> None:
    text = "id,frame,audio,labels,boxes\na,a.jpg,a.wav,dog;man speaking,dog:0 0 0.5 1\n"
    path = write(tmp_path / "lists" / "mine.csv", text)
    media(tmp_path / "data", ["a"], ".", ".")
    data = folder(tmp_path / "data", manifest=path)
    assert data.layout == "mine.csv"
    assert data.names == ("dog", "man speaking")
    assert data.read(data.items[0], 8_000).targets[0].sum() == 24 * 16


@pytest.mark.parametrize(
    ("split", "expected"), [("test", "bc"), ("train", "ac"), ("validation", "c")]
)
def test_lines_of_a_split_and_of_none(tmp_path: Path, split: str, expected: str) -> None:
    manifest(tmp_path, {"id": "a", "split": "train"}, {"id": "b", "split": "test"}, {"id": "c"})
    assert "".join(item.id for item in folder(tmp_path, split=split).items) == expected


def test_a_split_without_lines_is_an_error(tmp_path: Path) -> None:
    manifest(tmp_path, {"id": "a", "split": "train"})
    with pytest.raises(DataError, match="No line of the manifest is of the split 'test'"):
        _ = folder(tmp_path).items


def names_file(path: Path, names: Sequence[str]) -> Path:
    return write(path, "\n".join(names))


def test_where_the_names_come_from(tmp_path: Path) -> None:
    manifest(tmp_path, {"id": "a", "labels": ["dog"], "split": "test"},
             {"id": "b", "labels": ["bee"], "split": "train"})  # fmt: skip
    assert folder(tmp_path).names == ("bee", "dog")
    names_file(tmp_path / "names.txt", ["dog", "cat", "bee"])
    assert folder(tmp_path).names == ("dog", "cat", "bee")
    other = names_file(tmp_path / "other.txt", ["cow"])
    data = folder(tmp_path, vocabulary=other)
    assert data.names == ("cow",)
    with pytest.raises(DataError, match="Line 1 has a label that is no class: 'dog'"):
        _ = data.items


def test_masks_of_one_s_own(tmp_path: Path) -> None:
    values = np.zeros((24, 32), dtype=np.uint8)
    values[:, :8], values[:, 8:16], values[:, 16:24] = 1, 2, 7
    Image.fromarray(values).save(tmp_path / "a.png")
    things = [{"value": 1, "label": "dog"}, {"value": 2, "label": "dog", "sounds": False},
              {"value": 7, "label": "dog"}]  # fmt: skip
    manifest(tmp_path, {"id": "a", "labels": ["dog"], "masks": "a.png", "objects": things},
             {"id": "b", "labels": ["dog"]})  # fmt: skip
    media(tmp_path, ["a"], ".", ".")
    with pytest.raises(DataError, match="Line 2 has no masks"):
        _ = folder(tmp_path, truth="masks").items
    manifest(tmp_path, {"id": "a", "labels": ["dog"], "masks": "a.png", "objects": things})
    data = folder(tmp_path, truth="masks")
    targets = data.read(data.items[0], 8_000).targets[0]
    np.testing.assert_array_equal(targets, np.isin(values, (1, 7)))
    picture(tmp_path / "a.png")
    with pytest.raises(UnreadableMediaError, match="several values a pixel"):
        data.read(data.items[0], 8_000)


@pytest.mark.parametrize("key", ["frame", "audio", "masks"])
def test_files_outside_the_folder_are_refused(tmp_path: Path, key: str) -> None:
    line = {"id": "a", "labels": ["dog"], "masks": "m.png", key: "../../etc/passwd"}
    manifest(tmp_path, line)
    with pytest.raises(DataError, match="leads out"):
        _ = folder(tmp_path, truth="masks").items


def test_a_folder_without_manifest(tmp_path: Path) -> None:
    problems = {"": r"manifest\.jsonl or manifest\.csv", "none": "no such folder"}
    for place, problem in problems.items():
        with pytest.raises(DataError, match=problem) as caught:
            _ = folder(tmp_path / place).items
        assert caught.value.path == tmp_path / place


def checked(root: Path) -> tuple[Check, FolderData]:
    data = folder(root)
    return check_data(data), data


@pytest.mark.parametrize("panels", [1, 2])
def test_a_stated_size_of_another_shape_is_an_error(tmp_path: Path, panels: int) -> None:
    """As exports have it that leave the camera's orientation out of account."""
    right = {"labels": ["dog"], "boxes": {"dog": [[0, 0, 8, 8]]}, "panels": panels}
    manifest(
        tmp_path,
        {"id": "a", **right, "width": 32, "height": 24},
        {"id": "b", **right, "width": 24, "height": 32},
        {"id": "c", **right, "width": 1280, "height": 960},
    )
    media(tmp_path, ["a", "b", "c"], ".", ".")
    found, data = checked(tmp_path)
    (fault,) = found.faults
    assert (fault.id, fault.kind, fault.path) == ("b", "unreadable", tmp_path / "manifest.jsonl")
    assert fault.problem == "Line 2 says 24 x 32 pixels, but b.jpg has 32 x 24."
    with pytest.raises(DataError, match=r"manifest\.jsonl: Line 2 says 24 x 32 .* 32 x 24"):
        data.read(data.items[1], 8_000)


def test_the_upright_shape_counts(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (32, 24)).save(tmp_path / "a.jpg", exif=exif)
    sound(tmp_path / "a.wav")
    for width, height, faults in ((24, 32, 0), (32, 24, 1)):
        manifest(tmp_path, {"id": "a", "width": width, "height": height})
        assert len(checked(tmp_path)[0].faults) == faults


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({"rate": 8_000, "duration": 0.5}, None),
        ({"duration": 0.55}, None),
        ({"rate": 16_000}, "16000 samples a second, but a.wav has 8000"),
        ({"duration": 5}, "5 seconds, but a.wav has 0.5"),
        ({"rate": 8_000, "duration": 0.25}, "0.25 seconds, but a.wav has 0.5"),
    ],
)
def test_a_stated_rate_or_duration(
    tmp_path: Path, stated: dict[str, float], problem: str | None
) -> None:
    manifest(tmp_path, {"id": "a", **stated})
    media(tmp_path, ["a"], ".", ".")
    faults = checked(tmp_path)[0].faults
    assert [fault.problem for fault in faults] == ([f"Line 1 says {problem}."] if problem else [])


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        (
            {"boxes": [[-0.1, 0, 0.5, 1]]},
            "Line 1 has the box -3.2 0 16 24, .* 32 x 24 pix",
        ),
        (
            {"boxes": [[0, 0, 320, 240], [100, 30, 420, 90]], "width": 320, "height": 240},
            "Line 1 has the box 100 30 420 90, which leaves the 320 x 240 pixels of a",
        ),
        ({"boxes": [[400, 300, 600, 460]], "width": 320, "height": 240}, "400 300 600 460"),
        ({"boxes": [[-1, 0, 320, 242]], "width": 320, "height": 240}, None),
        ({"boxes": [[0, 0, 1.01, 1]]}, None),
    ],
)
def test_boxes_that_leave_the_picture_are_of_another_one(
    tmp_path: Path, stated: dict[str, Any], problem: str | None
) -> None:
    manifest(tmp_path, {"id": "a", **stated})
    media(tmp_path, ["a"], ".", ".")
    faults = checked(tmp_path)[0].faults
    assert len(faults) == (problem is not None)
    if problem is not None:
        assert re.match(f".*{problem}", faults[0].problem)
        data = folder(tmp_path)
        with pytest.raises(DataError, match=problem):
            data.read(data.items[0], 8_000)


def test_a_map_of_objects_of_another_shape(tmp_path: Path) -> None:
    things = [{"value": 1, "label": "dog"}]
    manifest(tmp_path, {"id": "a", "labels": ["dog"], "masks": "m.png", "objects": things})
    media(tmp_path, ["a"], ".", ".")
    for size, wrong in (((32, 24), False), ((64, 48), False), ((24, 32), True), ((24, 24), True)):
        Image.new("L", size, 1).save(tmp_path / "m.png")
        data = folder(tmp_path, truth="masks")
        if not wrong:
            assert data.read(data.items[0], 8_000).targets.all()
            continue
        with pytest.raises(UnreadableMediaError, match=f"{size[0]} x {size[1]} .* 32 x 24"):
            data.read(data.items[0], 8_000)


@pytest.mark.parametrize("key", ["width", "height", "rate", "duration", "panels"])
def test_an_exported_world_that_was_altered(tmp_path: Path, key: str) -> None:
    export_world(World("test"), tmp_path / "out", 2, 2)
    path = tmp_path / "out" / "manifest.jsonl"
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    second[key] = {"width": 112, "panels": 3}.get(key, 7 * second[key])
    path.write_text(json.dumps(first) + "\n" + json.dumps(second) + "\n")
    (fault,) = check_data(folder(tmp_path / "out")).faults
    assert fault.id == second["id"]


def test_a_windows_path_is_told_as_one(tmp_path: Path) -> None:
    manifest(tmp_path, {"id": "a"}, {"id": "b", "frame": "frames\\b.jpg"})
    with pytest.raises(
        DataError, match=r"Line 2 has the file .*slashes, 'frames/b\.jpg'"
    ) as caught:
        _ = folder(tmp_path).items
    assert "malicious" not in str(caught.value)


def test_lines_of_other_splits_are_counted(tmp_path: Path) -> None:
    manifest(tmp_path, {"id": "a", "split": "train"}, {"id": "b"}, {"id": "c", "split": "train"})
    assert folder(tmp_path).notes == [("Not used", "2 lines of other splits.")]
