from __future__ import annotations

import doctest
import importlib

import pytest
import torch

from tests.metrics.metric_cases import made_cases
from tests.metrics.metric_tester import SHARES, MetricTester, as_dict, in_two_processes

CASES = made_cases()
TESTER = MetricTester()
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.mark.parametrize("name", CASES)
def test_class_equals_functional(name: str) -> None:
    TESTER.class_equals_functional(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_copies_go_on_alone(name: str) -> None:
    TESTER.copies_go_on_alone(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_class_equals_reference(name: str) -> None:
    TESTER.class_equals_reference(CASES[name])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_dtypes_agree(dtype: torch.dtype) -> None:
    for case in CASES.values():
        TESTER.dtypes_agree(case, dtype)


@pytest.mark.parametrize("device", DEVICES)
def test_devices_agree(device: str) -> None:
    for case in CASES.values():
        TESTER.device_agrees(case, device)


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    for found in in_two_processes(tmp_path_factory.mktemp("processes"), made_cases):
        for name, case in CASES.items():
            expected = as_dict(case.functional(case.inputs))
            for share in SHARES:
                assert found[name, share] == (expected, expected), (name, share)


def test_many_large_maps_are_scored_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvsl.metrics.pair_metric._PIXELS", 5 * 32 * 64)
    for case in CASES.values():
        TESTER.class_equals_functional(case)


@pytest.mark.parametrize(
    "module", ["intervals", "maps", "negatives", "overlap", "pair_metric", "precision", "protocols"]
)
def test_examples_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"tvsl.metrics.{module}"))
    assert found.attempted > 0
    assert found.failed == 0
