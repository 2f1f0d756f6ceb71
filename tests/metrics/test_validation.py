"""Whatever is given to a public metric: a right result, or an error of ours.

Every argument of every function and class takes every one of 26 odd values once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.metrics.inputs import boxes, coarse_maps
from tvsl import metrics
from tvsl.errors import ShapeError, TvslError, UsageError
from tvsl.methods.operations import select
from tvsl.metrics import PAPER, PROTOCOLS, ProtocolMetric

COUNT = 6
MAPS = metrics.minmax(coarse_maps(COUNT, (8, 9)))
TARGETS = boxes(COUNT, (8, 9))
VALUES = torch.tensor([0.1, 0.9, 0.4, 0.4, 0.7, 0.0], dtype=torch.float64)
NUMBERS = torch.tensor([0, 1, 0, 2, 1, 2])
FLAGS = torch.tensor([True, False, True, True, False, True])
SCORES = torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(1))
TRUE = SCORES > 0.3

FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "area_cut": (MAPS, TARGETS),
    "average_precision": (MAPS, TARGETS),
    "best_assignment": (SCORES,),
    "ciou": (MAPS, TARGETS, 0.5),
    "class_average": (VALUES, NUMBERS),
    "confidence": (MAPS, 0.25),
    "cut_maps": (MAPS, TARGETS, "value", 0.5),
    "detection_mean_average_precision": (SCORES, TRUE),
    "group_mean": (VALUES, NUMBERS),
    "group_minimum": (VALUES, NUMBERS),
    "iou": (MAPS, TARGETS, 0.5, 1e-4),
    "mask_ciou": (MAPS > 0.5, TARGETS),
    "median_threshold": (MAPS,),
    "minmax": (MAPS,),
    "negatives_average_precision": (VALUES, VALUES.flip(0), FLAGS, 0.5),
    "negatives_max_f1": (VALUES, VALUES.flip(0), FLAGS, 0.5),
    "permutation_invariant_average_precision": (MAPS, TARGETS, NUMBERS, NUMBERS),
    "precision_recall": (VALUES, FLAGS, FLAGS.flip(0), torch.tensor([0.2, 0.5])),
    "resize_maps": (MAPS, (16, 10)),
    "success_auc": (VALUES,),
    "success_areas": (VALUES,),
    "success_rate": (VALUES, 0.3),
}
KEPT = (MAPS, TARGETS, NUMBERS, NUMBERS, torch.arange(COUNT), FLAGS)
CLASSES: dict[str, Callable[[], Any]] = {
    "MeanCIoU": metrics.MeanCIoU,
    "SuccessAUC": lambda: metrics.SuccessAUC(unit="frame mean"),
    "SuccessRate": lambda: metrics.SuccessRate(unit="frame worst"),
    "MeanIoU": metrics.MeanIoU,
    "MeanAveragePrecision": metrics.MeanAveragePrecision,
    "ClassAwareAveragePrecision": metrics.ClassAwareAveragePrecision,
    "PermutationInvariantAveragePrecision": metrics.PermutationInvariantAveragePrecision,
    "NegativesAveragePrecision": metrics.NegativesAveragePrecision,
    "NegativesMaxF1": metrics.NegativesMaxF1,
    **{
        f"ProtocolMetric {name}": (lambda name=name: ProtocolMetric(name, True))
        for name in PROTOCOLS
    },
}
NAN = float("nan")


def spoiled(value: Any, by: float) -> Any:
    """The first element replaced, where it can be."""
    if not (isinstance(value, torch.Tensor) and value.is_floating_point()):
        return by
    other = value.clone()
    other.flatten()[0] = by
    return other


def tensor(value: Any) -> torch.Tensor:
    return value if isinstance(value, torch.Tensor) else torch.tensor([0.5, 0.25])


ODD: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda value: None,
    "a word": lambda value: "cat",
    "words": lambda value: ["cat"] * COUNT,
    "objects": lambda value: np.array([object()] * COUNT),
    "ragged": lambda value: [[0.5], [0.5, 0.25]],
    "a dict": lambda value: {"maps": value},
    "a set": lambda value: {1, 2},
    "one number": lambda value: 3,
    "huge number": lambda value: 10**400,
    "no pair": lambda value: tensor(value)[:0],
    "no pixel": lambda value: torch.zeros(COUNT, 0, 9),
    "a pair less": lambda value: tensor(value)[:-1],
    "an axis more": lambda value: tensor(value)[None],
    "an axis less": lambda value: tensor(value)[0],
    "bool": lambda value: tensor(value) > 0.3,
    "int": lambda value: (tensor(value) * 3).to(torch.int32),
    "uint8": lambda value: (tensor(value) > 0.3).to(torch.uint8),
    "half": lambda value: tensor(value).to(torch.float16),
    "bfloat16": lambda value: tensor(value).to(torch.bfloat16),
    "complex": lambda value: tensor(value).to(torch.complex64),
    "NaN": lambda value: spoiled(value, NAN),
    "inf": lambda value: spoiled(value, float("inf")),
    "negative": lambda value: spoiled(value, -1e30),
    "another device": lambda value: tensor(value).to("meta"),
    "sparse": lambda value: tensor(value).to_sparse(),
    "with gradients": lambda value: tensor(value).double().clone().requires_grad_(),
}


def passes(run: Callable[[], Any]) -> Any:
    """A result, or an error of ours; no other end, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return run()
        except TvslError:
            return None


