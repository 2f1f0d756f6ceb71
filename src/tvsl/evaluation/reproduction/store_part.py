"""A part of a token store: the mixtures of some classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tvsl.data.token_store import TokenBatch, TokenStore
from tvsl.errors import VocabularyError


class StorePart:
    """Some of a store's mixtures, numbered anew.

    Args:
        store: The store.
        names: The classes that members may be of; labels count in their order.

    Attributes:
        sizes: How many mixtures there are of each number of sources.
    """

    def __init__(self, store: TokenStore, names: tuple[str, ...]) -> None:
        self._store = store
        self._columns = torch.tensor([store.names.index(name) for name in names])
        self._rows = {number: self._known(number) for number in store.mixtures()}
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

    def _known(self, sources: int) -> Tensor:
        """Rows of the mixtures all of whose members are of these classes."""
        labels = self._store.labels(sources)
        return torch.isin(labels, self._columns).all(dim=1).nonzero()[:, 0]
