from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tvsl.errors import OutputError, UsageError
from tvsl.media import load_audio, load_image, read_frame
from tvsl.scenes import box_of
from tvsl.synthetic import export
from tvsl.synthetic.export import MANIFEST, describe, export_world, object_map
from tvsl.synthetic.pictures import SIDE
from tvsl.synthetic.world import World
from tvsl.vocabularies import read_vocabulary

WORLD = World("test", "all", seed=5, twins=0.5, off_screen=0.5)


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def content(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "out"
    assert export_world(WORLD, folder, 5, 2, videos=True) == folder / MANIFEST
    return folder


def test_the_folder_holds_what_the_manifest_lists_and_nothing_else(exported: Path) -> None:
    found = lines(exported)
    listed = {line[key] for line in found for key in ("frame", "audio", "masks", "video", "names")}
    assert len(listed) == 21
    assert content(exported) == listed | {MANIFEST}
    assert not exported.with_name("out.part").exists()
    for line in found:
        assert Path(line["frame"]) == Path("frames", line["id"] + ".png")
        assert Path(line["audio"]) == Path("audio", line["id"] + ".wav")


def test_files_are_the_scenes_without_loss(exported: Path) -> None:
    for index, line in enumerate(lines(exported)):
        scene = WORLD.scene(index, 2)
        assert np.array_equal(load_image(exported / line["frame"]), scene.picture)
        sound = load_audio(exported / line["audio"], line["rate"])
        assert np.array_equal(sound.samples, scene.waveform)
        assert len(sound.samples) / line["rate"] == line["duration"]


def test_the_names_are_those_of_the_world(exported: Path) -> None:
    assert read_vocabulary(exported / "names.txt") == WORLD.names


def test_videos_keep_picture_and_sound(exported: Path) -> None:
    for index, line in enumerate(lines(exported)):
        scene = WORLD.scene(index, 2)
        error = read_frame(exported / line["video"], 0.7).image.astype(float) - scene.picture
        assert 10 * np.log10(255**2 / np.square(error).mean()) > 40
        heard = load_audio(exported / line["video"], line["rate"]).samples
        assert np.corrcoef(heard[: len(scene.waveform)], scene.waveform)[0, 1] > 0.995


def test_the_manifest_is_the_ground_truth(exported: Path) -> None:
    for index, line in enumerate(lines(exported)):
        scene = WORLD.scene(index, 2)
        assert (line["width"], line["height"], line["panels"]) == (2 * SIDE, SIDE, 2)
        assert line["labels"] == list(scene.labels)
        for place, label in enumerate(scene.labels):
            assert line["boxes"][label] == [list(box_of(scene.mask(place)))]
        assert line["off_screen"] == scene.off_screen
        twins = [panel.label for panel in scene.panels if panel.twin is not None]
        assert line["twins"] == twins
        assert [thing["label"] for thing in line["objects"] if thing["twin"]] == twins
        sounding = [thing["label"] for thing in line["objects"] if thing["sounds"]]
        assert sounding == line["labels"]


def test_a_scene_is_made_again_from_its_line(exported: Path) -> None:
    for line in lines(exported):
        given = dict(line["world"])
        index, sources = given.pop("index"), given.pop("sources")
        scene = World(**given).scene(index, sources)
        assert np.array_equal(load_image(exported / line["frame"]), scene.picture)


def test_masks_hold_the_objects_by_their_values(exported: Path) -> None:
    for line in lines(exported):
        with Image.open(exported / line["masks"]) as image:
            values = np.array(image)
        assert values.shape == (line["height"], line["width"])
        assert set(np.unique(values)) == {0, *(thing["value"] for thing in line["objects"])}
        for thing in line["objects"]:
            assert list(box_of_wide(values == thing["value"])) == thing["box"]


def box_of_wide(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_the_object_map_is_the_masks() -> None:
    scene = WORLD.scene(9, 3)
    values = object_map(scene)
    things = describe(WORLD, scene, {})["objects"]
    for place in range(3):
        value = next(t["value"] for t in things if t["panel"] == place and t["sounds"])
        assert np.array_equal(values == value, scene.mask(place))


def test_without_videos_there_are_none(tmp_path: Path) -> None:
    export_world(World(), tmp_path / "out", 2)
    assert not (tmp_path / "out" / "videos").exists()
    assert all("video" not in line for line in lines(tmp_path / "out"))


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    export_world(World(), tmp_path / "out", 3, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_folder_in_use_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="--force"):
        export_world(World(), tmp_path, 10**9)
    assert content(tmp_path) == {"notes.txt"}


def test_force_replaces_the_earlier_export_and_keeps_the_rest(tmp_path: Path) -> None:
    export_world(World("train"), tmp_path, 3, videos=True)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "frames" / "mine.png").write_text("mine")
    export_world(World("test"), tmp_path, 1, force=True)
    names = {line["frame"] for line in lines(tmp_path)}
    frames = {name for name in content(tmp_path) if name.startswith("frames/")}
    assert frames == names | {"frames/mine.png"}
    assert {"notes.txt", "names.txt"} <= content(tmp_path)
    assert not (tmp_path / "videos").exists()


@pytest.mark.parametrize(
    "record",
    [
        "no json",
        "[]\n3\n",
        '{"frame": "../precious.png", "audio": "/etc/hostname"}\n',
        '{"world": {}, "frame": "../precious.png"}',
        '{"world": {}, "frame": "/etc/hostname"}',
        '{"world": {}, "frame": "a\\u0000b"}',
        '{"world": {}, "frame": 5}',
        '{"id": 1}',
        "[" * 100_000,
    ],
)
def test_a_manifest_that_is_not_ours_is_not_replaced(tmp_path: Path, record: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "precious.png").write_text("mine")
    (folder / MANIFEST).write_text(record)
    with pytest.raises(OutputError, match="not written by tvsl"):
        export_world(WORLD, folder, 1, force=True)
    assert content(folder) == {MANIFEST}
    assert (folder / MANIFEST).read_text() == record
    assert (tmp_path / "precious.png").read_text() == "mine"
    assert Path("/etc/hostname").exists()


@pytest.mark.parametrize(("scenes", "sources"), [(0, 1), (-3, 1), (2, 0), (2, 9)])
def test_what_cannot_be_made_is_an_error_and_leaves_nothing(
    tmp_path: Path, scenes: int, sources: int
) -> None:
    with pytest.raises(UsageError):
        export_world(World(), tmp_path / "out", scenes, sources)
    assert not content(tmp_path)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_wav", full)
    with pytest.raises(OutputError, match="No space left"):
        export_world(World(), tmp_path / "out", 2)
    assert list(tmp_path.iterdir()) == []


def test_a_stop_half_way_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_world(World(), tmp_path / "out", 5, progress=stop)
    assert list(tmp_path.iterdir()) == []
