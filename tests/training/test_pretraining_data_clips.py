from __future__ import annotations

import numpy as np
import pytest

from tvsl.synthetic.vocabulary import SHAPES, SIZE_WORDS, SURFACES
from tvsl.synthetic.world import World
from tvsl.training import pretraining_data
from tvsl.training.pretraining_data import ClipArrays, make_clips, make_many_clips

WORLD = World("validation", "all", seed=5, twins=0.5)
FIELDS = ("pictures", "waveforms", "objects", "boxes")


def named(thing: np.ndarray) -> str:
    surface, shape, _ = thing.tolist()
    return f"{SURFACES[surface]} {SHAPES[shape]}"


def same(first: ClipArrays, second: ClipArrays) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in FIELDS)


def test_clips_are_the_world_s_scenes() -> None:
    numbers = [7, 0, 12, 3, 40]
    made = make_clips(WORLD, numbers)
    assert [getattr(made, name).dtype for name in FIELDS] == [np.uint8, np.int16, np.int8, np.int16]
    sizes = {}
    for row, number in enumerate(numbers):
        scene = WORLD.scene(number)
        assert np.array_equal(made.pictures[row], scene.picture)
        assert np.array_equal(made.waveforms[row] / np.float32(32768), scene.waveform)
        assert named(made.objects[row, 0]) == scene.labels[0]
        mask = scene.panels[0].mask
        left, top, right, bottom = made.boxes[row].tolist()
        assert mask[top:bottom, left:right].sum() == mask.sum()
        assert all(edge.any() for edge in (mask[top], mask[bottom - 1]))
        assert all(edge.any() for edge in (mask[:, left], mask[:, right - 1]))
        things = scene.panels[0].objects
        filled = made.objects[row][made.objects[row, :, 0] >= 0]
        assert sorted(map(named, filled)) == sorted(thing.label for thing in things)
        assert (made.objects[row, len(things) :] == -1).all()
        sounding = next(thing for thing in things if thing.sounds)
        sizes[sounding.radius] = int(made.objects[row, 0, 2])
    ordered = [sizes[radius] for radius in sorted(sizes)]
    assert ordered == sorted(ordered)  # a larger radius is no smaller word
    assert set(ordered) <= set(range(len(SIZE_WORDS)))


def test_twins_have_one_class_and_two_sizes() -> None:
    for source, *silent in make_clips(World("train", twins=1.0), range(20)).objects:
        (twin,) = (thing for thing in silent if named(thing) == named(source) and thing[0] >= 0)
        assert twin[2] != source[2]


def test_clips_are_taken_by_number() -> None:
    made = make_clips(WORLD, range(6))
    taken = made.take(np.array([4, 4, 1]))
    assert len(taken) == 3
    assert same(taken, make_clips(WORLD, [4, 4, 1]))


def test_classes_are_numbered_apart() -> None:
    made = make_clips(WORLD, range(60))
    names = [named(thing) for thing in made.objects[:, 0]]
    numbers = made.classes.tolist()
    assert len(set(names)) == len(set(numbers)) == len(set(zip(names, numbers, strict=True)))


@pytest.mark.parametrize("count", [1, 3, 8])
def test_processes_make_no_difference(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining_data, "_CHUNK", 3)
    reports: list[tuple[int, int | None]] = []
    alone = make_many_clips(WORLD, count, lambda *done: reports.append(done), workers=1)
    assert reports == [(min(n, count), count) for n in range(3, count + 3, 3)]
    assert same(alone, make_clips(WORLD, range(count)))
    if count > 3:  # else nothing is shared out
        reports.clear()
        shared = make_many_clips(WORLD, count, lambda *done: reports.append(done), workers=2)
        assert same(shared, alone)
        assert reports[-1] == (count, count)
