from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tvsl.data.base import Item, Source, draw_targets
from tvsl.data.mixtures import mix
from tvsl.data.targets import Boxes

LEFT, RIGHT = Boxes(((0.0, 0.0, 0.5, 1.0),)), Boxes(((0.5, 0.0, 1.0, 1.0),))


def part(name: str, label: str, target: Boxes) -> Item:
    return Item(name, (Path(f"{name}.jpg"),), (Path(f"{name}.wav"),), (Source(label, target),))


def test_parts_stand_side_by_side() -> None:
    item = mix([part("a", "dog", LEFT), part("b", "cat", RIGHT)])
    assert item.id == "a+b"
    assert item.frames == (Path("a.jpg"), Path("b.jpg"))
    assert item.sounds == (Path("a.wav"), Path("b.wav"))
    assert item.panels == 2
    assert item.sources == (Source("dog", LEFT, 0), Source("cat", RIGHT, 1))


def test_a_mixture_tells_what_it_is_of() -> None:
    a, b, c = (part(name, "dog", LEFT) for name in "abc")
    assert mix([a, b]).ids == ("a", "b")
    assert mix([mix([a, b]), c]).ids == ("a", "b", "c")
    assert a.ids == ("a",)


def test_mixtures_of_the_same_recordings_are_one_group() -> None:
    a, b, c = (part(name, "dog", LEFT) for name in "abc")
    one, other = replace(a, recording="video"), replace(b, recording="video")
    assert mix([one, c]).group == mix([c, other]).group
    assert mix([one, c]).group != mix([one, other]).group
    assert mix([a, b]).recording is None


def test_parts_of_one_class_are_one_source_with_the_union_of_its_panels() -> None:
    item = mix([part("a", "dog", LEFT), part("b", "cat", LEFT), part("c", "dog", RIGHT)])
    assert item.labels == ("dog", "cat")
    drawn = draw_targets(item.sources, 3, 2, 4)
    expected = np.zeros((2, 2, 12))
    expected[0, :, :2] = 1
    expected[0, :, 10:] = 1
    expected[1, :, 4:6] = 1
    np.testing.assert_array_equal(drawn, expected)
