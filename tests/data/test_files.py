"""Behaviour of all data sets in files, tried on the folder and on made sets."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.data.made_files import media, picture, sound, write
from tvsl.data.base import Item, Source, Split
from tvsl.data.files import FileDataSet, mix_sounds
from tvsl.data.mixtures import mix
from tvsl.data.targets import Boxes, Nowhere
from tvsl.errors import (
    DataError,
    MissingFileError,
    SilentAudioError,
    UnreadableMediaError,
    UsageError,
)
from tvsl.media.writing import wav_bytes

LEFT = Boxes(((0.0, 0.0, 0.5, 1.0),))
NAMES = ("a", "b", "c", "d")


class PlainData(FileDataSet):
    """Four clips in one folder; the first is of two panels and two sounds."""

    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "Plain"

    @property
    def names(self) -> tuple[str, ...]:
        return ("dog", "cat")

    @property
    def layout(self) -> str:
        return "*.jpg, *.wav"

    def listed(self, split: Split) -> Iterator[Item]:
        for number, name in enumerate(NAMES):
            target = Nowhere() if name == "d" else LEFT
            source = Source(self.names[number % 2], target, 0 if name == "a" else None)
            files = (self.root / f"{name}.jpg",), (self.root / f"{name}.wav",)
            if name == "a":
                two = (Source("cat", LEFT, 1),)
                sounds = (*files[1], self.root / "b.wav")
                yield Item(name, files[0], sounds, (source, *two), 2)
            else:
                yield Item(f"{split} {name}", *files, (source,))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    media(tmp_path, NAMES, ".", ".")
    return tmp_path


def test_an_item_is_read_with_panels_sounds_and_targets(root: Path) -> None:
    data = PlainData(root=root, side=8)
    sample = data.read(data.items[0], 8_000)
    assert [one.shape for one in sample.pictures] == [(24, 16, 3)] * 2
    np.testing.assert_allclose(sample.waveform, 0.1 + 0.11, atol=1e-3)
    assert len(sample.waveform) == 4000
    assert sample.targets.shape == (2, 8, 16)
    assert sample.targets[0, :, :4].all()
    assert sample.targets[1, :, 8:12].all()
    assert sample.targets.sum() == 2 * 8 * 4


def test_the_rate_is_the_one_that_is_asked_for(root: Path) -> None:
    data = PlainData(root=root)
    assert len(data.read(data.items[1], 16_000).waveform) == 8000


def test_the_middle_of_a_long_sound_is_heard(root: Path) -> None:
    ramp = np.linspace(0, 0.9, 8 * 8000)
    write(root / "b.wav", wav_bytes(np.rint(ramp * 32767).astype(np.int16), 8000))
    item = PlainData(root=root).items[1]
    heard = PlainData(root=root, window=2.0).read(item, 8_000).waveform
    np.testing.assert_allclose(heard, ramp[24_000:40_000], atol=1e-3)
    assert len(PlainData(root=root, window=None).read(item, 8_000).waveform) == 64_000


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("b.jpg", None, MissingFileError),
        ("b.wav", None, MissingFileError),
        ("b.jpg", b"no picture", UnreadableMediaError),
        ("b.wav", b"no sound", UnreadableMediaError),
    ],
)
def test_a_missing_or_broken_file_is_an_error_and_never_replaced(
    root: Path, name: str, content: bytes | None, error: type[Exception]
) -> None:
    (root / name).unlink()
    if content is not None:
        write(root / name, content)
    data = PlainData(root=root)
    with pytest.raises(error, match=name):
        data.read(data.items[1], 8_000)


def test_panels_that_cannot_be_cut_are_an_error_of_the_file(root: Path) -> None:
    picture(root / "a.jpg", size=(31, 20))
    data = PlainData(root=root)
    with pytest.raises(UnreadableMediaError, match=r"a\.jpg.*31 pixels"):
        data.read(data.items[0], 8_000)


def test_silence_is_an_error_where_something_sounds_and_allowed_elsewhere(root: Path) -> None:
    sound(root / "c.wav", level=0)
    sound(root / "d.wav", level=0)
    data = PlainData(root=root)
    with pytest.raises(SilentAudioError, match=r"c\.wav"):
        data.read(data.items[2], 8_000)
    assert not data.read(data.items[3], 8_000).waveform.any()


def test_threads_and_processes_read_the_same(root: Path) -> None:
    data = pickle.loads(pickle.dumps(PlainData(root=root)))  # noqa: S301  (as processes do)
    one = [data.read(item, 8_000) for item in data.items]
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda item: data.read(item, 8_000), data.items))
    for left, right in zip(one, many, strict=True):
        np.testing.assert_array_equal(left.waveform, right.waveform)
        np.testing.assert_array_equal(left.targets, right.targets)
        np.testing.assert_array_equal(left.pictures, right.pictures)


def test_there_are_only_the_splits_that_there_are(root: Path) -> None:
    assert [item.id for item in PlainData(root=root, split="train").items][1] == "train b"
    with pytest.raises(UsageError, match="no split 'validation'"):
        _ = PlainData(root=root, split="validation").items


def test_ids_are_left_out(root: Path) -> None:
    out = write(root / "out.txt", "test b\t# missing: b.jpg\n# a comment\n\nnot of this split\n")
    data = PlainData(root=root, leave_out=out)
    assert [item.id for item in data.items] == ["a", "test c", "test d"]


def test_ids_of_something_else_are_not_taken_for_this(root: Path) -> None:
    out = write(root / "out.txt", "what\n")
    with pytest.raises(DataError, match=r"No id in the file.*'what'.*'a'"):
        _ = PlainData(root=root, leave_out=out).items
    with pytest.raises(DataError, match="no such file"):
        _ = PlainData(root=root, leave_out=root / "none.txt").items


@pytest.mark.parametrize(("listed", "split"), [("train b", "test"), ("test c", "train")])
def test_ids_of_another_split_leave_nothing_out(root: Path, listed: str, split: Split) -> None:
    """`tvsl data check` writes the ids of one split, and training reads others as well."""
    out = write(root / "out.txt", f"{listed}\t# missing: b.jpg\n")
    data = PlainData(root=root, leave_out=out, split=split)
    assert (len(data.items), data.listed_count) == (4, 4)
    assert data.left_out is not None
    assert (data.left_out.items, data.left_out.unknown) == ((), (listed,))


class NoTrainData(PlainData):
    """Data whose list of training clips is not here."""

    def listed(self, split: Split) -> Iterator[Item]:
        if split == "train":
            raise DataError("The list is missing.", "Get it.")
        yield from super().listed(split)


def test_lists_of_other_splits_may_be_missing(root: Path) -> None:
    out = write(root / "out.txt", "train b\n")
    with pytest.raises(DataError, match=r"No id in the file.*'train b'"):
        _ = NoTrainData(root=root, leave_out=out).items
    write(out, "test b\n")
    assert len(NoTrainData(root=root, leave_out=out).items) == 3


class MixedData(PlainData):
    """Each two of the clips, mixed."""

    def listed(self, split: Split) -> Iterator[Item]:
        clips = list(super().listed(split))[1:]
        yield from (mix(pair) for pair in combinations(clips, 2))


def test_mixtures_of_what_is_left_out_are_left_out(root: Path) -> None:
    out = write(root / "out.txt", "test b\n")
    data = MixedData(root=root, leave_out=out)
    assert [item.id for item in data.items] == ["test c+test d"]
    assert data.left_out is not None
    assert [item.id for item in data.left_out.items] == ["test b+test c", "test b+test d"]
    assert data.left_out.unknown == ()
    write(out, "test c+test d\n")
    assert [item.id for item in MixedData(root=root, leave_out=out).items] == [
        "test b+test c",
        "test b+test d",
    ]


def test_what_is_left_out_still_counts_as_listed(root: Path) -> None:
    text = "test c.jpg\n\ntest b\nsomething else\n"
    out = write(root / "out.txt", text)
    data = PlainData(root=root, leave_out=out)
    assert (len(data.items), data.listed_count) == (2, 4)
    left_out = data.left_out
    assert left_out is not None
    assert [item.id for item in left_out.items] == ["test c", "test b"]
    assert left_out.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert left_out.unknown == ("something else",)
    ((head, told),) = data.notes
    assert head == "Left out"
    for part in ("2 of 4", str(out), left_out.sha256, "1 of its ids", "'something else'"):
        assert part in told
    assert PlainData(root=root).listed_count == 4
    assert PlainData(root=root).notes == []


@pytest.mark.parametrize("name", ["/dev/zero", "pipe", "."])
def test_what_to_leave_out_is_a_file(root: Path, name: str) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(DataError, match="not a file"):
        _ = PlainData(root=root, leave_out=root / name).items


class TwiceData(PlainData):
    def listed(self, split: Split) -> Iterator[Item]:
        yield from [*super().listed(split)] * 2


def test_an_id_twice_is_an_error(root: Path) -> None:
    with pytest.raises(DataError, match="'a' twice"):
        _ = TwiceData(root=root).items


def test_clips_are_the_labelled_single_sources_of_the_training_split(root: Path) -> None:
    clips = PlainData(root=root).clips(None, 0)
    assert sorted(item.id for item in clips.chosen) == ["train b", "train c", "train d"]
    assert clips.count == 3
    assert clips.names == ("dog", "cat")


def test_there_are_not_more_clips_than_there_are(root: Path) -> None:
    assert PlainData(root=root).clips(2, 0).count == 2
    with pytest.raises(UsageError, match="has 3 clips"):
        PlainData(root=root).clips(4, 0)
    with pytest.raises(UsageError, match="window"):
        PlainData(root=root, window=None).clips(2, 0)


def test_missing_clips_are_told_before_training(root: Path) -> None:
    (root / "c.jpg").unlink()
    data = PlainData(root=root)
    with pytest.raises(MissingFileError, match=r"1 files of the 3 clips .*leave_out") as caught:
        data.clips(None, 0)
    assert caught.value.path == root / "c.jpg"
    out = write(root / "out.txt", "train c\n")
    assert PlainData(root=root, leave_out=out).clips(None, 0).count == 2


def test_sounds_are_added_up_with_silence_behind_shorter_ones() -> None:
    mixture = mix_sounds([np.ones(3, np.float32), np.full(5, 2, np.float32)])
    np.testing.assert_array_equal(mixture, [3, 3, 3, 2, 2])
    assert mixture.dtype == np.float32
