from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.made_files import media, picture, rows, sound, video, write
from tests.reproduce.conftest import FEW
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.data.base import Split
from tvsl.errors import DataError, UsageError
from tvsl.reproduce.benchmark import PAIRS, FileBenchmark, open_benchmark
from tvsl.reproduce.specs import (
    DUET,
    NEGATIVES,
    OFF_SCREEN_DUET,
    OFF_SCREEN_SINGLE,
    QUARTET,
    SINGLE,
    TRIO,
    TWIN_SINGLE,
    UNSEEN_DUET,
    UNSEEN_SINGLE,
    SceneSet,
    reproduce_config,
)

CLASSES = ("red star", "blue ring", "green disc", "dotted cross")
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def write_folder(root: Path, splits: tuple[str | None, ...], count: int = 3) -> Path:
    """A folder with ``count`` items of each class in each split."""
    lines: list[dict[str, Any]] = []
    for split in splits:
        for number in range(count * len(CLASSES)):
            name, label = f"{split}-{number}", CLASSES[number % len(CLASSES)]
            picture(root / f"{name}.png", 40 + number, (50, 40))
            sound(root / f"{name}.wav", 0.02 * (number + 1), seconds=0.3 + 0.1 * number)
            box = [0.1, 0.2, 0.5 + 0.02 * number, 0.7]
            line = {"id": name, "frame": f"{name}.png", "audio": f"{name}.wav", "split": split}
            lines.append({**line, "labels": [label], "boxes": {label: [box]}})
    write_manifest(root, lines)
    return root


def write_manifest(root: Path, lines: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (root / "manifest.jsonl").write_text(text)


def read_manifest(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "manifest.jsonl").read_text().splitlines()]


def opened(root: Path, **fields: object) -> FileBenchmark:
    few = {**FEW, "clips": None, "test_scenes": None, "validation_scenes": 100}
    config = reproduce_config("files", "quick", **{**few, **fields})
    found = open_benchmark("folder", {"root": str(root), "window": 1.0, "side": 56}, config)
    assert isinstance(found, FileBenchmark)
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("files"), SPLITS)


@pytest.fixture(scope="module")
def benchmark(root: Path) -> FileBenchmark:
    return opened(root)


@pytest.fixture(scope="module")
def encoder(model: Path) -> AudioCLIPEncoder:
    return AudioCLIPEncoder(load_audioclip(model))


def test_items_of_one_source_are_scenes(benchmark: FileBenchmark) -> None:
    for split in ("validation", "test"):
        assert benchmark.lacks(SceneSet(SINGLE, split)) is None  # type: ignore[arg-type]
        assert benchmark.count(SceneSet(SINGLE, split)) == 12  # type: ignore[arg-type]
    assert {item.id.split("-")[0] for item in benchmark.items(SceneSet(SINGLE, "validation"))} == {
        "validation"
    }
    assert benchmark.clips.count == 12
    assert benchmark.warnings() == []
    assert benchmark.names(SINGLE) == tuple(sorted(CLASSES))


@pytest.mark.parametrize("condition", [DUET, TRIO, QUARTET])
def test_mixtures_are_of_different_classes(condition: Any, benchmark: FileBenchmark) -> None:
    items = benchmark.items(SceneSet(condition, "test"))
    assert len(items) == 12 // condition.sources
    for item in items:
        assert len(set(item.labels)) == len(item.frames) == len(item.sounds) == condition.sources
        assert item.panels == condition.sources
    used = [name for item in items for name in item.id.split("+")]
    assert len(used) == len(set(used))