def leaves(result: Any) -> list[torch.Tensor]:
    if isinstance(result, dict):
        result = tuple(result.values())
    return list(result) if isinstance(result, tuple) else [result]


def test_every_public_name_is_here() -> None:
    rest = {"PAPER_THRESHOLDS", "PROTOCOLS", "UNASSIGNED", "LabelSource", "Protocol", "Figure"}
    rest |= {name.upper() for name in PROTOCOLS}
    others = {"Scores", "find_protocol", "hash_ids", "PairMetric", "DetectionMeanAveragePrecision"}
    others |= {
        "Bootstrap",
        "Interval",
        "detection_draws",
        "verdict",
    }
    of_classes = {name.split()[0] for name in CLASSES}
    assert FUNCTIONS.keys() | of_classes | rest | others == set(metrics.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_give_numbers_or_an_error_of_ours(name: str) -> None:
    function, arguments = getattr(metrics, name), FUNCTIONS[name]
    for odd, make in ODD.items():
        for place, value in enumerate(arguments):
            changed = (*arguments[:place], make(value), *arguments[place + 1 :])
            result = passes(lambda changed=changed: function(*changed))
            for leaf in [] if result is None else leaves(result):
                empty = name == "average_precision" and place == 1  # NaN where there is nothing
                assert empty or bool(leaf.isfinite().all()), (odd, place)


def outcome(metric: Any, arguments: tuple[Any, ...]) -> Any:
    def run() -> Any:
        metric.update(*arguments)
        return metric.compute()

    return passes(run)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_give_numbers_or_an_error_of_ours(name: str) -> None:
    metric = CLASSES[name]()
    for odd, make in ODD.items():
        for place, value in enumerate(KEPT):
            metric.reset()
            given = make(value)
            result = outcome(metric, (*KEPT[:place], given, *KEPT[place + 1 :]))
            if result is None and given is not None:
                with pytest.raises(ShapeError, match="No pair"):
                    metric.compute()  # an update that failed left nothing behind
            for leaf in [] if result is None else leaves(result):
                assert bool(leaf.isfinite().all()), (odd, place)


def test_detection_gives_numbers_or_an_error_of_ours() -> None:
    kept = (SCORES, TRUE, torch.arange(COUNT))
    for odd, make in ODD.items():
        for place, value in enumerate(kept):
            metric = metrics.DetectionMeanAveragePrecision(4)
            result = outcome(metric, (*kept[:place], make(value), *kept[place + 1 :]))
            assert result is None or 0 <= float(result) <= 1, (odd, place)


def as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value


def as_list(value: Any) -> Any:
    return value.tolist() if isinstance(value, torch.Tensor) else value


def read_only(value: Any) -> Any:
    """An array that may not be written to, of another byte order, backwards in memory."""
    if not isinstance(value, torch.Tensor):
        return value
    array = np.flip(np.flip(value.numpy()).copy())
    array = array.astype(array.dtype.newbyteorder())
    array.flags.writeable = False
    return array


FORMS = (as_array, as_list, read_only)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_arrays_and_lists(name: str) -> None:
    function, arguments = getattr(metrics, name), FUNCTIONS[name]
    expected = leaves(function(*arguments))
    for form in FORMS:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = leaves(function(*(form(value) for value in arguments)))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.double(), other.double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_take_arrays_and_lists(name: str) -> None:
    expected = CLASSES[name]()
    expected.update(*KEPT)
    for form in FORMS:
        found = CLASSES[name]()
        found.update(*(form(value) for value in KEPT))
        pairs = zip(leaves(found.compute()), leaves(expected.compute()), strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_protocol_goes_by_its_name() -> None:
    by_name, itself = ProtocolMetric("paper"), ProtocolMetric(PAPER)
    assert by_name.protocol is itself.protocol is PAPER
    for wrong in ("papr", 3, None, ["paper"], {}, b"paper"):
        with pytest.raises(UsageError, match="no protocol"):
            ProtocolMetric(wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="no protocol"):
            metrics.find_protocol(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.MeanCIoU("mean"),
        lambda: metrics.MeanCIoU(level="high"),
        lambda: metrics.MeanCIoU(level=NAN),
        lambda: metrics.SuccessRate(None),
        lambda: metrics.SuccessAUC(unit="frames"),
        lambda: metrics.MeanIoU(smooth="a little"),
        lambda: metrics.NegativesMaxF1(threshold=[]),
        lambda: metrics.DetectionMeanAveragePrecision(0),
        lambda: metrics.DetectionMeanAveragePrecision("four"),
        lambda: metrics.cut_maps(MAPS, TARGETS, "mean"),
        lambda: metrics.hash_ids("clip"),
        lambda: metrics.hash_ids([1, 2]),
        lambda: metrics.hash_ids(None),
        lambda: metrics.hash_ids(["a\nb"]),
        lambda: metrics.Scores("paper", "given", {"AP": "high"}, 1, 1, 0, "ab"),
        lambda: metrics.Scores("paper", "given", {"AP": NAN}, 1, 1, 0, "ab"),
        lambda: metrics.Scores("paper", "given", [0.5], 1, 1, 0, "ab"),
        lambda: metrics.Scores("paper", "given", {}, "1", 1, 0, "ab"),
        lambda: ProtocolMetric("paper").compute_from({}),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(UsageError):
        make()


def test_names_that_are_no_text_have_a_hash() -> None:
    assert metrics.hash_ids(["a\udc80"]) != metrics.hash_ids(["a"])


@pytest.mark.parametrize("bad", [NAN, float("inf"), float("-inf")])
@pytest.mark.parametrize("how", [{}, {"sources": 2}, {"threshold": 0.1}])
def test_classes_are_not_taken_from_scores_that_are_not_finite(
    bad: float, how: dict[str, Any]
) -> None:
    scores = SCORES.clone()
    scores[1, 2] = bad
    with pytest.raises(ShapeError, match="not finite"):
        select(scores, **how)
    with pytest.raises(ShapeError, match="at least one"):
        select(SCORES[:, :0], **how)
    with pytest.raises(UsageError, match="no number"):
        select(SCORES, threshold=NAN)


SMALL = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=60, deadline=None)
@given(
    maps=SMALL.flatmap(
        lambda shape: arrays.arrays(
            st.sampled_from([np.float16, np.float32, np.float64]),
            shape,
            elements=st.floats(allow_nan=True, allow_infinity=True, width=16),
        )
    ),
    targets=SMALL.flatmap(
        lambda shape: arrays.arrays(st.sampled_from([np.bool_, np.uint8, np.float32]), shape)
    ),
    name=st.sampled_from(sorted(PROTOCOLS)),
)
def test_any_maps_are_scored_or_refused(maps: Any, targets: Any, name: str) -> None:
    metric = ProtocolMetric(name)

    def run() -> Any:
        metric.update(maps, targets)
        return metric.compute()

    result = passes(run)
    if result is not None:
        assert np.isfinite(maps).all()
        assert all(0 <= float(value) <= 1 + 1e-12 for value in result.values())
