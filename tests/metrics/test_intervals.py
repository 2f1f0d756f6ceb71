from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import average_precision_score
from torchmetrics.wrappers import BootStrapper

from tvsl.errors import ShapeError, UsageError
from tvsl.metrics import (
    PROTOCOLS,
    Bootstrap,
    DetectionMeanAveragePrecision,
    Interval,
    MeanAveragePrecision,
    MeanCIoU,
    ProtocolMetric,
    SuccessRate,
    detection_draws,
    verdict,
)
from tvsl.metrics.intervals import (
    again,
    centred,
    class_mean,
    detection_precision,
    mean,
    over_runs,
    ratio,
)
from tvsl.metrics.pair_metric import Columns

Floats = NDArray[np.float64]
RNG = np.random.default_rng(4)


def drawn_rows(clusters: Any, resamples: int, seed: int) -> list[list[int]]:
    """Rows of each resample, by a plain loop over clusters."""
    clusters = np.asarray(clusters)
    names = sorted(set(clusters.tolist()))
    draws = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)))
    return [
        [row for place in one for row in np.flatnonzero(clusters == names[place])] for one in draws
    ]


def made_columns(items: int = 130, sources: int = 2, seed: int = 0) -> Columns:
    rng = np.random.default_rng(seed)
    pairs = items * sources
    frames = np.repeat(np.arange(items), sources)
    overlap = np.clip(rng.random(pairs) * 0.7 + np.repeat(rng.random(items), sources) * 0.3, 0, 1)
    there = rng.random(pairs) > 0.15
    return {
        "ciou": torch.from_numpy(np.where(there, overlap, 0)),
        "iou": torch.from_numpy(rng.random(pairs)),
        "ap": torch.from_numpy(rng.random(pairs)),
        "confidence": torch.from_numpy(rng.random(pairs)),
        "labels": torch.from_numpy(rng.integers(5, size=pairs)),
        "frames": torch.from_numpy(frames),
        "ids": torch.arange(pairs),
        "sounding": torch.from_numpy(there),
    }


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", ["paper", "median", "adaptive", "fixed", "negatives"])
def test_figures_of_resamples_are_those_of_a_plain_loop(name: str, several: bool) -> None:
    columns = made_columns()
    metric = ProtocolMetric(name, several)
    found = metric.draws({"": columns}, columns["frames"], resamples=20, seed=3)[""]
    counted = columns["sounding"] | PROTOCOLS[name].include_empty
    kept = {key: column[counted] for key, column in columns.items()}
    loop: dict[str, list[float]] = {}
    for rows in drawn_rows(kept["frames"], 20, 3):
        some = {key: column[rows] for key, column in kept.items()}
        copies: dict[tuple[int, int], int] = {}
        # A frame that was drawn twice is two frames.
        for place, row in enumerate(rows):
            frame = int(kept["frames"][row])
            copies[frame, row] = copies.get((frame, row), -1) + 1
            some["frames"][place] = frame + 1000 * copies[frame, row]
        some["ids"] = torch.full_like(some["ids"], -1)
        for figure, value in metric.compute_from(some).items():
            loop.setdefault(figure, []).append(float(value))
    assert found.keys() == loop.keys()
    whole = metric.compute_from(columns)
    for figure, values in loop.items():
        wanted = np.array(values)
        if figure in ("confident AP", "max-F1"):
            wanted = wanted - wanted.mean() + float(whole[figure])
        np.testing.assert_allclose(found[figure], wanted.clip(0, 1), atol=1e-12)


@pytest.mark.parametrize("statistic", ["mean", "ratio", "class mean"])
def test_ends_are_those_of_scipy(statistic: str) -> None:
    values, labels = RNG.random(120), RNG.integers(4, size=120)

    def averaged(values: Floats, labels: NDArray[np.int64]) -> float:
        kinds = np.unique(labels)
        return float(np.mean([values[labels == kind].mean() for kind in kinds]))

    makers: dict[str, tuple[Any, Callable[..., Any]]] = {
        "mean": (mean(values), lambda v, g: np.mean(v)),
        "ratio": (ratio(values * labels, labels), lambda v, g: (v * g).sum() / g.sum()),
        "class mean": (class_mean(values, labels), averaged),
    }
    ours, theirs = makers[statistic]
    found = Interval.of(Bootstrap(np.arange(120), 4000).draw({"": ours})[""])
    expected = stats.bootstrap(
        (values, labels), theirs, n_resamples=4000, paired=True, vectorized=False,
        method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.08 * width)
    assert found.high == pytest.approx(expected.high, abs=0.08 * width)