def test_scenes_are_encoded_with_their_targets(
    benchmark: FileBenchmark, encoder: AudioCLIPEncoder
) -> None:
    numbers = range(1, 4)
    scenes = benchmark.scenes(encoder, SceneSet(DUET, "test"), numbers)
    assert (scenes.tokens.batch, scenes.tokens.panels) == (3, 2)
    assert scenes.size == (56, 112)
    items = benchmark.items(SceneSet(DUET, "test"))[1:4]
    sources = [source for item in items for source in item.sources]
    assert [scenes.vocabulary.names[label] for label in scenes.queries.label.tolist()] == [
        source.label for source in sources
    ]
    for pair, source in enumerate(sources):
        target = source.target.draw(56, 56)
        panel = np.asarray(scenes.targets[pair]).reshape(56, 2, 56)
        assert (panel[:, source.panel] == (target >= 0.5)).all()
        assert not panel[:, 1 - source.panel].any()  # type: ignore[operator]
    assert scenes.twins is None
    assert scenes.labels.sum(dim=1).tolist() == [2, 2, 2]


def test_a_scene_s_sound_is_the_sum_of_its_items(
    benchmark: FileBenchmark, encoder: AudioCLIPEncoder
) -> None:
    scenes = benchmark.scenes(encoder, SceneSet(DUET, "test"), range(1))
    item = benchmark.items(SceneSet(DUET, "test"))[0]
    length = encoder.sample_rate  # of a second
    total = np.zeros(length, dtype=np.float32)
    singles = {single.id: single for single in benchmark.data.items}
    for name in item.id.split("+"):
        heard = benchmark.data.read(singles[name], encoder.sample_rate).waveform[:length]
        total[: len(heard)] += heard
    expected = encoder.encode_sounds(torch.from_numpy(total[None]))
    torch.testing.assert_close(scenes.tokens.sound, expected.embeddings, atol=1e-4, rtol=1e-4)


def test_off_screen_sounds_are_of_another_class(benchmark: FileBenchmark) -> None:
    singles = {item.sounds[0]: item.labels[0] for item in benchmark.data.items}
    for condition in (OFF_SCREEN_SINGLE, OFF_SCREEN_DUET):
        for item in benchmark.items(SceneSet(condition, "test")):
            *own, further = item.sounds
            assert len(own) == condition.sources
            assert singles[further] not in item.labels


def test_scenes_of_one_recording_belong_together(tmp_path: Path) -> None:
    root = write_folder(tmp_path, SPLITS)
    lines = read_manifest(root)
    for number, line in enumerate(lines):
        line["recording"] = f"video {number % 2}"
    benchmark = opened(root)
    single = SceneSet(SINGLE, "test")
    assert benchmark.clusters(single) == tuple(range(benchmark.count(single)))
    write_manifest(root, lines)
    benchmark = opened(root)
    clusters = benchmark.clusters(single)
    found = {(item.recording, n) for item, n in zip(benchmark.items(single), clusters, strict=True)}
    assert {name for name, _ in found} == {"video 0", "video 1"}
    assert len(found) == len(set(clusters)) == 2


def test_half_of_the_classes_is_left_out(benchmark: FileBenchmark) -> None:
    known, unseen = benchmark.halves
    assert set(known) | set(unseen) == set(CLASSES)
    assert len(known) == len(unseen) == 2
    assert benchmark.names(SINGLE, half=True) == known
    assert benchmark.names(UNSEEN_SINGLE) == benchmark.names(UNSEEN_DUET, half=True) == unseen
    for condition, half, names in (
        (SINGLE, True, known),
        (DUET, True, known),
        (UNSEEN_SINGLE, False, unseen),
        (UNSEEN_DUET, False, unseen),
    ):
        items = benchmark.items(SceneSet(condition, "test", half=half))
        assert items
        assert all(set(item.labels) <= set(names) for item in items)
    assert len({opened(benchmark.data.root, seed=seed).halves for seed in range(8)}) > 2


def test_what_is_not_there_is_told(benchmark: FileBenchmark) -> None:
    assert "silent object" in str(benchmark.lacks(SceneSet(TWIN_SINGLE, "test")))
    assert benchmark.lacks(SceneSet(NEGATIVES, "test")) is None
    few = opened(benchmark.data.root)
    few.__dict__["halves"] = (CLASSES[:3], CLASSES[3:])
    assert "classes need clips of as many" in str(few.lacks(SceneSet(UNSEEN_DUET, "test")))


