from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

import tvsl.synthetic.world as world_module
from tvsl.errors import UsageError
from tvsl.scenes import box_of
from tvsl.synthetic.pictures import TWIN_RATIO, WorldObject
from tvsl.synthetic.sounds import LOUDNESS, SAMPLES
from tvsl.synthetic.vocabulary import CLASSES
from tvsl.synthetic.world import MOST_SOURCES, World, WorldScene

Objects = tuple[WorldObject, ...]


def same(first: WorldScene, second: WorldScene) -> bool:
    return (
        first.labels == second.labels
        and first.off_screen == second.off_screen
        and np.array_equal(first.picture, second.picture)
        and np.array_equal(first.waveform, second.waveform)
        and all(
            np.array_equal(one.masks, two.masks) and one.objects == two.objects
            for one, two in zip(first.panels, second.panels, strict=True)
        )
    )


@pytest.mark.parametrize("sources", [1, 2, 5])
def test_shapes_types_and_ranges(sources: int) -> None:
    scene = World(seed=2).scene(4, sources)
    assert scene.picture.shape == (112, 112 * sources, 3)
    assert scene.picture.dtype == np.uint8
    assert scene.waveform.shape == (SAMPLES,)
    assert scene.waveform.dtype == np.float32
    assert np.abs(scene.waveform).max() <= 1
    assert np.array_equal(np.rint(scene.waveform * 32768), scene.waveform * 32768)
    assert len(scene.panels) == len(scene.labels) == len(set(scene.labels)) == sources
    for place, panel in enumerate(scene.panels):
        window = slice(112 * place, 112 * (place + 1))
        assert np.array_equal(scene.picture[:, window], panel.picture)
        mask = scene.mask(place)
        assert mask.shape == (112, 112 * sources)
        assert np.array_equal(mask[:, window], panel.mask)
        assert mask.sum() == panel.mask.sum() > 0
        assert panel.masks.shape == (len(panel.objects), 112, 112)
        assert panel.boxes[panel.source] == box_of(panel.mask)
        assert panel.label == panel.objects[panel.source].label


def test_masks_share_no_pixel_and_hold_their_objects() -> None:
    world = World("train", "all", seed=8, twins=0.5)
    for index in range(150):
        panel = world.scene(index).panels[0]
        assert panel.masks.sum(axis=0).max() == 1
        for thing, (left, top, right, bottom) in zip(panel.objects, panel.boxes, strict=True):
            reach = 1.05 * thing.radius + 1
            assert thing.x - reach <= left < thing.x < right <= thing.x + reach
            assert thing.y - reach <= top < thing.y < bottom <= thing.y + reach


def test_one_object_sounds_and_the_silent_ones_are_of_other_classes(
    crowds: list[tuple[Objects, ...]],
) -> None:
    for scene in crowds:
        sounding = {thing.label for objects in scene for thing in objects if thing.sounds}
        assert len(sounding) == len(scene)
        for objects in scene:
            assert sum(thing.sounds for thing in objects) == 1
            plain = [t.label for t in objects if not t.sounds and not t.twin]
            assert not set(plain) & sounding
            assert len(plain) == len(set(plain))


def test_twins_are_of_one_class_and_of_other_sizes(panels: list[Objects]) -> None:
    twins = [[t for t in objects if t.twin] for objects in panels]
    for pair in filter(None, twins):
        first, second = pair
        assert first.sounds != second.sounds
        assert first.label == second.label
        assert max(first.radius, second.radius) >= TWIN_RATIO * min(first.radius, second.radius)
    share = sum(map(bool, twins)) / len(panels)
    assert share == pytest.approx(0.2, abs=4 * (0.2 * 0.8 / len(panels)) ** 0.5)


def test_counts_of_silent_objects(panels: list[Objects]) -> None:
    counts = np.bincount([len(objects) - 1 for objects in panels], minlength=3) / len(panels)
    # One of 0, 1, 2; where a twin is wanted, at least one.
    assert counts == pytest.approx([0.8 / 3, 0.8 / 3 + 0.2 * 2 / 3, 1 / 3], abs=0.06)


def test_all_classes_sound_equally_often(crowds: list[tuple[Objects, ...]]) -> None:
    labels = [t.label for scene in crowds for objects in scene for t in objects if t.sounds]
    counts = np.array([labels.count(name) for name in CLASSES["all"]])
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 80  # chi-square, 35 degrees


@pytest.mark.parametrize("classes", ["seen", "unseen", "all"])
def test_only_the_split_s_classes_occur(classes: Any) -> None:
    world = World("test", classes, seed=1, off_screen=1)
    found = set()
    for index in range(60):
        scene = world.scene(index, 2)
        found |= {t.label for panel in scene.panels for t in panel.objects}
        found.add(str(scene.off_screen))
    assert found <= set(CLASSES[classes])
    assert len(found) >= 17


