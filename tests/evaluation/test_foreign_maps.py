from __future__ import annotations

import csv
import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tvsl
from tests.evaluation.made_data import MadeData
from tvsl.errors import DataError, TvslError, UsageError
from tvsl.evaluation.foreign_maps import ForeignMaps
from tvsl.metrics import ProtocolMetric

DATA = MadeData(count=12, sources=2, silent=(3,))
RNG = np.random.default_rng(8)
MAPS = {item.id: RNG.random((2, 5, 10)).astype(np.float32) for item in DATA.items}


def written(folder: Path, maps: dict[str, Any] | None = None) -> Path:
    folder.mkdir()
    for name, array in (maps or MAPS).items():
        np.save(folder / f"{name}.npy", array)
    return folder


def test_the_figures_are_those_of_the_metrics(tmp_path: Path) -> None:
    found = tvsl.score(
        written(tmp_path / "maps"), DATA, protocols=["paper", "negatives"], output=tmp_path / "out"
    )
    for protocol in ("paper", "negatives"):
        metric = ProtocolMetric(protocol, several_sources=True)
        for number, item in enumerate(DATA.items):
            metric.update(
                MAPS[item.id],
                DATA.read(item, 16_000).targets,
                labels=[DATA.names.index(str(label)) for label in item.labels],
                frames=[number] * 2,
            )
        (row,) = (
            one
            for one in found.evaluation.rows
            if (one.scores.protocol, one.name) == (protocol, "maps")
        )
        assert row.scores.label_source == "given"
        expected = {name: float(value) for name, value in metric.compute().items()}
        assert row.scores.values == pytest.approx(expected, abs=1e-9)
        assert row.scores.intervals == metric.intervals()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "results.json",
        "results.csv",
        "samples.csv",
        "scores.npz",
    }
    with (tmp_path / "out" / "results.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["method"] == "maps"]
    assert all(float(line["low"]) <= float(line["high"]) for line in lines)
    with pytest.raises(TvslError, match="force"):
        tvsl.score(tmp_path / "maps", DATA, output=tmp_path / "out")
    tvsl.score(tmp_path / "maps", DATA, output=tmp_path / "out", force=True)


def test_every_form_of_the_files_gives_the_same(tmp_path: Path) -> None:
    folder = written(tmp_path / "maps")
    expected = tvsl.score(folder, DATA, name="maps").evaluation.rows[0].scores.values
    np.savez(tmp_path / "all.npz", **MAPS)
    by_class = tmp_path / "by-class"
    by_class.mkdir()
    for item in DATA.items:
        named = {str(label): one for label, one in zip(item.labels, MAPS[item.id], strict=True)}
        np.savez(by_class / f"{item.id}.npz", **named)
    for place in (tmp_path / "all.npz", by_class):
        row = tvsl.score(place, DATA).evaluation.rows[0]
        assert (row.name, row.scores.label_source) == (place.stem, "given")
        assert row.scores.values == expected
    single = written(tmp_path / "single", {name: maps[0] for name, maps in MAPS.items()})
    twice = written(
        tmp_path / "twice", {name: np.stack([maps[0]] * 2) for name, maps in MAPS.items()}
    )
    alone = tvsl.score(single, DATA).evaluation.rows[0].scores
    assert alone.label_source == "none"
    assert alone.values == tvsl.score(twice, DATA).evaluation.rows[0].scores.values


def test_a_class_that_was_not_detected_scores_nothing(tmp_path: Path) -> None:
    for item in DATA.items:
        np.savez(tmp_path / f"{item.id}.npz", **{str(item.labels[0]): MAPS[item.id][0]})
    with pytest.raises(DataError, match=r"item-000\.npz.*no map of"):
        tvsl.score(tmp_path, DATA)
    pairs = tvsl.score(tmp_path, DATA, labels="detected").evaluation.pairs
    (columns,) = (one["paper"] for key, one in pairs.measures.items() if key[1] == "detected")
    assert bool((columns["ciou"][1::2] == 0).all())
    assert float(columns["ap"][0]) > 0


def broken(change: str) -> dict[str, Any]:
    maps: dict[str, Any] = dict(MAPS)
    one = maps["item-004"].copy()
    one[0, 0, 0] = np.nan if change == "nan" else np.inf
    changed = {
        "nan": one,
        "inf": one,
        "three maps": np.zeros((3, 5, 10)),
        "one for all": np.zeros((5, 10)),
        "four dimensions": np.zeros((1, 2, 5, 10)),
        "empty": np.zeros((2, 0, 10)),
        "complex": np.zeros((2, 5, 10), np.complex64),
    }
    return {**maps, "item-004": changed[change]}


@pytest.mark.parametrize(
    "change",
    ["nan", "inf", "three maps", "one for all", "four dimensions", "empty", "complex"],
)
def test_maps_that_cannot_be_scored_are_named(change: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        tvsl.score(written(tmp_path / "maps", broken(change)), DATA)
    assert caught.value.path == tmp_path / "maps" / "item-004.npy"


def test_missing_and_further_ids(tmp_path: Path) -> None:
    folder = written(tmp_path / "maps")
    (folder / "item-002.npy").rename(folder / "item-200.npy")
    with pytest.raises(DataError, match=r"no maps of 1 items: 'item-002'"):
        ForeignMaps(folder, DATA.items)
    np.save(folder / "item-002.npy", MAPS["item-002"])
    with pytest.raises(DataError, match=r"no item for the maps of 1 items: 'item-200'"):
        ForeignMaps(folder, DATA.items)
    np.savez(folder / "item-200.npz", MAPS["item-002"])
    with pytest.raises(DataError, match="too"):
        ForeignMaps(folder, DATA.items)


def test_damaged_files_and_no_files(tmp_path: Path) -> None:
    folder = written(tmp_path / "maps")
    (folder / "item-006.npy").write_bytes(b"nothing")
    with pytest.raises(DataError) as caught:
        tvsl.score(folder, DATA)
    assert caught.value.path == folder / "item-006.npy"
    (tmp_path / "file.npz").write_bytes(b"nothing")
    for place in (tmp_path / "nowhere", tmp_path / "file.npz", folder / "item-001.npy"):
        with pytest.raises(DataError) as caught:
            tvsl.score(place, DATA)
        assert caught.value.path == place


def test_without_classes_none_can_be_detected(tmp_path: Path) -> None:
    folder = written(tmp_path / "maps")
    with pytest.raises(UsageError, match="no classes"):
        tvsl.score(folder, MadeData(count=12, labelled=False), labels="detected")


def test_foreign_maps_are_compared_with_one_s_own(tmp_path: Path) -> None:
    tvsl.score(written(tmp_path / "maps"), DATA, output=tmp_path / "a")
    blurred = {name: maps.mean(axis=0) for name, maps in MAPS.items()}
    tvsl.score(written(tmp_path / "mean", blurred), DATA, output=tmp_path / "b")
    found = tvsl.compare(tmp_path / "a", tmp_path / "b")
    assert (found.first, found.second) == ("maps", "mean")
    assert {one.labels for one in found.differences} == {("given", "none")}
    assert any("few" in line for line in found.lines)


def test_maps_that_are_the_truth_are_better_beyond_chance(tmp_path: Path) -> None:
    data = DATA.model_copy(update={"count": 40})
    truth = {item.id: data.read(item, 16_000).targets for item in data.items}
    noise = {item.id: RNG.random((2, 5, 10)) for item in data.items}
    tvsl.score(written(tmp_path / "truth", truth), data, output=tmp_path / "a")
    tvsl.score(written(tmp_path / "noise", noise), data, output=tmp_path / "b")
    for places, expected in ((("a", "b"), "better"), (("b", "a"), "worse")):
        found = tvsl.compare(*(tmp_path / place for place in places))
        words = {one.figure: one.words for one in found.differences}
        assert words["CAP"] == words["CIoU@0.5"] == words["AUC"] == expected


class Finalized:
    """Garbage in a cycle whose end lets another thread in, as that of a file does."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0)


@pytest.fixture
def _much_garbage() -> Iterator[None]:
    """Collect garbage all the time, also while NumPy parses the head of an array."""
    before = gc.get_threshold()
    gc.set_threshold(5)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_much_garbage")
def test_several_threads_read_maps(tmp_path: Path) -> None:
    maps = ForeignMaps(written(tmp_path / "maps"), DATA.items)

    def read(number: int) -> bool:
        Finalized()
        item = DATA.items[number % len(DATA.items)]
        return bool((maps.read(item)[0].numpy() == MAPS[item.id]).all())

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(1500)))