def test_detection_is_that_of_scikit_learn_on_every_resample() -> None:
    clips, classes = 30, 4
    labels = RNG.random((clips, classes)) < 0.25
    labels[:, 0] = False
    labels[3, 1] = True
    scores = np.round(labels + RNG.normal(size=(clips, classes)), 1)  # with equal scores
    found = Bootstrap(np.arange(clips), 25, 7).draw({"": detection_precision(scores, labels)})[""]
    expected = []
    for rows in drawn_rows(np.arange(clips), 25, 7):
        some = [
            average_precision_score(labels[rows, column], scores[rows, column])
            for column in range(classes)
            if labels[rows, column].any()
        ]
        expected.append(np.mean(some))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_draws_of_detection_lie_around_the_figure() -> None:
    labels = RNG.random((40, 3)) < 0.3
    scores = labels + RNG.normal(size=(40, 3))
    metric = DetectionMeanAveragePrecision(3)
    metric.update(scores, labels)
    draws = detection_draws({"one": scores}, labels, Bootstrap(np.arange(40)))["one"]
    assert draws.mean() == pytest.approx(float(metric.compute()), abs=1e-9)
    (interval,) = metric.intervals().values()
    assert interval.holds(float(metric.compute()))
    assert interval == Interval.of(
        detection_draws({"": scores.astype(np.float32)}, labels, Bootstrap(np.arange(40)))[""]
    )


