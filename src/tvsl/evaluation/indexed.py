"""A data set whose sources and classes are numbered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from tvsl.data import checking
from tvsl.data.base import DataSet, Item
from tvsl.data.targets import Nowhere
from tvsl.errors import DataError, UsageError

if TYPE_CHECKING:
    from tvsl.tokens import Vocabulary

OR_SKIP: Final = "With `--on-error skip` such items are left out, counted and listed."


@dataclass(frozen=True, eq=False)
class IndexedDataset:
    """The items of a data set with their (item, source) pairs numbered.

    Attributes:
        dataset: The data set.
        vocabulary: The classes.
    """

    dataset: DataSet
    vocabulary: Vocabulary

    @property
    def items(self) -> tuple[Item, ...]:
        """All listed items."""
        return self.dataset.items

    @cached_property
    def labelled(self) -> bool:
        """Tell whether sources have classes; see ``are_labelled``."""
        return are_labelled(self.items)

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """Class of each pair in the vocabulary, -1 without one.

        Raises:
            VocabularyError: A class is not in the vocabulary.
        """
        if not self.labelled:
            return (-1,) * self.starts[-1]
        labels = [label for item in self.items for label in item.labels]
        names = tuple(dict.fromkeys(label for label in labels if label is not None))
        rows: dict[str | None, int] = {None: -1}
        rows.update(zip(names, self.vocabulary.indices(names), strict=True))
        return tuple(rows[label] for label in labels)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Number of each item's first pair, and at the end the number of pairs."""
        return (0, *accumulate(len(item.sources) for item in self.items))

    @cached_property
    def clusters(self) -> tuple[int, ...]:
        """Number of each item's recording: items of one say little more than one of them alone."""
        numbers: dict[str, int] = {}
        names = (item.recording or item.id for item in self.items)
        return tuple(numbers.setdefault(name, len(numbers)) for name in names)

    def pairs(self, item: int) -> range:
        """Numbers of an item's pairs."""
        return range(self.starts[item], self.starts[item + 1])


def are_labelled(items: Iterable[Item]) -> bool:
    """Tell whether items have classes.

    Args:
        items: The items of a data set.

    Raises:
        DataError: Some sources have and others have not. Those that are nowhere in the picture may
            be without.
    """
    sources = [source for item in items for source in item.sources]
    seen = [source for source in sources if not isinstance(source.target, Nowhere)]
    labels = [source.label for source in seen or sources]
    known = {label is not None for label in labels}
    if len(known) > 1:
        raise DataError(
            "Some sources of this data set have a class and others have none.",
            "Give all of them a class, or none.",
        )
    return known == {True}


def require_files(items: Iterable[Item]) -> None:
    """Let through only items whose files are all there.

    Raises:
        MissingFileError: Files are missing; the message counts them and names the first.
    """
    checking.require_files(items, f"Check the path and the root. {OR_SKIP}")


def require_items(data: DataSet) -> None:
    """Check that a data set has an item to evaluate on.

    Raises:
        UsageError: It lists no item, or all are left out.
        DataError: Its lists cannot be used.
    """
    if not data.items:
        if data.left_out is not None and data.left_out.items:
            raise UsageError(
                f"All {data.listed_count} items of the data set '{data.name}' are left out.",
                "Mend the files, and take their ids out of the list of the option leave_out.",
                data.left_out.file,
            )
        raise UsageError(f"The data set '{data.name}' lists no item.", "Choose another part of it.")
