from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.data.inputs import PlainEncoder
from tests.data.made_files import clip, folders, media, picture, rows, sound, vggss
from tvsl.data import find_data
from tvsl.data.files import FileClips, of_length
from tvsl.data.token_store import make_store, store_key
from tvsl.errors import MissingFileError

LABELS = ("dog bow-wow", "elk bugling", "cat purring")
COUNT = 9


class FasterEncoder(PlainEncoder):
    """Hears sounds at a rate that files may have."""

    sample_rate = 1_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = folders(tmp_path / "data")
    lines = [f"{clip(n)},{LABELS[n % 3].replace(' ', '_')}" for n in range(COUNT)]
    rows(folder / "metadata" / "vggsound_single_train.txt", lines, "\n")
    vggss(folder / "metadata", {clip(90 + n): (label, []) for n, label in enumerate(LABELS)})
    media(folder, [clip(n) for n in range(COUNT)])
    return folder


def clips(root: Path, count: int | None = None, seed: int = 0, **options: float) -> FileClips:
    found = find_data("vggsound-duet", root=root, **{"window": 1.0, **options}).clips(count, seed)
    assert isinstance(found, FileClips)
    return found


def test_clips_are_read_as_pictures_sounds_and_labels(root: Path) -> None:
    found = clips(root)
    batch = found.read([3, 0], 8_000)
    for row, number in enumerate((3, 0)):
        name = found.chosen[number].id
        place = int(name[5:11])
        assert found.names[batch.labels[row]] == LABELS[place % 3]
        assert abs(int(batch.pictures[row].mean()) - (40 + place)) <= 2
        np.testing.assert_allclose(batch.waveforms[row, :4000], 0.1 + place / 100, atol=1e-3)
    assert batch.waveforms.shape == (2, 8_000)
    assert not batch.waveforms[:, 4000:].any()
    assert batch.labels.dtype == np.int64


def test_a_longer_sound_is_cut_to_its_middle(root: Path) -> None:
    sound(root / "audio" / f"{clip(0)}.wav", seconds=3)
    assert clips(root, window=0.25).read([0, 1, 2], 8_000).waveforms.shape == (3, 2_000)


def test_the_seed_decides_which_and_in_what_order(root: Path) -> None:
    ids = [item.id for item in clips(root).chosen]
    assert sorted(ids) == [clip(n) for n in range(COUNT)]
    assert [item.id for item in clips(root).chosen] == ids
    assert [item.id for item in clips(root, seed=1).chosen] != ids
    assert [item.id for item in clips(root, 4).chosen] == ids[:4]


def test_the_description_changes_with_what_clips_depend_on_and_with_nothing_else(
    root: Path, tmp_path: Path
) -> None:
    first = clips(root).description()
    moved = Path(shutil.copytree(root, tmp_path / "moved"))
    assert clips(moved).description() == first
    others = [clips(root, 4), clips(root, seed=1), clips(root, window=2.0)]
    picture(moved / "frames" / f"{clips(root).chosen[0].id}.jpg", grey=250)
    others.append(clips(moved))
    told = [str(one.description()) for one in others]
    assert len({str(first), *told}) == 5


def test_a_store_is_made_of_them(root: Path, tmp_path: Path) -> None:
    found, encoder = clips(root), FasterEncoder()
    key = store_key(encoder, found, stored_as="float32", most_sources=2)
    store = make_store(tmp_path / "store", key, encoder, found)
    assert store.mixtures()[1] == COUNT
    assert store.names == found.names
    assert store.batch(1, range(COUNT)).labels.sum() == COUNT


def test_a_file_that_went_missing_is_an_error(root: Path) -> None:
    found = clips(root)
    (root / "audio" / f"{found.chosen[0].id}.wav").unlink()
    for use in (found.description, lambda: found.read([0], 8_000)):
        with pytest.raises(MissingFileError, match=found.chosen[0].id):
            use()


@pytest.mark.parametrize("length", [2, 3, 5])
def test_sounds_of_one_length(length: int) -> None:
    made = of_length(np.array([1, 2, 3], dtype=np.float32), length)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, [1, 2, 3, 0, 0][:length])
