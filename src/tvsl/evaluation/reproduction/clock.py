"""How long it will still take, told by what alike has taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable


class Clock:
    """Learns how long pieces of work take.

    Args:
        workers: How many of them are done at once.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._known: dict[Hashable, list[float]] = defaultdict(list)

    def learn(self, like: Hashable, seconds: float) -> None:
        """A piece of work has taken so long."""
        self._known[like].append(seconds)

    def left(self, likes: Iterable[Hashable]) -> float | None:
        """How long others will take.

        Args:
            likes: What each of them is like.

        Returns:
            Seconds; of what nothing alike is known, the mean of all counts. None where nothing is
            known at all.
        """
        if not self._known:
            return None
        means = {like: sum(known) / len(known) for like, known in self._known.items()}
        overall = sum(means.values()) / len(means)
        return sum(means.get(like, overall) for like in likes) / self._workers
