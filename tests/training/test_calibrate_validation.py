from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.colour_encoder import ColourEncoder
from tvsl.data import find_data
from tvsl.data.checking import check_data
from tvsl.data.files import FileClips
from tvsl.data.folder import FolderData
from tvsl.errors import UsageError
from tvsl.evaluation.batch import encode_scenes
from tvsl.media import write_wav
from tvsl.methods.checkpoint_io import read_head
from tvsl.synthetic.world import World
from tvsl.training.calibrate import located, validation_scenes
from tvsl.training.config import recipe
from tvsl.training.fit import check_recipe, train_head

NAMES = ("red star", "blue ring", "green cross")


def folder(root: Path, count: int, boxes: bool, split: str | None = None) -> Path:
    """A folder of clips in which each class has its own colour and tone."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(count):
        label = number % len(NAMES)
        picture = rng.integers(0, 60, (64, 64, 3)).astype(np.uint8)
        picture[8:40, 16:48, label] = 250
        tone = np.sin(np.arange(8000) * 0.05 * (label + 1)) * 9000
        for sub in ("frames", "audio"):
            (root / sub).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / f"frames/{number}.png")
        write_wav(root / f"audio/{number}.wav", tone.astype(np.int16), 16_000)
        line = {
            "id": str(number),
            "frame": f"frames/{number}.png",
            "audio": f"audio/{number}.wav",
            "labels": [NAMES[label]],
        }
        if boxes:
            line["boxes"] = {NAMES[label]: [[0.25, 0.125, 0.75, 0.625]]}
        if split is not None:
            line["split"] = "validation" if number < 6 else split
        lines.append(json.dumps(line))
    (root / "manifest.jsonl").write_text("\n".join(lines))
    return root


def ids(root: Path, sources: int = 1) -> set[str]:
    return {item.id for item in data(root).validation_items(sources, 99).items}


def data(root: Path) -> FolderData:
    found = find_data("folder", root=root, window=0.5, split="train")
    assert isinstance(found, FolderData)
    return found


def silent(done: int, total: int | None) -> None:
    assert total is None or done <= total


def test_the_world_is_validated_on_its_validation_split() -> None:
    encoder = ColourEncoder()
    made = validation_scenes(encoder, find_data("synthetic", split="train"), 3, silent)
    assert [part.sources for part in made] == [1, 2, 3, 4]
    expected = encode_scenes(encoder, World("validation"), 2, 3)
    assert (made[1].targets == expected.targets).all()
    assert (made[1].labels == expected.labels).all()
    assert (made[1].tokens.visual == expected.tokens.visual).all()
    assert all(located(part) for part in made)


def test_what_the_lists_keep_for_validation_is_used(tmp_path: Path) -> None:
    root = folder(tmp_path, 15, boxes=True, split="train")
    assert ids(root) == {str(number) for number in range(6)}
    assert not ids(root) & {item.id for item in data(root).clips(None, 0).chosen}


def test_whole_recordings_are_held_out(tmp_path: Path) -> None:
    """Frames of one video are nearly one clip: none is trained on where another is validated on."""
    recordings = {f"{n}": f"{n // 10}" if n < 160 else None for n in range(180)}
    lines = [
        {"id": n, "frame": "a.png", "audio": "a.wav", "labels": [NAMES[int(n) // 10 % 3]]}
        | ({} if of is None else {"recording": of})
        for n, of in recordings.items()
    ]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "a.png").touch()
    (tmp_path / "a.wav").touch()
    options = {"root": str(tmp_path), "window": 0.5}
    config = recipe(data="folder", data_options=options, validation_scenes=3, most_sources=2)
    for seed in range(3):
        options["seed"] = seed
        found, clips = check_recipe(config.model_copy(update={"data_options": options}))
        assert isinstance(clips, FileClips)
        held = {
            name for k in (1, 2) for one in found.validation_items(k, 3).items for name in one.ids
        }
        trained = {item.id for item in clips.chosen}
        assert held.isdisjoint(trained)
        videos = {recordings[name] for name in held} - {None}
        assert videos.isdisjoint(recordings[name] for name in trained)
        assert 9 <= len(found.validation_items(1, 99).items) <= 18
    assert clips.count >= 160


@pytest.mark.parametrize("sizes", [(6,), (3, 3), (5, 1)])
def test_at_most_half_is_held_out(sizes: tuple[int, ...], tmp_path: Path) -> None:
    lines = [
        {"id": f"{of} {n}", "frame": "a.png", "audio": "a.wav", "labels": ["dog"], "recording": of}
        for of, size in zip("abc", sizes, strict=False)
        for n in range(size)
    ]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    expected = {(6,): 0, (3, 3): 3, (5, 1): 1}[sizes]
    assert len(data(tmp_path).validation_items(1, 99).items) == expected


def test_a_sorted_manifest_is_validated_on_all_its_classes(tmp_path: Path) -> None:
    """The first lines are of one class; what is asked for are a few items, the same each time."""
    lines = [
        {"id": f"{name} {number}", "frame": "a.png", "audio": "a.wav", "labels": [name]}
        for name in NAMES
        for number in range(100)
    ]
    rows = [json.dumps({**line, "split": "validation"}) for line in lines]
    train = {"id": "t", "frame": "a.png", "audio": "a.wav", "labels": ["red star"]}
    rows.append(json.dumps({**train, "split": "train"}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(rows))
    found = data(tmp_path).validation_items(1, 20).items
    assert {label for item in found for label in item.labels} == set(NAMES)
    assert [item.id for item in data(tmp_path).validation_items(1, 20).items] == [
        item.id for item in found
    ]
    others = find_data("folder", root=tmp_path, split="train", seed=1).validation_items(1, 20)
    assert {item.id for item in others.items} != {item.id for item in found}


def test_clips_are_held_out_where_nothing_is_kept(tmp_path: Path) -> None:
    root = folder(tmp_path, 60, boxes=False)
    held = ids(root)
    assert len(held) == 3
    assert held == ids(root)
    clips = data(root).clips(None, 0).without(held)
    assert clips.count == 57
    assert not held & {item.id for item in clips.chosen}


@pytest.mark.parametrize("split", [None, "train"])
def test_no_member_of_a_validation_scene_is_trained_on(split: str | None, tmp_path: Path) -> None:
    """Two singles are validated on, and mixtures of the other clips that are held out."""
    root = folder(tmp_path, 200, boxes=False, split=split)
    options = {"root": str(root), "window": 0.5}
    config = recipe(data="folder", data_options=options, validation_scenes=2, most_sources=3)
    found, clips = check_recipe(config)
    assert isinstance(clips, FileClips)
    parts = [found.validation_items(sources, 2).items for sources in (1, 2, 3)]
    held = {name for part in parts for item in part for name in item.id.split("+")}
    assert len(held) > 2
    assert held.isdisjoint(item.id for item in clips.chosen)
    assert clips.count == 200 - (len(held) if split is None else 6)


def test_what_the_check_lists_of_one_split_can_be_left_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", 30, boxes=False, split="train")
    (root / "frames/20.png").unlink()
    options = {"root": str(root), "window": 0.5}
    train = find_data("folder", **options, split="train")
    assert isinstance(train, FolderData)
    gone = tmp_path / "gone.txt"
    gone.write_text(check_data(train).ids_to_leave_out())
    config = recipe(data="folder", data_options={**options, "leave_out": str(gone)}, most_sources=2)
    found, clips = check_recipe(config)
    assert clips.count == 23
    assert len(found.validation_items(1, 99).items) == 6


def test_mixtures_are_of_different_classes(tmp_path: Path) -> None:
    root = folder(tmp_path, 30, boxes=True, split="train")
    for item in data(root).validation_items(3, 99).items:
        assert set(item.labels) == set(NAMES)
    assert not ids(root, sources=4)


def test_nothing_to_validate_on(tmp_path: Path) -> None:
    root = folder(tmp_path, 1, boxes=False)
    with pytest.raises(UsageError, match="too few clips"):
        validation_scenes(ColourEncoder(), data(root), 4, silent)


@pytest.mark.parametrize("boxes", [True, False])
def test_a_head_for_a_folder_of_one_s_own(boxes: bool, tmp_path: Path) -> None:
    root = folder(tmp_path / "data", 24, boxes)
    options = {"root": str(root), "window": 0.5}
    config = recipe(
        data="folder", data_options=options, batch=4, steps=3, most_sources=2, validate_every=2
    )
    head = train_head(config, ColourEncoder(), tmp_path / "run")
    notes = read_head(head).notes
    assert ("AP" in notes["validation"]) == boxes
    assert (notes["calibration"]["score"] is not None) == boxes
    assert notes["calibration"]["hyperparameters"]["detection_threshold"] is not None
