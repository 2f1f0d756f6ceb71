"""Classes that sound in one clip: names that are one to the model, the threshold and the floors.

What is told to users; scores of classes are a method's (``Method.detect``), and metrics are made of
these alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from tvsl.errors import UsageError, shown
from tvsl.methods.base import Method
from tvsl.methods.operations import select
from tvsl.tokens import Queries, Tokens, Vocabulary


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes that a request is answered among.

    Attributes:
        vocabulary: Their names and embeddings.
        groups: Group of each name among those that are one to the model, as
            ``Vocabulary.groups`` gives them; None: each stands for itself.
    """

    vocabulary: Vocabulary
    groups: Tensor | None = None

    def merged(self, scores: Tensor) -> tuple[Vocabulary, dict[str, tuple[str, ...]]]:
        """Each group under the name that suits a clip best, by its scores (1, N)."""
        if self.groups is None:
            return self.vocabulary, {}
        names = self.vocabulary.names
        members: dict[int, list[int]] = {}  # best first
        for row in scores[0].argsort(descending=True, stable=True).tolist():
            members.setdefault(int(self.groups[row]), []).append(row)
        best = sorted(rows[0] for rows in members.values())
        others = {names[r[0]]: tuple(names[one] for one in r[1:]) for r in members.values()}
        return self.vocabulary.chosen(best), others


class Candidate(NamedTuple):
    """The best class of a clip in which none sounds.

    Attributes:
        label: Its name.
        score: Its score.
        threshold: Score from which it would sound.
        is_missing: Whether its score would do, but it is hardly heard or hardly seen.
    """

    label: str
    score: float
    threshold: float
    is_missing: bool

    def __str__(self) -> str:
        score = f"{shown(self.label)} with {self.score:.2f}"
        if self.is_missing:
            return f"nothing that the model knows sounds here; {score} is hardly heard or seen"
        return (
            f"nothing that the model knows sounds here; the best candidate is {score}, under "
            f"{self.threshold:.2f}"
        )


def detected(
    method: Method, tokens: Tokens, vocabulary: Vocabulary, scores: Tensor, sources: int | None
) -> tuple[Queries, Candidate | None]:
    """Decide which classes sound.

    Args:
        method: The head.
        tokens: One clip.
        vocabulary: N classes.
        scores: Their detection scores, (1, N).
        sources: How many to take; as many as are found when None.

    Returns:
        The classes, best first, and the best one where none sounds.
    """
    config = method.config
    threshold, floors = config.detection_threshold, (config.heard_floor, config.seen_floor)
    queries = select(scores, sources, threshold, at_least_one=False)
    if threshold is None or sources is not None:
        return queries, None
    over = len(queries) > 0
    for side, floor in zip(method.evidence(tokens, vocabulary) or (), floors, strict=False):
        if floor is not None:
            kept = side[0, queries.label] >= floor
            queries = Queries(queries.clip[kept], queries.label[kept])
    if len(queries) > 0:
        return queries, None
    best = int(scores[0].argmax())
    return queries, Candidate(vocabulary.names[best], float(scores[0, best]), threshold, over)


def cannot_detect(method: Method | type[Method]) -> UsageError:
    """The error for a method that cannot detect classes."""
    return UsageError(
        f"The method '{method.name}' cannot detect what sounds.",
        "Give labels: by `--labels`, or as the argument `labels`.",
    )
