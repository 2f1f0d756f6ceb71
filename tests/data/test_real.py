"""The data set of real mixtures: items, clips, validation, and what they share with other sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.indexed_files import SOUNDING, index_lines, real_data, write_index
from tests.data.made_files import RATE
from tests.small_model import world_model
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.data import DATA_SETS, find_data
from tvsl.data.base import require_items
from tvsl.data.real import RealClips, RealData, in_grid
from tvsl.data.token_store import make_store, read_shard, shard_path, store_key
from tvsl.errors import DataError, UsageError
from tvsl.evaluation.batch import encode_scenes

NATURAL = tuple(name.replace("_", " ") for name in SOUNDING)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real")
    write_index(root, index_lines(root))
    return root


def test_it_is_found_by_its_name(root: Path) -> None:
    assert DATA_SETS.find("real") is RealData
    data = find_data("real", root=root, split="train")
    assert data.names == NATURAL
    with pytest.raises(UsageError):
        find_data("real", root=root, twin=1.0)


@pytest.mark.parametrize("sources", [1, 3, 4])
@pytest.mark.parametrize("truth", ["boxes", "masks"])
def test_items(root: Path, sources: int, truth: str) -> None:
    data = real_data(root, sources=sources, truth=truth, off_screen=1.0)
    assert len(data.items) == data.listed_count == 8
    assert len({item.id for item in data.items}) == 8
    for number, item in enumerate(data.items):
        scene = data.maker.scene(number, sources, RATE)
        assert item.labels == scene.labels
        assert item.panels == sources
        assert all(path.is_file() for path in item.files)
        sample = data.read(item, RATE)
        assert len(sample.pictures) == sources
        assert len(item.sounds) == sources + 1
        np.testing.assert_array_equal(sample.waveform, scene.waveform)
        np.testing.assert_array_equal(np.concatenate(sample.pictures, axis=1), scene.picture)
        assert sample.targets.shape == (sources, 64, 64 * sources)
        for place, target in enumerate(sample.targets):
            if truth == "masks":
                np.testing.assert_array_equal(target, scene.mask(place))
            else:
                panel = scene.panels[place]
                left, top, right, bottom = panel.boxes[panel.source]
                assert target.sum() == (right - left) * (bottom - top)
                assert target[scene.mask(place)].all()


@pytest.mark.parametrize(("sources", "rows", "columns"), [(2, 1, 2), (4, 2, 2), (3, 1, 3)])
@pytest.mark.parametrize("truth", ["boxes", "masks"])
def test_a_grid_is_one_picture(
    root: Path, sources: int, rows: int, columns: int, truth: str
) -> None:
    row, grid = (real_data(root, sources=sources, truth=truth, grid=grid) for grid in (False, True))
    for one, other in zip(row.items, grid.items, strict=True):
        assert (other.panels, other.labels) == (1, one.labels)
        apart, joined = row.read(one, RATE), grid.read(other, RATE)
        assert joined.pictures[0].shape == (64 * rows, 64 * columns, 3)
        for place in range(sources):
            at, left = divmod(place, columns)
            window = np.s_[64 * at : 64 * (at + 1), 64 * left : 64 * (left + 1)]
            np.testing.assert_array_equal(joined.pictures[0][window], apart.pictures[place])
            panel = apart.targets[place][:, 64 * place : 64 * (place + 1)]
            np.testing.assert_array_equal(joined.targets[place][window], panel)
            assert joined.targets[place].sum() == panel.sum()


def test_places_without_a_panel_are_black() -> None:
    made = in_grid([np.full((2, 2, 3), value, np.uint8) for value in range(1, 6)])
    assert made.shape == (4, 6, 3)
    assert (made[2:, 4:] == 0).all()
    assert (made[2:, 2:4] == 5).all()


def test_clips_are_of_the_training_split(root: Path) -> None:
    data = real_data(root, split="validation", off_screen=0.5)
    clips = data.clips(12, 0)
    assert isinstance(clips, RealClips)
    assert clips.names == NATURAL
    batch = clips.read([3, 1, 4], RATE)
    labels = clips.labels()
    assert batch.labels.tolist() == [labels[3], labels[1], labels[4]]
    assert batch.waveforms.shape == (3, RATE // 2)
    for number, picture in zip((3, 1, 4), batch.pictures, strict=True):
        scene = real_data(root, split="train", off_screen=0.5).maker.scene(number, 1, RATE)
        np.testing.assert_array_equal(picture, scene.picture)
    assert len(data.clips(None, 0).labels()) == 4000
    assert set(labels.tolist()) == set(range(4))


def test_a_description_changes_with_what_it_describes(root: Path, tmp_path: Path) -> None:
    write_index(tmp_path, index_lines(tmp_path))
    same = real_data(root).clips(8, 0).description()
    assert real_data(tmp_path, split="train", sources=2).clips(8, 0).description() == same
    others = [
        real_data(root).clips(9, 0),
        real_data(root).clips(8, 1),
        real_data(root, twins=0.5).clips(8, 0),
        real_data(root, licences="permissive").clips(8, 0),
        real_data(root, classes=["dog", "drum"]).clips(8, 0),
    ]
    assert all(clips.description() != same for clips in others)


def test_validation_items(root: Path) -> None:
    data = real_data(root, split="train")
    for sources in (1, 2, 4):
        wanted = data.validation_items(sources, 5)
        assert len(wanted.items) == 5
        assert (wanted.side, wanted.window) == (64, 0.5)
        assert all(item.id.startswith("validation-") for item in wanted.items)
        assert all(item.panels == sources for item in wanted.items)
    assert data.validation_items(5, 5).items == ()


def test_chosen_classes(root: Path) -> None:
    data = real_data(root, classes=["Church Bell", "dog"], silent=4)
    assert data.names == ("church bell", "dog")
    shown = {
        thing.label
        for number in range(20)
        for thing in data.maker.scene(number, 1, RATE).panels[0].objects
    }
    assert shown == {"church bell", "dog", "cup", "chair"}
    assert data.dropped == {"files of other classes": 6}
    with pytest.raises(UsageError):
        real_data(root, classes=["cat"]).names  # noqa: B018


def test_a_split_without_files(root: Path, tmp_path: Path) -> None:
    lines = [line for line in index_lines(tmp_path) if line["split"] != "test"]
    write_index(tmp_path, lines)
    with pytest.raises(DataError):
        real_data(tmp_path).items  # noqa: B018
    rest = [line for line in lines if line["split"] == "train"]
    write_index(tmp_path, rest)
    assert real_data(tmp_path, split="train").validation_items(1, 5).items == ()
    write_index(tmp_path, [line for line in lines if line["kind"] == "photo"])
    with pytest.raises(DataError):
        real_data(tmp_path, split="train").names  # noqa: B018


def test_clips_fill_a_token_store(root: Path, tmp_path: Path) -> None:
    """Tokens of a mixture are those of the added sounds of its clips."""
    encoder = AudioCLIPEncoder(world_model())
    clips = real_data(root).clips(6, 0)
    key = store_key(encoder, clips, most_sources=2, stored_as="float32")
    make_store(tmp_path / "tokens", key, encoder, clips)
    shard = read_shard(shard_path(tmp_path / "tokens", 0), key.digest())
    assert shard.labels.tolist() == clips.labels().tolist()
    batch = clips.read(range(6), encoder.sample_rate)
    members = shard.mixtures[2].members
    first = torch.from_numpy(batch.waveforms)[members[0]].sum(dim=0, keepdim=True)
    expected = encoder.encode_sounds(first).embeddings
    torch.testing.assert_close(shard.mixtures[2].sound[:1], expected, atol=1e-4, rtol=1e-4)


def test_scenes_are_encoded_as_those_of_the_world(root: Path) -> None:
    """Twins and masks of composites reach an evaluation as those of the synthetic world do."""
    maker = real_data(root, split="train", twins=1.0).maker
    encoder = AudioCLIPEncoder(world_model())
    names = ("red star", "blue star", "red ring", "blue ring")

    class Renamed:
        names = ("red star", "blue star", "red ring", "blue ring")

        def scene(self, index: int, sources: int = 1) -> object:
            scene = maker.scene(index, sources, RATE)
            renamed = dict(zip(NATURAL, names, strict=True))
            object.__setattr__(scene, "panels", [_renamed(p, renamed) for p in scene.panels])
            return scene

    batch = encode_scenes(encoder, Renamed(), 2, 3)
    assert batch.twins is not None
    assert batch.masks is not None
    assert batch.targets.shape == (6, 64, 128)
    for number in range(3):
        scene = maker.scene(number, 2, RATE)
        for place in range(2):
            row = 2 * number + place
            np.testing.assert_array_equal(batch.masks[row].numpy(), scene.mask(place))
            assert not (batch.masks[row] & batch.twins[row]).any()
            assert batch.twins[row].any()
    assert torch.isfinite(batch.tokens.visual).all()


def _renamed(panel: object, names: dict[str, str]) -> object:
    from dataclasses import replace

    from tvsl.data.composites import PlannedObject

    objects = tuple(
        replace(thing, file=replace(thing.file, label=names.get(thing.label, thing.label)))
        for thing in panel.objects
        if isinstance(thing, PlannedObject)
    )
    return replace(panel, objects=objects)


@pytest.mark.parametrize("grid", [False, True])
def test_photographs_without_boxes_cannot_be_scored(tmp_path: Path, grid: bool) -> None:
    write_index(tmp_path, index_lines(tmp_path, boxes=False))
    data = real_data(tmp_path, split="test", sources=2, grid=grid)
    assert not data.read(data.items[0], RATE).targets.any()
    with pytest.raises(UsageError):
        require_items(data)
