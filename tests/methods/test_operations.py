from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.methods.tvsl.inputs import tokens
from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.errors import UsageError
from tvsl.methods.operations import (
    LogitScale,
    by_panel,
    inverse_lengths,
    linear_projector,
    random_partners,
    select,
    two_layers,
    unit,
)

SCORES = torch.tensor([[0.1, 0.9, 0.4, 0.4, 0.7], [0.2, 0.1, 0.0, -0.3, 0.15]])


@pytest.mark.parametrize("length", [1e-5, 1.0, 1e6])
def test_length_becomes_one(length: float) -> None:
    vectors = torch.randn(4, 3, 8, dtype=torch.float64)
    vectors *= length / vectors.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(unit(vectors), vectors / length)
    expected = torch.full((4, 3), 1 / length, dtype=torch.float64)
    torch.testing.assert_close(inverse_lengths(vectors), expected)


def test_nothing_has_no_direction_and_no_gradient() -> None:
    vectors = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    found = unit(vectors)
    torch.testing.assert_close(found.detach(), torch.tensor([[0.0, 0.0], [0.6, 0.8]]))
    found.sum().backward()
    assert vectors.grad is not None
    torch.testing.assert_close(vectors.grad[0], torch.zeros(2))
    # d/dx of (x + y) / |v| at (3, 4)
    torch.testing.assert_close(vectors.grad[1], torch.tensor([4.0 / 125, -3.0 / 125]))


@pytest.mark.parametrize(
    ("start", "bias", "expected"),
    [
        (10.0, None, 5.0),
        (10.0, -3.0, 2.0),
        (1000.0, None, 50.0),  # clamped to 100
        (0.01, 1.0, 1.5),  # clamped to 1
    ],
)
def test_scale_and_bias(start: float, bias: float | None, expected: float) -> None:
    scale = LogitScale(start, bias)
    assert scale(torch.tensor(0.5)).item() == pytest.approx(expected, rel=1e-5)
    assert len(list(scale.parameters())) == (1 if bias is None else 2)


def test_linear_starts_as_identity_or_at_random() -> None:
    rows = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(linear_projector(8, identity_start=True)(rows), rows)
    assert not torch.allclose(linear_projector(8, identity_start=False)(rows), rows, atol=0.1)


def test_every_clip_gets_another_and_every_clip_is_used() -> None:
    drawn = set()
    for seed in range(40):
        torch.manual_seed(seed)
        partner = random_partners(4, torch.device("cpu"))
        assert sorted(partner.tolist()) == [0, 1, 2, 3]
        assert not bool((partner == torch.arange(4)).any())
        drawn.add(tuple(partner.tolist()))
    assert len(drawn) == 6  # all cycles of four
    assert random_partners(2, torch.device("cpu")).tolist() == [1, 0]
    assert len(random_partners(1, torch.device("cpu"))) == 0


def test_two_layers_have_a_relu_between() -> None:
    layers = two_layers(3, 2, hidden=5, bias=False).double()
    first, second = (layer.detach() for layer in layers.parameters())
    assert first.shape == (5, 3)
    assert second.shape == (2, 5)
    given = torch.randn(4, 3, dtype=torch.float64)
    expected = (given @ first.T).clamp(min=0) @ second.T
    torch.testing.assert_close(layers(given), expected)
    assert [tuple(p.shape) for p in two_layers(3, 2).parameters()] == [(2, 3), (2,), (2, 2), (2,)]


def test_panels_are_taken_apart() -> None:
    single = tokens(6)
    frames = FrameTokens(single.visual, single.image, single.grid)
    joined = join_panels(frames, SoundTokens(single.audio[::3], single.sound[::3]), 3)
    assert torch.equal(by_panel(joined.visual, joined).flatten(0, 1), single.visual)


def chosen(scores: torch.Tensor, **rule: object) -> list[list[int]]:
    found = select(scores, **rule)  # type: ignore[arg-type]
    rows: list[list[int]] = [[] for _ in scores]
    for clip, label in zip(found.clip.tolist(), found.label.tolist(), strict=True):
        rows[clip].append(label)
    assert found.clip.tolist() == sorted(found.clip.tolist())
    return rows


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"sources": 1}, [[1], [0]]),
        ({"sources": 3}, [[1, 4, 2], [0, 4, 1]]),  # of equal scores the first class first
        ({"sources": 5}, [[1, 4, 2, 3, 0], [0, 4, 1, 2, 3]]),
        ({"sources": [3, 1]}, [[1, 4, 2], [0]]),  # a number for each clip
        ({"sources": 2, "threshold": 5.0}, [[1, 4], [0, 4]]),
        ({"threshold": 0.4}, [[1, 4, 2, 3], [0]]),  # at the threshold counts; at least one
        ({"threshold": 9.0}, [[1], [0]]),
        ({"threshold": -9.0}, [[1, 4, 2, 3, 0], [0, 4, 1, 2, 3]]),
    ],
)
def test_select(rule: dict[str, float], expected: list[list[int]]) -> None:
    assert chosen(SCORES, **rule) == expected


@pytest.mark.parametrize("sources", [0, -1, 6, 10**30, [1, 6], [0, 1]])
def test_impossible_number_is_refused(sources: int | list[int]) -> None:
    with pytest.raises(UsageError, match="from 1 to 5"):
        select(SCORES, sources=sources)


def test_numbers_for_other_clips_are_refused() -> None:
    with pytest.raises(UsageError, match="for 2 clips"):
        select(SCORES, sources=[1, 2, 3])


@pytest.mark.parametrize("classes", [3, 30, 200])
@pytest.mark.parametrize("loud", [0, 1, 3, 12])
def test_uncalibrated_rule_equals_naive_rule(classes: int, loud: int) -> None:
    generator = np.random.default_rng(classes + loud)
    rows = generator.normal(size=(6, classes))
    rows[:, :loud] += 6.0
    expected = []
    for row in rows:
        bound = row.mean() + 2.5 * np.sqrt(((row - row.mean()) ** 2).mean())
        order = sorted(range(classes), key=lambda k: -row[k])
        over = [k for k in order if row[k] >= bound][:8]
        expected.append(over or order[:1])
    assert chosen(torch.tensor(rows)) == expected


def test_uncalibrated_rule_with_nothing_that_stands_out() -> None:
    # 0.5 is exact in binary; with 0.1 rounding decides today.
    assert [len(row) for row in chosen(torch.full((2, 20), 0.5))] == [1, 1]


def test_ties_keep_the_order_of_the_vocabulary() -> None:
    assert chosen(torch.zeros(1, 300), sources=5) == [[0, 1, 2, 3, 4]]


def test_classes_stand_out_from_two_and_a_half_deviations_on_and_are_eight_at_most() -> None:
    def taken(high: float, count: int, among: int) -> int:
        scores = torch.zeros(1, among, dtype=torch.float64)
        scores[0, :count] = high
        scores[0, -1] = -0.01  # else all would be alike
        return len(select(scores))

    # k equal peaks among n: each lies sqrt((n - k) / k) deviations over the mean.
    assert taken(1.0, 2, 15) == 2  # 2.55
    assert taken(1.0, 2, 14) == 1  # 2.45: only the best, which is always taken
    assert taken(1.0, 8, 200) == 8
    assert taken(1.0, 12, 200) == 8
    close = torch.ones(1, 20, dtype=torch.float64)
    close[0, :2] = 1.001  # two of twenty, a thousandth higher: more than rounding
    assert len(select(close)) == 2
