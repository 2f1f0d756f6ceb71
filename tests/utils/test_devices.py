from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tvsl.errors import UsageError
from tvsl.utils import devices
from tvsl.utils.devices import choose_device, choose_precision


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["nonsense", "", "cuda:99"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match="no device"):
        choose_device(name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TVSL_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("gain", "expected"), [(3.0, "bfloat16"), (1.1, "float32"), (0.1, "float32")]
)
def test_bfloat16_is_taken_where_it_is_measured_to_be_faster(
    gain: float, expected: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[torch.device] = []
    monkeypatch.setattr(devices, "_measure_gain", lambda device: (measured.append(device), gain)[1])
    cpu = torch.device("cpu")
    for _ in range(2):  # the second time it is known
        assert choose_precision("auto", cpu) == expected
    assert len(measured) == 1
    assert list(json.loads((home / "bfloat16.json").read_text()).values()) == [gain]
    assert choose_precision("bfloat16", cpu) == "bfloat16"
    assert choose_precision("float32", cpu) == "float32"


PROCESSOR = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: {model}
model name\t: {name}
cpu MHz\t\t: {clock}

processor\t: 1
model name\t: another
"""


def test_processors_of_one_set_of_instructions_are_measured_each(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu, told = torch.device("cpu"), tmp_path / "cpuinfo"
    gains = iter([2.0, 0.5, 1.0])
    monkeypatch.setattr(devices, "_PROCESSORS_FILE", told)
    monkeypatch.setattr(devices, "_measure_gain", lambda _: next(gains))
    found = []
    for model, name, clock in (
        (17, "EPYC", "2596.1"),
        (17, "EPYC", "3104.9"),  # the same one, which is faster just now
        (1, "EPYC", "2596.1"),
        (17, "Ryzen", "2596.1"),
    ):
        told.write_text(PROCESSOR.format(model=model, name=name, clock=clock))
        found.append(devices.measured_gain(cpu))
    assert found == [2.0, 2.0, 0.5, 1.0]
    told.unlink()
    monkeypatch.setattr(devices, "_measure_gain", lambda _: 1.5)
    assert devices.measured_gain(cpu) == 1.5


@pytest.mark.parametrize("content", ["", "[1]", '{"x": "y"}', "{"])
def test_a_damaged_record_of_measurements_is_written_anew(content: str, home: Path) -> None:
    home.mkdir()
    (home / "bfloat16.json").write_text(content)
    gain = devices.measured_gain(torch.device("cpu"))
    assert gain is not None
    assert gain > 0
    assert gain in json.loads((home / "bfloat16.json").read_text()).values()


def test_where_nothing_can_be_kept_it_is_measured_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TVSL_HOME", str(tmp_path / "file"))
    assert choose_precision("auto", torch.device("cpu")) in ("float32", "bfloat16")


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
