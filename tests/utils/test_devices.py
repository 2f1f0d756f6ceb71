from __future__ import annotations

import pytest
import torch

from tvsl.errors import UsageError
from tvsl.utils.devices import choose_device, choose_precision


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["nonsense", "", "cuda:99"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match="no device"):
        choose_device(name)


@pytest.mark.parametrize("units", [True, False])
def test_bfloat16_is_taken_where_the_cpu_has_matrix_units(
    units: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units, raising=False)
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == ("bfloat16" if units else "float32")
    assert choose_precision("bfloat16", cpu) == "bfloat16"
    assert choose_precision("float32", cpu) == "float32"


def test_bfloat16_is_taken_where_the_gpu_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for knows in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda knows=knows: knows)
        expected = "bfloat16" if knows else "float32"
        assert choose_precision("auto", torch.device("cuda")) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("meta", "mkldnn", "hpu", "privateuseone", "vulkan", "lazy", "cpu:5", "cpu:-1", "CPU"),
        *("cuda:99999999999999999999", "cuda:-1", "cpu\0", "\udcff", "cuda:x", "cpu:0:0", " cpu"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_device_that_computes_nothing(name: str) -> None:
    with pytest.raises(UsageError, match="no device"):
        choose_device(name)


def test_the_processor_has_one_name() -> None:
    assert choose_device("cpu:0") == torch.device("cpu")
