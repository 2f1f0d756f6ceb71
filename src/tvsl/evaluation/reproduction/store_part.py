"""A part of a token store: the mixtures of some classes, with or without some of the clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tvsl.data.token_store import TokenBatch, TokenStore
from tvsl.errors import VocabularyError

Wanted = Callable[[Tensor], Tensor]
"""From the clips of mixtures, (M, K), to which of the mixtures are wanted, (M,) bool."""


class StorePart:
    """Some of a store's mixtures, numbered anew.

    Args:
        store: The store.
        names: The classes that members may be of; labels count in their order.
        wanted: Which mixtures are wanted.

    Attributes:
        sizes: How many mixtures there are of each number of sources.
    """

    def __init__(self, store: TokenStore, names: tuple[str, ...], wanted: Wanted) -> None:
        self._store = store
        self._columns = torch.tensor([store.names.index(name) for name in names])
        self._rows = {number: self._chosen(number, wanted) for number in store.mixtures()}
        self.sizes = {number: len(rows) for number, rows in self._rows.items()}

    def sizes_of(self, sources: Sequence[int]) -> dict[int, int]:
        """How many mixtures there are of some numbers of sources.

        Raises:
            VocabularyError: None of any of them.
        """
        sizes = {number: self.sizes.get(number, 0) for number in sources}
        if not any(sizes.values()):
            told = " or ".join(str(number) for number in sources)
            raise VocabularyError(
                f"There are no mixtures of {told} sources among the clips of these "
                f"{len(self._columns)} classes.",
                "Give more clips or classes.",
            )
        return sizes

    def batch(self, sources: int, rows: Tensor) -> TokenBatch:
        """Read mixtures of one number of sources, by their new rows (B,)."""
        tokens, labels = self._store.batch(sources, self._rows[sources][rows])
        return TokenBatch(tokens, labels[:, self._columns])

    def _chosen(self, sources: int, wanted: Wanted) -> Tensor:
        labels = self._store.labels(sources)
        members = self._store.members(sources, range(len(labels)))
        known = torch.isin(labels, self._columns).all(dim=1)
        return (known & wanted(members)).nonzero()[:, 0]


def all_mixtures(members: Tensor) -> Tensor:
    """Every mixture is wanted."""
    return torch.ones(len(members), dtype=torch.bool)


def with_any(share: float) -> Wanted:
    """Mixtures with any of the clips that are held out.

    Args:
        share: Which share of the clips; about every (1 / share)-th is.

    Returns:
        What is wanted.
    """
    step = max(2, round(1 / share))
    return lambda members: (members % step == 0).any(dim=1)


def without(share: float) -> Wanted:
    """Mixtures of none of the clips that are held out; see ``with_any``."""
    held = with_any(share)
    return lambda members: ~held(members)