def test_what_belongs_together_is_drawn_together() -> None:
    values = np.repeat(RNG.random(200), 2)  # both sources of a mixture fare alike
    alone = Interval.of(Bootstrap(np.arange(400)).draw({"": mean(values)})[""])
    together = Interval.of(Bootstrap(np.repeat(np.arange(200), 2)).draw({"": mean(values)})[""])
    wider = (together.high - together.low) / (alone.high - alone.low)
    assert wider == pytest.approx(np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("items", [50, 150])
def test_95_of_100_intervals_hold_the_truth(items: int) -> None:
    rng = np.random.default_rng(11)
    held, trials = 0, 200
    for trial in range(trials):
        shared = rng.normal(size=(items, 1))  # of two sources, clustered
        success = (shared + rng.normal(size=(items, 2)) > 0).astype(float).ravel()
        clusters = np.repeat(np.arange(items), 2)
        draws = Bootstrap(clusters, 200, seed=trial).draw({"": mean(success)})[""]
        held += Interval.of(draws).holds(0.5)
    assert 0.9 <= held / trials <= 0.98


def test_intervals_of_detection_hold_what_a_set_of_that_size_gives() -> None:
    rng = np.random.default_rng(5)

    def clips() -> tuple[Floats, NDArray[np.bool_]]:
        labels = rng.random((80, 4)) < 0.3
        return labels + 0.8 * rng.normal(size=labels.shape), labels

    def figure(scores: Floats, labels: NDArray[np.bool_]) -> float:
        return float(detection_precision(scores, labels)(np.ones((1, 80)))[0])

    expected = np.mean([figure(*clips()) for _ in range(600)])
    trials = [clips() for _ in range(80)]
    intervals = [
        Interval.of(detection_draws({"": s}, y, Bootstrap(np.arange(80), 200))[""])
        for s, y in trials
    ]
    held = np.mean([interval.holds(float(expected)) for interval in intervals])
    assert held >= 0.88


def test_the_seed_decides_every_draw() -> None:
    values = RNG.random(60)

    def draw(seed: int) -> Floats:
        return Bootstrap(np.arange(60), 50, seed).draw({"": mean(values)})[""]

    np.testing.assert_array_equal(draw(0), draw(0))
    assert (draw(0) != draw(1)).any()
    card = np.random.default_rng(0).choice(values, (50, 60)).mean(axis=1)
    np.testing.assert_allclose(draw(0), card, atol=1e-12)


def test_many_items_are_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = RNG.random(60)
    whole = Bootstrap(np.arange(60), 50).draw({"": mean(values)})[""]
    monkeypatch.setattr("tvsl.metrics.intervals._BLOCK", 7 * 60)
    parts = Bootstrap(np.arange(60), 50).draw({"": mean(values)})[""]
    np.testing.assert_allclose(parts, whole, atol=1e-12)


def test_two_methods_are_paired_resample_by_resample() -> None:
    first = RNG.random(100)
    second = first + 0.01  # better by little, but on every item
    drawn = Bootstrap(np.arange(100)).draw({"a": mean(first), "b": mean(second)})
    difference = Interval.of(drawn["b"] - drawn["a"])
    assert difference.low == pytest.approx(0.01)
    assert verdict(difference) == "better"
    assert verdict(Interval.of(drawn["a"] - drawn["b"])) == "worse"
    assert verdict(difference, low_is_good=True) == "worse"
    assert verdict(Interval(-0.1, 0.2)) == verdict(Interval(float("nan"), 0)) == "no difference"


def test_runs_are_drawn_as_well() -> None:
    rng = np.random.default_rng(2)
    scenes = rng.normal(scale=0.01, size=20000)  # the same for all runs: paired
    runs = np.array([0.4, 0.5, 0.6])
    draws = over_runs(runs[:, None] + scenes)
    assert draws.mean() == pytest.approx(0.5, abs=0.002)
    # The variance of a mean of three runs, and that of the scenes.
    assert draws.std() == pytest.approx(np.sqrt(runs.var(ddof=1) / 3 + 0.01**2), rel=0.02)
    np.testing.assert_array_equal(over_runs(scenes[None]), scenes)
    assert (over_runs(runs[:, None] + scenes, seed=1) != draws).any()


def test_a_resample_without_a_pair_does_not_count() -> None:
    kept = np.array([True, False, False])
    draws = Bootstrap(np.arange(3), 200).draw({"": mean([0.5, 9.0, 9.0], kept)})[""]
    assert np.isnan(draws).any()
    assert Interval.of(draws) == Interval(0.5, 0.5)
    nothing = np.full(3, np.nan)
    assert np.isnan(Interval.of(nothing).low)
    assert np.isnan(centred(nothing, 0.5)).all()
    assert np.isnan(again(lambda _: 1.0, {"a": torch.ones(2)})(np.zeros((1, 2)))).all()


def test_wrong_clusters_and_counts_are_refused() -> None:
    for clusters in ([], [[1]], [0.5]):
        with pytest.raises(ShapeError):
            Bootstrap(clusters)
    with pytest.raises(UsageError):
        Bootstrap([1], resamples=0)


MAPS = RNG.random((60, 6, 6)).astype(np.float32)
TARGETS = RNG.random((60, 12, 12)) > 0.6


def test_metrics_take_arrays_and_give_intervals() -> None:
    for metric in (MeanCIoU(), SuccessRate(0.3), MeanAveragePrecision()):
        metric.update(MAPS, TARGETS)
        (interval,) = metric.intervals(seed=1).values()
        assert interval.low < float(metric.compute()) < interval.high
    alone, together = MeanAveragePrecision(), MeanAveragePrecision()
    alone.update(MAPS, TARGETS)
    together.update(MAPS, TARGETS, frames=np.arange(60) // 2)
    assert alone.intervals() != together.intervals()
    with pytest.raises(ShapeError):
        MeanCIoU().intervals()


def test_torchmetrics_bootstrapper_gives_the_same_spread() -> None:
    torch.manual_seed(0)
    wrapped = BootStrapper(
        MeanAveragePrecision(), num_bootstraps=60, sampling_strategy="multinomial"
    )
    wrapped.update(torch.from_numpy(MAPS), torch.from_numpy(TARGETS))
    found = wrapped.compute()
    metric = MeanAveragePrecision()
    metric.update(MAPS, TARGETS)
    draws = metric.draws({"": metric.pairs()}, torch.arange(60))[""]["MeanAveragePrecision"]
    assert float(found["mean"]) == pytest.approx(float(metric.compute()), abs=0.01)
    assert float(found["std"]) == pytest.approx(draws.std(), rel=0.35)


def test_metrics_are_plotted() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    metric = ProtocolMetric("paper")
    metric.update(MAPS, TARGETS)
    _, axes = metric.plot()
    assert {text.get_text() for text in axes.get_legend().get_texts()} >= set(metric.names)
    detection = DetectionMeanAveragePrecision(2)
    detection.update(RNG.random((4, 2)), np.eye(4, 2, dtype=bool))
    assert detection.plot()[0] is not None


def test_without_matplotlib_plotting_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'matplotlib'")

    metric = MeanCIoU()
    metric.update(MAPS, TARGETS)
    monkeypatch.setattr(metric, "_plot", missing)
    with pytest.raises(UsageError, match="matplotlib"):
        metric.plot()
