"""The plan of a reproduction: each head once, whichever tables need it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tvsl.reproduce.config import ReproduceConfig
from tvsl.reproduce.specs import (
    Candidates,
    Curriculum,
    Hyperparameters,
    TableSpec,
    TestCondition,
    Training,
)
from tvsl.reproduce.train import RunRecord

EvalTarget = tuple[TestCondition, Hyperparameters]
"""A test condition, and the hyperparameters that override what validation decided."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Heads to train and test conditions to score them on.

    Attributes:
        config: The recipe.
        needs: Candidates of all rows, with the targets that the chosen heads are scored on.
        halved: Whether all heads are trained on half of the classes anyway.
    """

    config: ReproduceConfig
    needs: Mapping[Candidates, tuple[EvalTarget, ...]]
    halved: bool

    @classmethod
    def of(
        cls,
        tables: Iterable[TableSpec],
        config: ReproduceConfig,
        possible: Callable[[TestCondition], bool],
        halved: bool,
        further: Iterable[Candidates] = (),
    ) -> Plan:
        """Collect what some tables need.

        Args:
            tables: The tables.
            config: The recipe.
            possible: Whether there are scenes of a condition.
            halved: As in ``Plan``.
            further: Candidates whose maps are only to be shown.

        Returns:
            The plan.
        """
        needs: dict[Candidates, dict[EvalTarget, None]] = {}
        for table in tables:
            for candidates, condition, overrides in table.needs():
                if possible(condition):
                    needs.setdefault(_known(candidates, halved), {})[condition, overrides] = None
        for candidates in further:
            needs.setdefault(_known(candidates, halved), {})
        return cls(
            config, {candidates: tuple(wanted) for candidates, wanted in needs.items()}, halved
        )

    def known(self, candidates: Candidates) -> Candidates:
        """Candidates of a table as the plan names them."""
        return _known(candidates, self.halved)

    def trainings(self, candidates: Candidates) -> tuple[Training, ...]:
        """Trainings of which validation chooses one, the first seed of each."""
        if not candidates.curricula:
            return (Training(candidates.head, mode=candidates.mode),)
        return tuple(
            Training(candidates.head, curriculum, rate, 0, candidates.mode)
            for curriculum in candidates.curricula
            for rate in self.config.learning_rates
        )

    def all_trainings(self) -> tuple[Training, ...]:
        """Trainings of all candidates, each once."""
        return tuple(
            dict.fromkeys(one for candidates in self.needs for one in self.trainings(candidates))
        )

    def repeats(self, chosen: Training) -> tuple[Training, ...]:
        """The chosen training with every seed; once where nothing is trained."""
        if chosen.curriculum is None:
            return (chosen,)
        return tuple(replace(chosen, seed=seed) for seed in range(self.config.seeds))


@dataclass(frozen=True)
class Choice:
    """Choice of validation among candidates.

    Attributes:
        candidates: The candidates.
        scores: Validation score of each training; None where it did not end well.
        chosen: The best training; None where none ended well.
        reason: Why none did.
    """

    candidates: Candidates
    scores: tuple[tuple[Training, float | None], ...]
    chosen: Training | None
    reason: str | None = None


def choose(candidates: Candidates, records: Sequence[tuple[Training, RunRecord]]) -> Choice:
    """Choose the training with the highest validation score for the task.

    Args:
        candidates: The candidates.
        records: Their trainings with the records of the runs; of equals the first is taken.

    Returns:
        The choice.
    """
    scores = tuple(
        (training, record.validation.get(candidates.task) if record.outcome == "done" else None)
        for training, record in records
    )
    best: Training | None = None
    highest = float("-inf")
    for training, score in scores:
        if score is not None and score > highest:
            best, highest = training, score
    reasons = (record.reason for _, record in records if record.reason)
    return Choice(candidates, scores, best, None if best is not None else next(reasons, None))


def _known(candidates: Candidates, halved: bool) -> Candidates:
    """Candidates without the mark ``half`` where it holds for all heads."""
    if not halved:
        return candidates

    def whole(curriculum: Curriculum) -> Curriculum:
        return replace(curriculum, half=False)

    return replace(
        candidates, curricula=tuple(whole(curriculum) for curriculum in candidates.curricula)
    )
