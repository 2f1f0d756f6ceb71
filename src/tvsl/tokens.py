"""Tokens, vocabularies and queries, the data between encoders, methods and metrics.

Each object checks its shapes and values once, when it is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize, pdist

from tvsl.errors import ShapeError, VocabularyError, first_few, shown
from tvsl.vocabularies import check_names, same_names

TENSORS = ("visual", "audio", "image", "sound")
"""Names of the tensors of ``Tokens``."""

_ROWS_AT_ONCE = 1024
_ROUNDING = 1e-6


def _require(condition: bool, problem: str, remedy: str) -> None:
    if not condition:
        raise ShapeError(problem, remedy)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Output of the frozen encoders for a batch of clips (Sec. 3.2).

    Attributes:
        visual: Image patch tokens, (B, n_v, D), row-major over ``grid``.
        audio: Audio patch tokens, (B, n_a, D).
        image: Pooled image embeddings, (B, D).
        sound: Pooled audio embeddings, (B, D).
        grid: Height and width of the token grid, h * w = n_v.
        panels: Number of frames side by side in the grid; 1 for a natural frame.

    Raises:
        ShapeError: The shapes are wrong or do not agree.
    """

    visual: Tensor
    audio: Tensor
    image: Tensor
    sound: Tensor
    grid: tuple[int, int]
    panels: int = 1

    def __post_init__(self) -> None:
        shapes = {name: tuple(getattr(self, name).shape) for name in TENSORS}
        remedy = "Build tokens with an encoder's `encode`."
        _require(
            self.visual.ndim == self.audio.ndim == 3 and self.image.ndim == self.sound.ndim == 2,
            f"Tokens must be (B, n, D) and embeddings (B, D), got {shapes}.",
            remedy,
        )
        first = self.visual.shape
        _require(
            all(one[0] == first[0] and one[-1] == first[-1] for one in shapes.values()),
            f"Tokens must share one batch and one embedding size, got {shapes}.",
            remedy,
        )
        _require(self.audio.shape[1] > 0, f"There are no audio tokens, got {shapes}.", remedy)
        _require(
            min(self.grid) > 0 and self.visual.shape[1] == self.grid[0] * self.grid[1],
            f"{self.visual.shape[1]} visual tokens do not fill a grid of {self.grid}.",
            remedy,
        )
        _require(
            self.panels >= 1 and self.grid[1] % self.panels == 0,
            f"{self.panels} panels do not divide a grid of {self.grid}.",
            remedy,
        )

    @property
    def batch(self) -> int:
        """B, the number of clips."""
        return self.visual.shape[0]

    @property
    def size(self) -> int:
        """D, the size of the shared space."""
        return self.visual.shape[2]

    def clip(self, number: int) -> Tokens:
        """Those of one clip of the batch, B = 1."""
        row = slice(number, number + 1)
        return replace(
            self,
            visual=self.visual[row],
            audio=self.audio[row],
            image=self.image[row],
            sound=self.sound[row],
        )

    def to(self, device: torch.device | str) -> Tokens:
        """The same tokens on another device."""
        return replace(
            self,
            visual=self.visual.to(device),
            audio=self.audio.to(device),
            image=self.image.to(device),
            sound=self.sound.to(device),
        )


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Class names and their text embeddings; zero-shot transfer is another vocabulary.

    Attributes:
        names: N different class names, in the given spelling.
        embeddings: (N, D), unit length.
        token_ids: (N, L), for methods with learned prompts before the names (Sec. 4.6).

    Raises:
        VocabularyError: No name, or the same name twice.
        ShapeError: Embeddings of another shape or not of unit length.
    """

    names: tuple[str, ...]
    embeddings: Tensor
    token_ids: Tensor | None = None

    def __post_init__(self) -> None:
        check_names(self.names)
        _require(
            self.embeddings.ndim == 2 and len(self.embeddings) == len(self.names),
            f"{len(self.names)} names need embeddings ({len(self.names)}, D), "
            f"got {tuple(self.embeddings.shape)}.",
            "Embed the names with the encoder's `vocabulary`.",
        )
        lengths = self.embeddings.detach().float().norm(dim=-1)
        _require(
            bool(((lengths - 1).abs() < 1e-2).all()),
            "Text embeddings must have unit length.",
            "Embed the names with the encoder's `vocabulary`.",
        )
        _require(
            self.token_ids is None or len(self.token_ids) == len(self.names),
            "Token ids and names do not agree.",
            "Embed the names with the encoder's `vocabulary`.",
        )

    def __len__(self) -> int:
        return len(self.names)

    def indices(self, names: Sequence[str]) -> list[int]:
        """Rows of some names; in the given order.

        Args:
            names: Class names of this vocabulary, in any spelling.

        Raises:
            VocabularyError: A name is not in the vocabulary.
        """
        return rows_among(self.names, names)

    def groups(self, cosine: float) -> Tensor:
        """Group each name with those that are nearly the same to the model.

        Any two names of a group are this alike (complete linkage): a chain of likenesses, from
        man singing over woman singing to child singing, is broken where its ends differ.

        Args:
            cosine: Least cosine of two embeddings of a group, over 0.

        Returns:
            Row of the first name of each name's group, (N,) int64 on the CPU.
        """
        rows = normalize(self.embeddings.detach().float().cpu(), dim=1)
        pairs = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):  # no table of all pairs
            alike = rows[start : start + _ROWS_AT_ONCE] @ rows.T >= cosine
            pairs.append(alike.nonzero() + torch.tensor([start, 0]))
        parts = _first_connected(torch.cat(pairs), len(rows))
        result = torch.arange(len(rows))
        for part in parts.bincount().gt(1).nonzero()[:, 0]:
            members = (parts == part).nonzero()[:, 0]
            clusters = _complete_linkage(rows[members], cosine)
            for cluster in clusters.unique():
                inside = members[clusters == cluster]
                result[inside] = inside[0]
        return result

    def chosen(self, rows: Sequence[int]) -> Vocabulary:
        """The vocabulary of some rows, in the given order."""
        index = torch.tensor(rows, dtype=torch.int64, device=self.embeddings.device)
        ids = None if self.token_ids is None else self.token_ids[index.to(self.token_ids.device)]
        return Vocabulary(tuple(self.names[row] for row in rows), self.embeddings[index], ids)

    def to(self, device: torch.device | str) -> Vocabulary:
        """The same vocabulary on another device."""
        ids = None if self.token_ids is None else self.token_ids.to(device)
        return replace(self, embeddings=self.embeddings.to(device), token_ids=ids)


def _first_connected(pairs: Tensor, count: int) -> Tensor:
    """For each of some rows the first one that pairs (P, 2) connect it with."""
    first, second = torch.cat([pairs, pairs.flip(1)]).T
    result = torch.arange(count)
    while True:
        lowered = result.scatter_reduce(0, first, result[second], "amin")
        lowered = lowered[lowered]
        if torch.equal(lowered, result):
            return result
        result = lowered


def _complete_linkage(rows: Tensor, cosine: float) -> Tensor:
    """Number of the group of each of some connected rows (n, D)."""
    if len(rows) == 2:  # the usual case, for which scipy need not be imported
        return torch.zeros(2, dtype=torch.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    distances = pdist(rows).numpy() ** 2 / 2  # 1 - cosine
    tree = linkage(distances, "complete")
    return torch.from_numpy(fcluster(tree, 1 - cosine + _ROUNDING, "distance")).long()


def rows_among(vocabulary: Sequence[str], names: Sequence[str]) -> list[int]:
    """Rows of some names, in their order, in a list of class names; see ``Vocabulary.indices``.

    Args:
        vocabulary: The class names.
        names: Names among them, in any spelling.

    Raises:
        VocabularyError: A name is not in the list.
    """
    rows = {form: row for row, form in enumerate(same_names(vocabulary))}
    forms = same_names(names)
    unknown = [name for name, form in zip(names, forms, strict=True) if form not in rows]
    if unknown:
        raise VocabularyError(
            f"Not in the vocabulary: {', '.join(first_few(list(map(shown, unknown)), 20))}.",
            "Use its names, or another vocabulary.",
        )
    return [rows[form] for form in forms]


class Slots(NamedTuple):
    """Positions of the pairs in an array with one row per clip.

    Attributes:
        clip: Row of each pair, (P,).
        slot: Column of each pair, (P,): its rank among the pairs of its clip.
        width: Number of columns, the largest number of pairs of one clip.
    """

    clip: Tensor
    slot: Tensor
    width: int


class Chunk(NamedTuple):
    """Some pairs of a batch, with their clips.

    Attributes:
        positions: Indices of these pairs among all, (p,).
        clips: Their clips in the batch, each once, (b,).
        queries: The pairs; their clips are indices into ``clips``.
    """

    positions: Tensor
    clips: Tensor
    queries: Queries


@dataclass(frozen=True, eq=False)
class Queries:
    """All (clip, source) pairs of a batch; clips may have different numbers of sources.

    Attributes:
        clip: Index of each pair's clip in the batch, (P,), int64.
        label: Row of each pair's class in the vocabulary, (P,), int64.

    Raises:
        ShapeError: The two tensors do not agree.
    """

    clip: Tensor
    label: Tensor

    def __post_init__(self) -> None:
        _require(
            self.clip.ndim == 1
            and self.clip.shape == self.label.shape
            and self.clip.dtype == self.label.dtype == torch.int64,
            f"Queries need two int64 vectors of one length, got {tuple(self.clip.shape)} "
            f"{self.clip.dtype} and {tuple(self.label.shape)} {self.label.dtype}.",
            "Use `Queries.from_labels` or `Queries.from_lists`.",
        )

    @classmethod
    def from_labels(cls, labels: Tensor) -> Queries:
        """Make one pair per true label, (B, N) bool, or as many as an integer array counts."""
        _require(
            labels.ndim == 2 and not (labels.is_floating_point() or labels.is_complex()),
            f"Labels must be bool or whole numbers (B, N), got {tuple(labels.shape)} "
            f"{labels.dtype}.",
            "Give one row per clip and one column per class.",
        )
        places = labels.nonzero()
        clip, label = places.repeat_interleave(labels[places[:, 0], places[:, 1]].long(), dim=0).T
        return cls(clip, label)

    @classmethod
    def from_lists(cls, rows: Sequence[Sequence[int]]) -> Queries:
        """Make pairs of lists of vocabulary rows, one list per clip."""
        clip = [number for number, row in enumerate(rows) for _ in row]
        label = [index for row in rows for index in row]
        return cls(torch.tensor(clip, dtype=torch.int64), torch.tensor(label, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.clip)

    def to(self, device: torch.device | str) -> Queries:
        """The same queries on another device."""
        return Queries(self.clip.to(device), self.label.to(device))

    def check(self, batch: int, classes: int) -> None:
        """Check the indices of the pairs against a batch and a vocabulary.

        Args:
            batch: B, the number of clips.
            classes: N, the number of classes.

        Raises:
            ShapeError: An index is out of range.
        """
        for name, index, bound in (("clip", self.clip, batch), ("label", self.label, classes)):
            if len(index) and not 0 <= int(index.min()) <= int(index.max()) < bound:
                raise ShapeError(
                    f"Queries name a {name} outside 0 to {bound - 1}.",
                    "Build them for this batch and vocabulary.",
                )

    def alone(self) -> Tensor:
        """Mark pairs whose class is the only one queried in their clip, (P,) bool."""
        if len(self) == 0:
            return torch.zeros_like(self.clip, dtype=torch.bool)
        different = torch.stack([self.clip, self.label], dim=1).unique(dim=0)
        return torch.bincount(different[:, 0])[self.clip] == 1

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Cut the pairs into chunks that each concern few clips.

        Yields:
            Chunks, clip by clip, that together hold every pair once.
        """
        order = torch.argsort(self.clip, stable=True)
        for positions in order.split(size):
            clips, local = torch.unique(self.clip[positions], return_inverse=True)
            yield Chunk(positions, clips, Queries(local, self.label[positions]))

    def slots(self, batch: int) -> Slots:
        """Arrange the pairs in an array (batch, width), for batched matrix products."""
        if len(self) == 0:
            return Slots(self.clip, self.clip, 0)
        order = torch.argsort(self.clip, stable=True)
        counts = torch.bincount(self.clip, minlength=batch)
        starts = counts.cumsum(0) - counts
        ranks = torch.arange(len(self), device=self.clip.device) - starts[self.clip[order]]
        slot = torch.empty_like(self.clip)
        slot[order] = ranks
        return Slots(self.clip, slot, int(counts.max()))
