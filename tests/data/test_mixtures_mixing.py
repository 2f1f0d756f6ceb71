from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvsl.data.mixtures import draw_mixtures, split_clips
from tvsl.errors import UsageError

LABELS = np.repeat(np.arange(9), 40)

some_labels = st.lists(st.integers(0, 11), min_size=1, max_size=120).map(
    lambda numbers: np.array(numbers, dtype=np.int64)
)
seeds = st.integers(0, 2**32)


@given(some_labels, st.integers(1, 8), st.integers(1, 3), seeds)
def test_mixtures_are_of_different_classes_and_take_turns(
    labels: np.ndarray, most: int, rounds: int, seed: int
) -> None:
    counts = np.bincount(labels)
    sources = min(most, int((counts > 0).sum()))
    mixtures = draw_mixtures(labels, sources, rounds, seed)
    assert mixtures.dtype == np.int64
    assert mixtures.shape[1] == sources
    assert all(len(set(row)) == sources for row in labels[mixtures].tolist())
    used = np.bincount(mixtures.ravel(), minlength=len(labels))
    for label in np.flatnonzero(counts):
        own = used[labels == label]
        assert own.max() - own.min() <= 1
    if counts.max() <= len(labels) // sources:  # no class has more than its share
        assert used.max() - used.min() <= 1
        wanted = 1 if sources == 1 else rounds
        assert abs(used - wanted).max() <= 1
        assert len(mixtures) == wanted * (len(labels) // sources)
    np.testing.assert_array_equal(mixtures, draw_mixtures(labels, sources, rounds, seed))


def test_no_mixture_is_left_out_that_could_be_made() -> None:
    labels = np.array([0] * 10 + [1, 2, 2])
    mixtures = draw_mixtures(labels, 2)
    assert len(mixtures) == 3  # each needs one that is not of class 0
    used = np.bincount(draw_mixtures(labels, 2, rounds=10).ravel())
    assert used[:10].min() > 0


def test_each_clip_is_alone_once() -> None:
    np.testing.assert_array_equal(draw_mixtures(LABELS, 1, 5), np.arange(360)[:, None])


def test_a_round_does_not_depend_on_how_many_follow() -> None:
    first, both = (draw_mixtures(LABELS, 3, rounds, seed=5) for rounds in (1, 2))
    np.testing.assert_array_equal(both[: len(first)], first)
    assert not np.array_equal(both[len(first) :], first)
    assert not np.array_equal(draw_mixtures(LABELS, 3, seed=6), first)


@pytest.mark.parametrize("sources", [2, 3, 8])
def test_every_class_meets_every_other_alike(sources: int) -> None:
    met = np.zeros((9, 9))
    places = np.zeros((sources, 9))
    for seed in range(40):
        rows = LABELS[draw_mixtures(LABELS, sources, seed=seed)]
        for one in range(sources):
            places[one] += np.bincount(rows[:, one], minlength=9)
            for other in range(sources):
                np.add.at(met, (rows[:, one], rows[:, other]), one != other)
    apart = met[~np.eye(9, dtype=bool)]
    assert abs(apart / apart.mean() - 1).max() < 0.15
    assert abs(places / places.mean() - 1).max() < 0.3  # few counts a cell


@pytest.mark.parametrize(
    ("sources", "rounds", "says"),
    [(0, 1, "1 to 8"), (9, 1, "1 to 8"), (2, 0, "round"), (8, 1, "as many")],
)
def test_what_cannot_be_mixed(sources: int, rounds: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        draw_mixtures(LABELS[:200], sources, rounds)


@given(st.integers(1, 300), st.integers(1, 50), seeds)
def test_clips_are_split_evenly(count: int, size: int, seed: int) -> None:
    parts = split_clips(count, size, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(count))
    sizes = [len(part) for part in parts]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    np.testing.assert_array_equal(parts[0], split_clips(count, size, seed)[0])
