from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.group import in_processes
from tvsl.synthetic.vocabulary import SHAPES, SIZE_WORDS, SURFACES
from tvsl.synthetic.world import World
from tvsl.training import pretraining_data
from tvsl.training.pretraining_data import ClipArrays, make_clips, make_many_clips
from tvsl.utils.processes import processes

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


def made_by_group(count: int) -> tuple[ClipArrays, ClipArrays, int, list[tuple[int, int | None]]]:
    """Clips that a group made, few and many, and how many this process made of the many."""
    own: list[int] = []
    reports: list[tuple[int, int | None]] = []

    def counted(world: World, indices: range | tuple[()]) -> ClipArrays:
        own.append(len(indices))
        return make_clips(world, indices)

    pretraining_data._CHUNK = 2
    with processes() as team:
        few = make_many_clips(WORLD, 1, team=team)
        pooled = make_many_clips(WORLD, count, workers=2, team=team)
        pretraining_data.make_clips = counted
        many = make_many_clips(WORLD, count, lambda *done: reports.append(done), 1, team)
        assert same(pooled, many)
    return few, many, sum(own), reports


@pytest.mark.processes
@pytest.mark.slow
def test_each_of_several_processes_makes_its_part(tmp_path: Path) -> None:
    made = in_processes(2, tmp_path, made_by_group, 11)
    for few, many, _, reports in made:
        assert same(few, make_clips(WORLD, range(1)))
        assert same(many, make_clips(WORLD, range(11)))
        assert reports[-1] == (11, 11)
    assert [own for _, _, own, _ in made] == [5, 6]


ENDLESS = """
from tvsl.synthetic.world import World
from tvsl.training.pretraining_data import make_many_clips

if __name__ == "__main__":
    make_many_clips(World("train"), 1_000_000, lambda *_: print("made", flush=True), workers=2)
"""


@pytest.mark.processes
@pytest.mark.slow
def test_workers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    end = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < end, "a worker is left"
        time.sleep(0.1)
