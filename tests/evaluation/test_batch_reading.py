from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.made_data import NAMES, MadeData, MadeEncoder
from tvsl.data.base import Item, Sample
from tvsl.errors import DataError, MediaError, VocabularyError
from tvsl.evaluation.batch import IndexedDataset, Reader, encode_read_items


def indexed(data: MadeData) -> IndexedDataset:
    return IndexedDataset(data, MadeEncoder().vocabulary(NAMES))


def reader(data: MadeData, batch: int = 4, skip: bool = False) -> Reader:
    return Reader(data, MadeEncoder(), False, batch, workers=3, skip=skip)


@settings(max_examples=25)
@given(count=st.integers(1, 30), batch=st.integers(1, 12))
def test_each_item_is_in_one_batch_that_never_changes(count: int, batch: int) -> None:
    made = reader(MadeData(count=count, sources=1), batch)
    members = [made.members(number) for number in range(made.count)]
    assert [place for some in members for place in some] == list(range(count))
    assert all(len(some) == batch for some in members[:-1])
    wanted = list(range(made.count))[::-2]
    for number, found in zip(wanted, made.batches(wanted), strict=True):
        assert found.number == number
        assert [item.number for item in found.items] == list(members[number])


def test_pairs_are_numbered_item_by_item() -> None:
    data = MadeData(count=7, sources=3)
    found = indexed(data)
    assert found.starts == (0, 3, 6, 9, 12, 15, 18, 21)
    assert list(found.pairs(2)) == [6, 7, 8]
    assert [NAMES[label] for label in found.labels] == [
        label for item in data.items for label in item.labels
    ]
    assert indexed(MadeData(labelled=False)).labels == (-1,) * 20


def test_a_class_must_be_in_the_vocabulary() -> None:
    few = IndexedDataset(MadeData(), MadeEncoder().vocabulary(NAMES[:3]))
    with pytest.raises(VocabularyError, match="Not in the vocabulary"):
        few.labels  # noqa: B018


def test_items_with_and_without_classes_do_not_go_together() -> None:
    with pytest.raises(DataError, match="others have none"):
        indexed(MadeData(nameless=(3,))).labelled  # noqa: B018


def test_what_is_nowhere_may_have_a_class_or_not() -> None:
    found = indexed(MadeData(count=3, sources=1, silent=(0, 1), nameless=(1,)))
    assert found.labelled
    assert [label >= 0 for label in found.labels] == [True, False, True]
    assert indexed(MadeData(silent=tuple(range(10)))).labelled


def test_what_is_broken_ends_everything_or_is_noted() -> None:
    data = MadeData(count=9, broken=(2, 5, 6))
    with pytest.raises(MediaError, match=r"item-002\.jpg"):
        list(reader(data).batches(range(3)))
    found = list(reader(data, skip=True).batches(range(3)))
    assert [[item.number for item in batch.items] for batch in found] == [[0, 1, 3], [4, 7], [8]]
    failures = {place: told for batch in found for place, told in batch.failures.items()}
    assert list(failures) == [2, 5, 6]
    assert failures[2] == "item-002.jpg: The picture is broken. Mend it."


def test_panels_must_share_a_shape() -> None:
    class Uneven(MadeData):
        def read(self, item: Item, sample_rate: int) -> Sample:
            sample = super().read(item, sample_rate)
            return Sample((sample.pictures[0], sample.pictures[1][:, :8]), *_rest(sample))

    with pytest.raises(DataError, match="'item-000' differ in shape"):
        list(reader(Uneven()).batches([0]))


def _rest(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    return sample.waveform, sample.targets


def test_items_of_one_shape_are_encoded_together() -> None:
    data = MadeData(count=8, wide=(1, 2, 6), silent=(3,))
    encoder = MadeEncoder()
    (batch,) = reader(data, batch=8).batches([0])
    groups = list(encode_read_items(batch.items, indexed(data), encoder))
    assert [group.clip_ids for group in groups] == [(0, 3, 4, 5, 7), (1, 2, 6)]
    assert [group.tokens.grid for group in groups] == [(4, 8), (4, 12)]
    for group in groups:
        assert group.queries.clip.tolist() == [
            n for n in range(len(group.clip_ids)) for _ in range(2)
        ]
        assert list(group.pair_ids) == [
            n for item in group.clip_ids for n in (2 * item, 2 * item + 1)
        ]
        assert group.foreground.tolist() == [item != 3 for item in group.clip_ids for _ in range(2)]
        for clip, place in enumerate(group.clip_ids):
            alone = reader(data).read(place)
            (single,) = encode_read_items([alone], indexed(data), encoder)
            torch.testing.assert_close(single.tokens.visual[0], group.tokens.visual[clip])
            torch.testing.assert_close(single.tokens.audio[0], group.tokens.audio[clip])
            assert torch.equal(single.targets, group.targets[group.queries.clip == clip])


def test_targets_keep_what_annotators_disagree_on() -> None:
    class Disputed(MadeData):
        def read(self, item: Item, sample_rate: int) -> Sample:
            sample = super().read(item, sample_rate)
            return Sample(sample.pictures, sample.waveform, sample.targets / 2)

    plain, disputed = (reader(kind(count=1)).read(0).targets for kind in (MadeData, Disputed))
    assert plain.dtype == torch.bool
    assert disputed.dtype == torch.float32
    torch.testing.assert_close(disputed, plain.float() / 2)


def test_reading_runs_only_a_little_ahead() -> None:
    made = reader(MadeData(count=40, sources=1), batch=4)
    batches = made.batches(range(10))
    next(batches)
    batches.close()
    assert isinstance(made.encoder, MadeEncoder)
    assert made.encoder.prepared <= 4 * 4
