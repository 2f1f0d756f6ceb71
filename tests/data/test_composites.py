"""Composites against scenes that are put together by hand, and against what they promise."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.data.indexed_files import (
    BOX,
    HEIGHT,
    OFF_SCREEN,
    SILENT,
    SOUNDING,
    WIDTH,
    disc,
    index_lines,
    real_data,
    write_index,
)
from tests.data.made_files import RATE
from tvsl.data.composites import (
    LARGEST,
    NOISE_DECIBELS,
    OFF_SCREEN_DECIBELS,
    TWIN_RATIO,
    Composites,
    PanelPlan,
)
from tvsl.data.targets import Boxes, Mask
from tvsl.errors import UnreadableMediaError, UsageError
from tvsl.media import load_audio, load_image
from tvsl.scenes import Scene, box_of

NATURAL = tuple(name.replace("_", " ") for name in SOUNDING)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "real"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real")
    write_index(root, index_lines(root))
    return root


def maker(root: Path, **options: object) -> Composites:
    return real_data(root, **options).maker


def content(scene: Scene) -> bytes:
    masks = b"".join(np.packbits(panel.masks).tobytes() for panel in scene.panels)
    return scene.picture.tobytes() + scene.waveform.tobytes() + masks


def by_hand(
    composites: Composites, panel: PanelPlan
) -> tuple[NDArray[np.float64], list[NDArray[np.bool_]]]:
    """Picture and visible masks of a panel, laid pixel by pixel in the places of its layout."""
    side = composites.side
    canvas = np.full((side, side, 3), np.nan)
    visible: list[NDArray[np.bool_]] = []
    for layer, left, top in composites.layout(panel).layers:
        opaque = np.zeros((side, side), dtype=bool)
        for row in range(layer.shape[0]):
            for column in range(layer.shape[1]):
                y, x = top + row, left + column
                if not (0 <= y < side and 0 <= x < side):
                    continue
                red, green, blue, opacity = (int(value) for value in layer[row, column])
                share = opacity / 255
                if share == 1:
                    canvas[y, x] = (red, green, blue)
                elif share > 0:
                    canvas[y, x] = canvas[y, x] * (1 - share) + np.array((red, green, blue)) * share
                opaque[y, x] = opacity >= 128
        for earlier in visible:
            earlier &= ~opaque
        visible.append(opaque)
    return canvas, visible


@pytest.mark.parametrize("number", range(4))
def test_a_panel_put_together_by_hand(root: Path, number: int) -> None:
    composites = maker(root, split="train", twins=0.5)
    plan = composites.plan(number, 2)
    scene = composites.make(plan, RATE)
    for panel, made in zip(plan.panels, scene.panels, strict=True):
        canvas, visible = by_hand(composites, panel)
        for mask, expected, box in zip(made.masks, visible, made.boxes, strict=True):
            np.testing.assert_array_equal(mask, expected)
            rows, columns = np.nonzero(expected)
            assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        known = ~np.isnan(canvas[..., 0])  # the ground is not laid by hand
        assert known.any()
        assert np.abs(canvas[known] - made.picture[known]).max() <= 1.5


def test_visible_masks_do_not_overlap_and_are_not_hidden(root: Path) -> None:
    composites = maker(root, split="train", silent=4, twins=0.3)
    for number in range(40):
        plan = composites.plan(number)
        layout = composites.layout(plan.panels[0])
        assert layout.masks.sum(axis=0).max() == 1
        for mask, (layer, _, _) in zip(layout.masks, layout.layers, strict=True):
            assert mask.sum() >= 0.6 * (layer[..., 3] >= 128).sum()


def test_sizes(root: Path) -> None:
    composites = maker(root, split="train", silent=0)
    sizes = []
    for number in range(150):
        ((layer, _, _),) = composites.layout(composites.plan(number).panels[0]).layers
        sizes.append(math.sqrt(layer.shape[0] * layer.shape[1]) / composites.side)
        assert max(layer.shape[:2]) <= composites.side + 1
    assert 0.25 < min(sizes) < 0.36
    assert 0.75 < max(sizes) <= LARGEST + 0.02
    assert abs(np.median(sizes) - math.sqrt(0.3 * 0.9)) < 0.08  # log-uniform


def test_the_object_fills_its_mask(root: Path) -> None:
    """Inside the mask the object's colour, and none of the photograph's own ground."""
    composites = maker(root, split="train", silent=0)
    for number in range(20):
        plan = composites.plan(number)
        file = plan.panels[0].source.file
        if file.mask is None:
            continue
        panel = composites.make(plan, RATE).panels[0]
        colour = load_image(file.path)[HEIGHT // 2, WIDTH // 2].astype(int)
        layer = composites.layout(plan.panels[0]).layers[0][0]
        solid = layer[..., 3] == 255
        assert np.abs(layer[solid][:, :3].astype(int) - colour).max() <= 2
        # A disc, a pixel of the photograph narrower all around.
        filled = panel.mask.sum() / np.prod(
            np.subtract(box_of(panel.mask)[2:], box_of(panel.mask)[:2])
        )
        assert filled == pytest.approx(math.pi / 4, abs=0.2)


def test_a_box_without_a_mask_has_a_soft_edge(root: Path) -> None:
    composites = maker(root, split="train", silent=0)
    plans = (composites.plan(number).panels[0] for number in range(30))
    panel = next(plan for plan in plans if plan.source.file.mask is None)
    layer = composites.layout(panel).layers[0][0]
    middle = layer[layer.shape[0] // 2, :, 3].astype(int)
    assert middle[0] < 200
    assert middle[len(middle) // 2] == 255
    assert (layer[3:-3, 3:-3, 3] == 255).mean() > 0.8


@pytest.mark.parametrize("sources", [1, 3])
def test_the_sound_is_the_sum_of_its_parts(root: Path, sources: int) -> None:
    composites = maker(root, split="train", off_screen=1.0, gain=6.0)
    for number in range(6):
        plan = composites.plan(number, sources)
        scene = composites.make(plan, RATE)
        assert plan.off_screen is not None
        assert OFF_SCREEN_DECIBELS[0] <= plan.off_screen[1] <= OFF_SCREEN_DECIBELS[1]
        parts = [(panel.sound, panel.decibels) for panel in plan.panels] + [plan.off_screen]
        total = sum(
            load_audio(file.path, RATE).samples.astype(float) * 10 ** (decibels / 20)
            for file, decibels in parts
        )
        total = total / max(1.0, np.abs(total).max() / 0.99)
        np.testing.assert_allclose(scene.waveform, total, atol=2e-6)
        assert all(abs(panel.decibels) <= 6 for panel in plan.panels)


def test_noise_has_its_level(root: Path) -> None:
    quiet, noisy = maker(root, split="train"), maker(root, split="train", noise=1.0)
    for number in range(6):
        plan = noisy.plan(number)
        assert plan.noise is not None
        assert NOISE_DECIBELS[0] <= plan.noise <= NOISE_DECIBELS[1]
        without = quiet.scene(number, 1, RATE).waveform
        noise = noisy.make(plan, RATE).waveform - without
        level = 20 * math.log10(noise.std() / math.sqrt((without**2).mean()))
        assert level == pytest.approx(plan.noise, abs=0.3)


def test_splits_never_meet(root: Path) -> None:
    for split, short in (("train", "train"), ("validation", "val"), ("test", "test")):
        composites = maker(root, split=split, off_screen=0.5, twins=0.5)
        for number in range(60):
            plan = composites.plan(number, 2)
            files = [file for panel in plan.panels for file in panel.photographs]
            for file in (*files, *plan.sounds):
                assert file.split == split
                assert file.path.stem.startswith(short)


def test_the_seed_decides_everything(root: Path) -> None:
    options = {"split": "train", "off_screen": 0.5, "twins": 0.5, "noise": 0.5}
    first = [content(maker(root, **options).scene(number, 2, RATE)) for number in range(4)]
    again = maker(root, **options)
    assert [content(again.scene(number, 2, RATE)) for number in (3, 2, 1, 0)] == first[::-1]
    other = maker(root, **options, seed=1)
    assert not set(first) & {content(other.scene(number, 2, RATE)) for number in range(4)}
    assert len(set(first)) == 4


def test_classes_of_a_scene(root: Path) -> None:
    composites = maker(root, split="train", silent=4, off_screen=0.5, twins=0.5)
    heard: set[str | None] = set()
    shown: set[str] = set()
    for number in range(80):
        scene = composites.scene(number, 2, RATE)
        assert len(set(scene.labels)) == 2
        assert set(scene.labels) <= set(NATURAL)
        heard.add(scene.off_screen)
        for panel in scene.panels:
            others = [thing.label for thing in panel.objects if not thing.sounds and not thing.twin]
            shown |= set(others)
            assert not set(others) & {*scene.labels, scene.off_screen}
            assert len(others) == len(set(others))
    assert heard == {None, *NATURAL, *OFF_SCREEN}
    assert shown == {*NATURAL, *SILENT}


def test_twins(root: Path) -> None:
    composites = maker(root, split="train", twins=1.0)
    for number in range(30):
        plan = composites.plan(number).panels[0]
        panel = composites.scene(number, 1, RATE).panels[0]
        assert panel.twin is not None
        twin = plan.objects[panel.twin]
        assert twin.label == panel.label
        assert twin.file != plan.source.file
        layers = composites.layout(plan).layers
        sizes = [math.prod(layers[place][0].shape[:2]) for place in (panel.source, panel.twin)]
        assert math.sqrt(max(sizes) / min(sizes)) > TWIN_RATIO - 0.1
    assert all(
        panel.twin is None
        for number in range(30)
        for panel in maker(root, split="train").scene(number, 1, RATE).panels
    )


def test_conditions_that_are_not_asked_for_do_not_occur(root: Path) -> None:
    composites = maker(root, split="train", silent=0, gain=0.0)
    for number in range(20):
        plan = composites.plan(number, 2)
        assert plan.off_screen is None
        assert plan.noise is None
        assert all(len(panel.objects) == 1 and panel.decibels == 0 for panel in plan.panels)


def test_targets_are_what_is_visible(root: Path) -> None:
    composites = maker(root, split="train")
    for number in range(10):
        panel = composites.plan(number).panels[0]
        made = composites.scene(number, 1, RATE).panels[0]
        mask, box = composites.target(panel, True), composites.target(panel, False)
        assert isinstance(mask, Mask)
        assert isinstance(box, Boxes)
        np.testing.assert_array_equal(mask.drawn, made.mask)
        left, top, right, bottom = made.boxes[made.source]
        drawn = np.zeros((64, 64))
        drawn[top:bottom, left:right] = 1
        np.testing.assert_array_equal(box.draw(64, 64), drawn)


def test_whole_photographs(root: Path) -> None:
    composites = maker(root, split="train", scenes="photographs")
    for number in range(10):
        plan = composites.plan(number).panels[0]
        panel = composites.scene(number, 1, RATE).panels[0]
        assert plan.whole
        assert len(plan.objects) == 1
        photo = Image.fromarray(load_image(plan.source.file.path))
        resized = np.asarray(photo.resize((64, 64), Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(panel.picture, resized)
        box = composites.target(plan, False)
        assert isinstance(box, Boxes)
        assert box.boxes[0] == pytest.approx(
            np.array(BOX) / (WIDTH, HEIGHT, WIDTH, HEIGHT), abs=1e-6
        )
        if plan.source.file.mask is not None:
            rows = (np.arange(64) * 2 + 1) * HEIGHT // 128
            columns = (np.arange(64) * 2 + 1) * WIDTH // 128
            np.testing.assert_array_equal(panel.mask, disc()[rows[:, None], columns])


def test_a_class_without_boxes_gives_whole_photographs(tmp_path: Path) -> None:
    lines = index_lines(tmp_path)
    for line in lines:
        if line["class"] == "dog" and line["kind"] == "photo":
            line |= {"box": "", "mask": ""}
    write_index(tmp_path, lines)
    composites = maker(tmp_path, split="train")
    seen = {True: 0, False: 0}
    for number in range(30):
        plan = composites.plan(number).panels[0]
        assert plan.whole == (plan.source.label == "dog")
        seen[plan.whole] += 1
        if plan.whole:
            assert composites.target(plan, False) == Boxes(())
            assert composites.picture(plan).shape == (64, 64, 3)
    assert min(seen.values()) > 0


def test_a_ground_is_made_up_where_there_is_no_background(tmp_path: Path) -> None:
    lines = [line for line in index_lines(tmp_path) if line["class"] != "background"]
    write_index(tmp_path, lines)
    composites = maker(tmp_path, split="train", silent=0)
    pictures = [composites.scene(number, 1, RATE).panels[0].picture for number in range(3)]
    assert len({picture.tobytes() for picture in pictures}) == 3
    assert all(picture.std() > 5 for picture in pictures)


@pytest.mark.parametrize(("index", "sources"), [(0, 0), (0, 9), (-1, 1), (0, 5)])
def test_scenes_that_cannot_be_made(root: Path, index: int, sources: int) -> None:
    with pytest.raises(UsageError):
        maker(root, split="train").plan(index, sources)


def test_no_class_is_left_for_a_sound_off_screen(tmp_path: Path) -> None:
    lines = [line for line in index_lines(tmp_path) if line["role"] != "off-screen"]
    write_index(tmp_path, lines)
    with pytest.raises(UsageError):
        maker(tmp_path, split="train", off_screen=1.0).plan(0, 4)


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/real is not here")
def test_composites_of_real_files() -> None:
    composites = real_data(SHARED, split="validation", side=224, window=5.0).maker
    seen = set()
    for number in range(12):
        plan = composites.plan(number, 2)
        for panel in plan.panels:
            layout = composites.layout(panel)
            picture = composites.picture(panel)
            assert picture.shape == (224, 224, 3)
            assert layout.masks.sum(axis=0).max() == 1
            seen.add(panel.source.label)
    assert len(seen) > 8
    scene = composites.scene(0, 1, 16_000)
    assert scene.waveform.shape == (80_000,)
    assert np.abs(scene.waveform).max() > 0.01


def test_objects_that_find_no_place_are_an_error(root: Path) -> None:
    composites = maker(root, split="train", side=2, silent=4)
    panels = [composites.plan(number).panels[0] for number in range(20)]
    most = max(panels, key=lambda panel: len(panel.objects))
    with pytest.raises(UnreadableMediaError) as caught:
        composites.layout(most)
    assert caught.value.path is not None


def test_long_twins_find_a_place(tmp_path: Path) -> None:
    """Objects whose longest side is always cut to the panel's still differ in size."""
    lines = [line for line in index_lines(tmp_path, masks=False) if line["class"] != "cup"]
    for line in lines:
        if line.get("box"):
            line["box"] = "0 0.45 1 0.55"
    write_index(tmp_path, lines)
    composites = maker(tmp_path, split="train", twins=1.0, side=224)
    for number in range(5):
        panel = composites.plan(number).panels[0]
        assert composites.layout(panel).masks.any(axis=(1, 2)).all()
