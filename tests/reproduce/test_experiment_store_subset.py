from __future__ import annotations

import pytest
import torch

from tests.data.inputs import make, members
from tvsl.data.token_store import TokenStore
from tvsl.errors import VocabularyError
from tvsl.reproduce.experiment import StoreSubset


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """40 clips of eight classes in mixtures of up to three."""
    return make(tmp_path_factory.mktemp("store"))


def test_a_store_knows_the_classes_of_its_mixtures(store: TokenStore) -> None:
    for sources, count in store.mixtures().items():
        labels = store.labels(sources)
        assert labels.shape == (count, sources)
        assert torch.equal(labels, members(store, sources) % 8)  # as NoiseClips has it


def test_all_of_a_store(store: TokenStore) -> None:
    subset = StoreSubset(store, store.names)
    assert subset.sizes == store.mixtures()
    rows = torch.tensor([3, 0, 11])
    one, other = subset.batch(2, rows), store.batch(2, rows)
    assert torch.equal(one.tokens.visual, other.tokens.visual)
    assert torch.equal(one.labels, other.labels)


def test_some_classes_in_another_order(store: TokenStore) -> None:
    names = ("f", "b", "a", "h")
    subset = StoreSubset(store, names)
    for sources, size in subset.sizes.items():
        known = torch.isin(store.labels(sources), torch.tensor([0, 1, 5, 7])).all(dim=1)
        assert size == int(known.sum())
        if size == 0:
            continue
        batch = subset.batch(sources, torch.arange(size))
        whole = store.batch(sources, known.nonzero()[:, 0])
        assert torch.equal(batch.tokens.audio, whole.tokens.audio)
        assert torch.equal(batch.labels, whole.labels[:, [5, 1, 0, 7]])
        assert bool((batch.labels.sum(dim=1) == sources).all())
    assert subset.sizes[1] == 20
    assert 0 < subset.sizes[2] < store.mixtures()[2]


def test_mixtures_that_are_not_there(store: TokenStore) -> None:
    subset = StoreSubset(store, ("a",))
    assert subset.sizes_of((1, 2)) == {1: 5, 2: 0}
    with pytest.raises(VocabularyError, match=r"no mixtures of 2 or 3 sources .* 1 classes"):
        subset.sizes_of((2, 3))