@pytest.mark.parametrize(("classes", "sources"), [("seen", 1), ("all", 3), ("seen", 8)])
def test_an_off_screen_sound_is_nowhere_to_be_seen(classes: Any, sources: int) -> None:
    """With eight sources of 18 classes the silent objects could show all that is left."""
    world = World("validation", classes, seed=4, off_screen=1)
    for index in range(40 // sources * 2):
        scene = world.scene(index, sources)
        visible = {t.label for panel in scene.panels for t in panel.objects}
        assert scene.off_screen is not None
        assert scene.off_screen not in visible


def test_a_class_is_left_for_off_screen_sounds_in_the_most_crowded_scenes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one scene of a thousand, eight panels once showed all 18 classes between them."""
    picture = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1, 1), bool)
    monkeypatch.setattr(world_module, "render_picture", lambda *given: picture)
    for name in ("voice", "background"):
        monkeypatch.setattr(world_module, name, lambda *given: np.zeros(1, np.float32))
    world = World(off_screen=1, twins=0)
    for index in (*range(2250, 2300), 3074, 5257, 5642):
        scene = world.scene(index, 8)
        visible = {t.label for panel in scene.panels for t in panel.objects}
        assert scene.off_screen not in {None, *visible}


def test_shares_are_kept() -> None:
    world = World(seed=6, twins=0, off_screen=0.5)
    scenes = [world.scene(index) for index in range(150)]
    assert not any(scene.panels[0].twin is not None for scene in scenes)
    assert sum(scene.off_screen is not None for scene in scenes) == pytest.approx(75, abs=25)
    assert all(World(twins=1).scene(index).panels[0].twin is not None for index in range(20))
    assert all(World(off_screen=0).scene(index).off_screen is None for index in range(20))


@pytest.mark.parametrize("sources", [1, 3])
def test_the_sound_is_the_sum_of_the_panels(sources: int) -> None:
    for index in range(10):
        scene = World("test", off_screen=0).scene(index, sources)
        parts = np.sum([panel.waveform for panel in scene.panels], axis=0, dtype=np.float64)
        expected = np.clip(parts, -1, 32767 / 32768)
        assert np.abs(scene.waveform - expected).max() <= 0.51 / 32768


def test_an_off_screen_sound_is_added_and_nothing_else_changes() -> None:
    for index in range(10):
        plain = World("test", off_screen=0).scene(index, 2)
        scene = World("test", off_screen=1).scene(index, 2)
        assert np.array_equal(scene.picture, plain.picture)
        rest = np.sqrt(np.square(scene.waveform - plain.waveform, dtype=np.float64).mean())
        assert -6.1 < 20 * np.log10(rest / LOUDNESS) < 3.1


def test_loudness_varies_and_tells_nothing_of_size() -> None:
    levels, radii = [], []
    for index in range(250):
        panel = World(seed=12, twins=0).scene(index).panels[0]
        levels.append(20 * np.log10(np.sqrt(np.square(panel.waveform).mean()) / LOUDNESS))
        radii.append(panel.objects[panel.source].radius)
    assert min(levels) > -6.3
    assert max(levels) < 6.5
    assert np.ptp(levels) > 10
    assert abs(np.corrcoef(levels, np.log(radii))[0, 1]) < 4 / 250**0.5


def test_the_same_arguments_make_the_same_scene() -> None:
    first = World("test", "all", 3)
    again = World("test", "all", 3)
    backwards = [again.scene(index, 2) for index in reversed(range(6))][::-1]
    for index, scene in enumerate(backwards):
        assert same(first.scene(index, 2), scene)


def test_every_argument_makes_another_scene() -> None:
    scenes = [
        World("train", "all", 0).scene(0, 2),
        World("validation", "all", 0).scene(0, 2),
        World("test", "all", 0).scene(0, 2),
        World("train", "all", 1).scene(0, 2),
        World("train", "all", 0).scene(1, 2),
        World("train", "all", 0).scene(0, 3),
    ]
    panels = [panel.picture.tobytes() for scene in scenes for panel in scene.panels]
    sounds = [scene.waveform.tobytes() for scene in scenes]
    assert len(set(panels)) == len(panels)
    assert len(set(sounds)) == len(sounds)


def test_splits_are_disjoint() -> None:
    seen: dict[str, set[bytes]] = {}
    for split in ("train", "validation", "test"):
        world = World(split)  # type: ignore[arg-type]
        pictures = [world.scene(index).picture for index in range(60)]
        seen[split] = {hashlib.sha256(picture).digest() for picture in pictures}
        assert len(seen[split]) == 60
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["validation"]
    assert not seen["validation"] & seen["test"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"split": "dev"}, "validation"),
        ({"classes": "known"}, "unseen"),
        ({"seed": -1}, "seed"),
        ({"twins": 1.5}, "twins"),
        ({"off_screen": -0.1}, "off_screen"),
        ({"twins": float("nan")}, "twins"),
    ],
)
def test_a_world_that_cannot_be_is_an_error(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        World(**arguments)


@pytest.mark.parametrize(("index", "sources"), [(-1, 1), (0, 0), (0, MOST_SOURCES + 1), (0, -2)])
def test_a_scene_that_cannot_be_is_an_error(index: int, sources: int) -> None:
    with pytest.raises(UsageError, match="1 to 8"):
        World().scene(index, sources)


@pytest.mark.parametrize("number", [-1, 2])
def test_a_source_that_is_not_there_has_no_mask(number: int) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        World().scene(0, 2).mask(number)
