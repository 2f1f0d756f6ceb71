from __future__ import annotations

import numpy as np
import pytest

from tvsl.demo.scenes import KINDS, DemoScene, made_up_scenes
from tvsl.synthetic.vocabulary import CLASSES
from tvsl.synthetic.world import World


@pytest.fixture(scope="module")
def scenes() -> dict[str, DemoScene]:
    return {case.kind.name: case for case in made_up_scenes()}


def test_there_is_one_of_every_kind(scenes: dict[str, DemoScene]) -> None:
    assert list(scenes) == [kind.name for kind in KINDS]
    assert len(scenes) == len(KINDS) == 7


def test_all_are_held_out(scenes: dict[str, DemoScene]) -> None:
    for case in scenes.values():
        world = case.truth["world"]
        assert world["split"] == "test"
        again = World("test", world["classes"]).scene(case.scene.index, len(case.scene.panels))
        np.testing.assert_array_equal(case.scene.picture, again.picture)
        np.testing.assert_array_equal(case.scene.waveform, again.waveform)


@pytest.mark.parametrize(
    ("name", "sources", "classes", "twins", "off_screen"),
    [
        ("one", 1, "seen", 0, False),
        ("two", 2, "seen", 0, False),
        ("three", 3, "seen", 0, False),
        ("four", 4, "seen", 0, False),
        ("twin", 1, "seen", 1, False),
        ("off-screen", 1, "seen", 0, True),
        ("unseen", 2, "unseen", 0, False),
    ],
)
def test_each_shows_what_it_says(
    name: str,
    sources: int,
    classes: str,
    twins: int,
    off_screen: bool,
    scenes: dict[str, DemoScene],
) -> None:
    case = scenes[name]
    truth = case.truth
    assert len(truth["labels"]) == truth["panels"] == sources
    assert set(truth["labels"]) <= set(CLASSES[classes])  # type: ignore[index]
    assert len(truth["twins"]) == twins
    assert (truth["off_screen"] is not None) == off_screen
    assert case.id == truth["id"]


@pytest.mark.parametrize("seed", [0, 3])
def test_each_is_the_first_of_its_kind(seed: int) -> None:
    for case in made_up_scenes(seed):
        kind = next(kind for kind in KINDS if kind.name == case.kind.name)
        world, count = World("test", kind.classes, seed), len(case.scene.panels)
        earlier = [world.scene(index, count) for index in range(case.scene.index)]
        assert not any(kind.fits(scene) for scene in earlier)


def test_other_seeds_show_other_scenes(scenes: dict[str, DemoScene]) -> None:
    for case in made_up_scenes(1):
        other = scenes[case.kind.name].scene
        assert not np.array_equal(case.scene.picture, other.picture)


def test_boxes_lie_in_the_whole_picture(scenes: dict[str, DemoScene]) -> None:
    for case in scenes.values():
        truth = case.truth
        for label, box in zip(case.scene.labels, case.boxes, strict=True):
            assert truth["boxes"][label] == [list(box)]
        silent = [thing["box"] for thing in truth["objects"] if thing["twin"]]
        assert [list(box) for box in case.twins if box is not None] == silent


def test_what_is_heard_off_screen_is_what_the_pictures_do_not_explain(
    scenes: dict[str, DemoScene],
) -> None:
    for name, case in scenes.items():
        rest = case.off_screen_sound
        if name != "off-screen":
            assert rest is None
            continue
        assert rest is not None
        seen = sum(panel.waveform for panel in case.scene.panels)
        np.testing.assert_allclose(seen + rest, case.scene.waveform, atol=1e-6)
        assert np.abs(rest).max() > 0.01
