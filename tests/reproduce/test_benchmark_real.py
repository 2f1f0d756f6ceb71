"""Real mixtures as a benchmark: the conditions of the synthetic world, on composites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.indexed_files import SOUNDING, index_lines, write_index
from tests.small_model import write_small_checkpoint
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.errors import MissingFileError
from tvsl.reproduce.benchmark import RealBenchmark, open_benchmark
from tvsl.reproduce.specs import (
    DUET,
    NEGATIVES,
    OFF_SCREEN_DUET,
    SINGLE,
    TWIN_DUET,
    UNSEEN_DUET,
    UNSEEN_SINGLE,
    ReproduceConfig,
    SceneSet,
)

NATURAL = {name.replace("_", " ") for name in SOUNDING}
CONFIG = ReproduceConfig(clips=40, validation_scenes=6, test_scenes=5)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real")
    write_index(root, index_lines(root))
    return root


def opened(root: Path) -> RealBenchmark:
    options = {"root": str(root), "side": 64, "window": 0.5}
    found = open_benchmark("real", options, CONFIG)
    assert isinstance(found, RealBenchmark)
    return found


def test_conditions_are_what_they_say(root: Path) -> None:
    benchmark = opened(root)
    twins, off, plain = (
        benchmark.maker(SceneSet(condition, "test"))
        for condition in (TWIN_DUET, OFF_SCREEN_DUET, DUET)
    )
    for number in range(5):
        assert all(panel.twin is not None for panel in twins.scene(number, 2).panels)
        assert off.plan(number, 2).off_screen is not None
        assert plain.plan(number, 2).off_screen is None
        files = [file for panel in plain.plan(number, 2).panels for file in panel.photographs]
        assert {file.split for file in files} == {"test"}


def test_halves_of_the_classes(root: Path) -> None:
    benchmark = opened(root)
    known, unseen = benchmark.halves
    assert set(known) | set(unseen) == NATURAL
    assert not set(known) & set(unseen)
    assert benchmark.names(UNSEEN_SINGLE) == unseen
    assert benchmark.names(SINGLE, half=True) == known
    assert set(benchmark.names(SINGLE)) == NATURAL
    for labels in benchmark.visible(SceneSet(UNSEEN_DUET, "test"), range(5)):
        assert not labels & set(known)


def test_counts_clips_and_missing_conditions(root: Path, tmp_path: Path) -> None:
    benchmark = opened(root)
    assert benchmark.count(SceneSet(DUET, "test")) == 5
    assert benchmark.count(SceneSet(DUET, "validation")) == 6
    assert benchmark.clips.count == 40
    assert benchmark.most_sources == 4
    for condition in (SINGLE, DUET, UNSEEN_DUET, TWIN_DUET, OFF_SCREEN_DUET, NEGATIVES):
        assert benchmark.lacks(SceneSet(condition, "test")) is None
    lines = [line for line in index_lines(tmp_path) if line["split"] != "test"]
    write_index(tmp_path, lines)
    assert opened(tmp_path).lacks(SceneSet(SINGLE, "test")) is not None
    assert opened(tmp_path).lacks(SceneSet(SINGLE, "validation")) is None


def test_files_are_looked_for(tmp_path: Path) -> None:
    write_index(tmp_path, index_lines(tmp_path))
    benchmark = opened(tmp_path)
    blocks = [(SceneSet(SINGLE, "test"), range(2))]
    benchmark.require_files(blocks)
    (tmp_path / "photos/dog/test0.png").unlink()
    with pytest.raises(MissingFileError):
        benchmark.require_files(blocks)


def test_a_record_names_clips_and_files(root: Path, tmp_path: Path) -> None:
    record = opened(root).record()
    assert record["data"] == "real"
    lines = [line for line in index_lines(tmp_path) if not line["file"].endswith("test0.png")]
    write_index(tmp_path, lines)
    assert opened(tmp_path).record()["items"] != record["items"]


def test_scenes_are_encoded(root: Path, tmp_path: Path) -> None:
    encoder = AudioCLIPEncoder(load_audioclip(write_small_checkpoint(tmp_path)))
    benchmark = opened(root)
    batch = benchmark.scenes(encoder, SceneSet(TWIN_DUET, "test"), range(2))
    assert batch.targets.shape == (4, 64, 128)
    assert batch.twins is not None
    assert batch.masks is not None
    assert batch.twins.flatten(1).any(dim=1).all()
    picture, labels = benchmark.preview(DUET, [0, 1])[0]
    assert picture.shape == (64, 128, 3)
    assert set(labels) <= NATURAL
    assert np.ptp(picture) > 0