def test_as_many_scenes_as_the_recipe_wants(root: Path) -> None:
    few = opened(root, test_scenes=5)
    assert (
        few.count(SceneSet(SINGLE, "test")) == few.count(SceneSet(OFF_SCREEN_SINGLE, "test")) == 5
    )
    chosen = few.items(SceneSet(SINGLE, "test"))
    every = opened(root).items(SceneSet(SINGLE, "test"))
    assert set(chosen) < set(every)
    assert chosen == opened(root, test_scenes=5).items(SceneSet(SINGLE, "test"))
    assert chosen != opened(root, test_scenes=5, seed=3).items(SceneSet(SINGLE, "test"))


def test_a_folder_without_validation_keeps_some_clips_for_it(tmp_path: Path) -> None:
    benchmark = opened(write_folder(tmp_path, ("train", "test"), 2))
    kept = {item.id for item in benchmark.items(SceneSet(SINGLE, "validation"))}
    trained = {item.id for item in benchmark.clips.chosen}
    assert len(kept) == 2
    assert len(trained) == 6
    assert not kept & trained
    assert all(name.startswith("train-") for name in kept | trained)


def test_test_items_never_decide_anything(tmp_path: Path) -> None:
    benchmark = opened(write_folder(tmp_path, (None,), 2))  # every line is of all splits
    assert benchmark.lacks(SceneSet(SINGLE, "validation")) == "no scene is left"
    assert benchmark.warnings() == ["6 of the test items are training clips, too."]


def test_items_without_a_place_are_left_out(tmp_path: Path) -> None:
    root = write_folder(tmp_path, ("train", "test"), 2)
    lines = read_manifest(root)
    lines[-1]["boxes"] = {}
    lines[-2]["labels"].append(CLASSES[1])
    write_manifest(root, lines)
    names = {item.id for item in opened(root).items(SceneSet(SINGLE, "test"))}
    assert names == {line["id"] for line in lines[8:-2]}


def test_as_many_clips_are_mixed_as_there_are_classes_to_train_on(tmp_path: Path) -> None:
    root = write_folder(tmp_path, SPLITS, 1)
    assert opened(root).most_sources == 4
    write_manifest(root, read_manifest(root)[1:])
    assert len(opened(root).data.names) == 4
    assert opened(root).most_sources == 3


def test_pictures_to_look_at(benchmark: FileBenchmark) -> None:
    ((picture, labels),) = benchmark.preview(DUET, [1])
    assert picture.shape == (56, 112, 3)
    assert labels == benchmark.items(SceneSet(DUET, "test"))[1].labels


def test_visible_is_what_the_labels_say(benchmark: FileBenchmark) -> None:
    found = benchmark.visible(SceneSet(SINGLE, "test"), range(2, 4))
    assert found == [set(item.labels) for item in benchmark.items(SceneSet(SINGLE, "test"))[2:4]]


def test_a_record_names_the_items(benchmark: FileBenchmark, tmp_path: Path) -> None:
    record = benchmark.record()
    assert record["data"] == "folder"
    assert len(record["items"]) == 64
    assert opened(write_folder(tmp_path, SPLITS, 1)).record()["items"] != record["items"]


@pytest.mark.parametrize("split", ["test", "validation"])
def test_other_boxes_make_another_record(root: Path, tmp_path: Path, split: str) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    record = opened(root).record()
    assert opened(moved).record() == record  # wherever it lies
    lines = read_manifest(moved)
    changed = next(line for line in lines if line["split"] == split)
    changed["boxes"] = {changed["labels"][0]: [[0.1, 0.2, 0.5, 0.9]]}
    write_manifest(moved, lines)
    assert opened(moved).record() != record


