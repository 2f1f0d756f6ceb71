from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import average_precision_score

from tests.metrics.inputs import SHAPES, boxes, coarse_maps, maps_and_targets
from tvsl.errors import ShapeError
from tvsl.metrics import average_precision, detection_mean_average_precision, precision, resize_maps

Made = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(params=["row by row", "all rows at once"], autouse=True, scope="module")
def path(request: pytest.FixtureRequest) -> object:
    """Both ways: the one for CPUs, and the one for GPUs on a CPU."""
    patch = pytest.MonkeyPatch()
    if request.param == "all rows at once":
        patch.setattr(precision, "_one_by_one", precision._all_at_once)
    yield
    patch.undo()


def expected_of(maps: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.array(
        [
            average_precision_score(target.ravel(), one.ravel()) if target.any() else np.nan
            for one, target in zip(maps, targets, strict=True)
        ]
    )


@given(maps_and_targets())
def test_maps_with_many_ties_equal_sklearn(made: Made) -> None:
    maps, targets = made
    found = average_precision(maps, targets).numpy()
    np.testing.assert_allclose(found, expected_of(maps.numpy(), targets.numpy()), atol=1e-12)


@given(st.data(), st.sampled_from([np.float32, np.float64]), SHAPES)
def test_any_finite_values_equal_sklearn(
    data: st.DataObject, dtype: type[np.floating], shape: tuple[int, int, int]
) -> None:
    width = np.dtype(dtype).itemsize * 8
    # Farther apart than scikit-learn's own difference of two scores can overflow.
    values = st.floats(-(2.0**100), 2.0**100, width=width) | st.sampled_from(
        [0.0, -0.0, 1.0, -1.0, 2.0]
    )
    maps = data.draw(arrays.arrays(dtype, shape, elements=values))
    targets = data.draw(arrays.arrays(np.bool_, shape))
    found = average_precision(torch.from_numpy(maps), torch.from_numpy(targets)).numpy()
    np.testing.assert_allclose(found, expected_of(maps, targets), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shift", [0.0, -0.5, 5.0])
def test_maps_of_full_size_equal_sklearn(dtype: torch.dtype, shift: float) -> None:
    maps = (resize_maps(coarse_maps(12, seed=1), (224, 448)).sigmoid() + shift).to(dtype)
    targets = boxes(12, (224, 448))
    wide = maps.double().numpy()
    np.testing.assert_allclose(
        average_precision(maps, targets).numpy(), expected_of(wide, targets.numpy()), atol=1e-12
    )


@given(maps_and_targets())
def test_it_depends_on_the_order_of_the_scores_alone(made: Made) -> None:
    maps, targets = made
    first = average_precision(maps, targets)
    for other in (4 * maps - 8, -torch.log(9 - 8 * maps.double()), maps.double()):
        assert torch.equal(average_precision(other, targets).nan_to_num(2), first.nan_to_num(2))
    turned = average_precision(maps.flip(1, 2), targets.flip(1, 2))
    assert torch.equal(turned.nan_to_num(2), first.nan_to_num(2))


@given(maps_and_targets())
def test_a_perfect_map_scores_1_and_all_lie_within_bounds(made: Made) -> None:
    maps, targets = made
    full = targets.flatten(1).any(dim=1)
    found = average_precision(maps, targets)
    assert torch.equal(found.isnan(), ~full)
    share = targets.flatten(1).double().mean(dim=1)
    assert ((found[full] > 0) & (found[full] <= 1 + 1e-12)).all()
    assert torch.equal(average_precision(targets.float(), targets)[full], full[full].double())
    constant = average_precision(torch.ones_like(maps), targets)[full]
    np.testing.assert_allclose(constant.numpy(), share[full].numpy(), atol=1e-12)


def test_inputs_stay_as_they_are() -> None:
    maps, targets = coarse_maps(3).requires_grad_(), boxes(3, (7, 14))
    before = maps.detach().clone(), targets.clone()
    average_precision(maps, targets)
    assert torch.equal(maps.detach(), before[0])
    assert torch.equal(targets, before[1])


def test_no_maps_are_no_scores() -> None:
    nothing = torch.zeros(0, 3, 4)
    assert average_precision(nothing, nothing.bool()).shape == (0,)


def test_contracts_of_average_precision() -> None:
    maps, targets = torch.rand(2, 3, 4), torch.ones(2, 3, 4, dtype=torch.bool)
    with pytest.raises(ShapeError, match="share one shape"):
        average_precision(maps, targets[:1])
    with pytest.raises(ShapeError, match="Targets must be bool"):
        average_precision(maps, targets.float())
    maps[1, 1, 1] = torch.nan
    with pytest.raises(ShapeError, match="not finite"):
        average_precision(maps, targets)


def test_detection_equals_sklearn_over_the_classes_that_occur() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(40, 6, generator=generator)
    labels = torch.rand(40, 6, generator=generator) < 0.2
    labels[:, 4] = False
    kept = [0, 1, 2, 3, 5]
    expected = average_precision_score(labels[:, kept], scores[:, kept], average="macro")
    assert detection_mean_average_precision(scores, labels).item() == pytest.approx(expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn counts a class that never occurs as 0
        lower = average_precision_score(labels, scores, average="macro")
    assert lower == pytest.approx(expected * 5 / 6)


def test_a_perfect_detector_scores_1() -> None:
    labels = torch.eye(4, dtype=torch.bool)
    assert detection_mean_average_precision(labels.float(), labels).item() == 1.0


def test_contracts_of_detection() -> None:
    scores, labels = torch.rand(3, 4), torch.zeros(3, 4, dtype=torch.bool)
    with pytest.raises(ShapeError, match="No clip has a label"):
        detection_mean_average_precision(scores, labels)
    with pytest.raises(ShapeError, match="Labels must be bool"):
        detection_mean_average_precision(scores, labels.float())
    with pytest.raises(ShapeError, match="share one shape"):
        detection_mean_average_precision(scores, labels[:, :3])
