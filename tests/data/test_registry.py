from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.made_files import folders
from tvsl.data import DATA_SETS, find_data
from tvsl.data.files import ListedData
from tvsl.errors import DataError, UsageError
from tvsl.metrics.protocols import PAPER_THRESHOLDS

BENCHMARKS = [name for name, data in DATA_SETS.items() if issubclass(data, ListedData)]


def test_every_set_has_its_own_name_and_title() -> None:
    assert all(data.name == name for name, data in DATA_SETS.items())
    assert len({data.title for data in DATA_SETS.values()}) == len(DATA_SETS)


def test_the_paper_s_benchmarks_are_here() -> None:
    assert set(PAPER_THRESHOLDS) <= set(DATA_SETS)


def test_an_unknown_set_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"no data set 'vggsond'.*vggsound-single"):
        DATA_SETS.find("vggsond")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "'root' is missing"),
        ({"root": "x", "roof": 1}, "'roof' is not known"),
        ({"root": "x", "window": 0}, "'window' is 0 but must be greater than 0"),
        ({"root": "x", "split": "dev"}, "'split' is 'dev' but must be 'train'"),
    ],
)
def test_options_that_there_are_not(options: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        find_data("music-solo", **options)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_root_of_another_kind_is_one_clear_error(name: str, tmp_path: Path) -> None:
    data = find_data(name, root=folders(tmp_path, "photos"))
    with pytest.raises(DataError, match=r"fetch-lists|layout"):
        _ = data.items