def test_other_options_make_another_record(root: Path) -> None:
    config = opened(root).config
    found = [
        open_benchmark("folder", {"root": str(root), "window": 1.0, "side": side}, config).record()
        for side in (56, 64)
    ]
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("data", "options", "says"),
    [
        ("synthetic", {"twins": 1.0}, "cannot be chosen for tables: 'twins'"),
        ("nothing", {"root": "here"}, "no data set 'nothing'"),
        ("folder", {"root": "here", "pages": 3}, "'pages'"),
    ],
)
def test_wrong_benchmarks(data: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_benchmark(data, options, reproduce_config("files", "quick"))


def test_a_data_set_without_classes(tmp_path: Path) -> None:
    root = write_folder(tmp_path, ("test",), 1)
    write_manifest(root, [{**line, "labels": [], "boxes": []} for line in read_manifest(root)])
    with pytest.raises(UsageError, match="no classes to train on"):
        opened(root)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        opened(tmp_path / "nowhere")


def test_pairs_are_of_data_sets_that_there_are() -> None:
    from tvsl.data import DATA_SETS

    for single, several in PAIRS.items():
        assert {single, several} <= DATA_SETS.keys()


SOLO = {f"{video(number)}_000_00000": label for number, label in enumerate(("cello", "flute") * 2)}
DUETS = (f"{video(7)}_000_00000", f"{video(8)}_000_00000")


def write_music(root: Path, width: float = 0.5) -> Path:
    """Lists of MUSIC-Solo and MUSIC-Duet, of other videos."""
    box = [0.0, 0.0, 0.5, 1.0]
    solo = [{"file": name, "class": label, "bbox": box} for name, label in SOLO.items()]
    duets = [
        {"file": name, "class_src1": "cello", "bbox_src1": [0.0, 0.0, width, 1.0]}
        | {"class_src2": "flute", "bbox_src2": box}
        for name in DUETS
    ]
    write(root / "metadata" / "music_solo.json", json.dumps(solo))
    write(root / "metadata" / "music_duet.json", json.dumps(duets))
    rows(root / "metadata" / "music_solo_test.csv", [f"{name},{SOLO[name]}" for name in SOLO])
    rows(root / "metadata" / "music_duet_test.csv", DUETS)
    train = [f"{video(number)}_000_00000" for number in range(20, 30)]
    rows(root / "metadata" / "music_solo_train.txt", [f"{name},tuba" for name in train])
    media(root, train)
    for name in train:
        sound(root / "audio" / f"{name[:11]}.wav")
    return root


def music(root: Path, **options: Any) -> FileBenchmark:
    config = reproduce_config("files", "quick", **{**FEW, "clips": None, "test_scenes": None})
    found = open_benchmark("music-solo", {"root": str(root), **options}, config)
    assert isinstance(found, FileBenchmark)
    return found


@pytest.mark.parametrize(
    ("gone", "singles", "duets"), [([next(iter(SOLO))], 3, 2), ([DUETS[1]], 4, 1)]
)
def test_a_file_of_one_list_does_not_hinder_reading_the_other(
    gone: list[str], singles: int, duets: int, tmp_path: Path
) -> None:
    benchmark = music(write_music(tmp_path), leave_out=str(rows(tmp_path / "out.txt", gone)))
    assert benchmark.count(SceneSet(SINGLE, "test")) == singles
    assert benchmark.count(SceneSet(DUET, "test")) == duets


def test_a_file_of_neither_list_is_refused(tmp_path: Path) -> None:
    benchmark = music(write_music(tmp_path), leave_out=str(rows(tmp_path / "out.txt", ["what"])))
    for condition in (SINGLE, DUET):
        with pytest.raises(DataError, match="No id in the file"):
            benchmark.count(SceneSet(condition, "test"))


def test_corrected_boxes_of_the_list_of_pairs_are_another_reproduction(tmp_path: Path) -> None:
    first, same, other = (
        music(write_music(tmp_path / name, width)).record()
        for name, width in (("first", 0.5), ("same", 0.5), ("other", 0.25))
    )
    assert first == same
    assert first["truth"] != other["truth"]
    assert first["items"] == other["items"]


def test_tables_of_single_sources_need_no_list_of_pairs(tmp_path: Path) -> None:
    root = write_music(tmp_path)
    (root / "metadata" / "music_duet_test.csv").unlink()
    benchmark = music(root)
    assert benchmark.record()["truth"]
    assert benchmark.count(SceneSet(SINGLE, "test")) == len(SOLO)
    with pytest.raises(DataError):
        benchmark.count(SceneSet(DUET, "test"))
