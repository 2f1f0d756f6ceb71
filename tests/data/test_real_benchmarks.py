from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.made_files import real_lists
from tests.data.real_benchmarks import (
    BENCHMARKS,
    DUET,
    FLICKR,
    INSTRUMENTS,
    MUSIC,
    VGGSOUND,
    WOMAN,
    written,
)
from tvsl.data import DATA_SETS, find_data
from tvsl.data.checking import Tally, check_data
from tvsl.data.files import FileDataSet


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_set_is_whole_in_every_layout(
    name: str, real_benchmark: Callable[[str], Path]
) -> None:
    made = BENCHMARKS[name]
    data = find_data(made.data, root=real_benchmark(name), **made.options)
    assert isinstance(data, FileDataSet)
    assert data.layout.startswith(made.layout)
    assert sum(len(item.sources) for item in data.items) == made.pairs
    assert check_data(data).total == Tally(made.items, made.items, 0, 0, 0)


def test_no_set_is_forgotten() -> None:
    in_files = {name for name, kind in DATA_SETS.items() if issubclass(kind, FileDataSet)}
    own = {"real"}  # a folder of one's own has no public lists: test_real.py
    assert {made.data for made in BENCHMARKS.values()} == in_files - own


def test_ids_and_classes_are_those_of_the_public_lists() -> None:
    lists = real_lists()
    lines = {path.name: set(path.read_text().split()) for path in lists.glob("*.csv")}
    truth = {one["file"]: one["class"] for one in json.loads((lists / "vggss.json").read_text())}
    for number, (clip, label) in enumerate([*VGGSOUND.values(), WOMAN]):
        assert truth[clip] == label
        assert f"{clip},{written(label)}" in lines["vggsound_single_test.csv"]
        unheard = number in (4, 5)
        assert clip in lines[f"vggss_{'un' if unheard else ''}heard_test.csv"]
    for name, clip in INSTRUMENTS.items():
        assert f"{clip},{written(name)}" in lines["vgginstruments_test.csv"]
    for name, frame in MUSIC.items():
        assert f"{frame},{written(name)}" in lines["music_solo_test.csv"]
    assert f"{DUET}_000_00000" in lines["music_duet_test.csv"]
    assert set(FLICKR.values()) <= {line.split(",")[0] for line in lines["flickr_test.csv"]}
