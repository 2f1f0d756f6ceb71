"""The heads that tables need, and the search for the best training of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from tvsl.reproduce.specs import (
    Candidates,
    EvalTarget,
    HeadSpec,
    ReproduceConfig,
    TableSpec,
    TestCondition,
    Training,
)
from tvsl.reproduce.train import TrainingRecord


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
            further: Candidates that are not scored.
        """
        needs: dict[Candidates, dict[EvalTarget, None]] = {}
        for table in tables:
            for candidates, condition, overrides in table.needs():
                if possible(condition):
                    needs.setdefault(_canonical(candidates, halved), {})[condition, overrides] = (
                        None
                    )
        for candidates in further:
            needs.setdefault(_canonical(candidates, halved), {})
        return cls(
            config, {candidates: tuple(wanted) for candidates, wanted in needs.items()}, halved
        )

    def canonical(self, candidates: Candidates) -> Candidates:
        """Candidates of a table as the plan names them."""
        return _canonical(candidates, self.halved)

    def method_of(self, candidates: Candidates) -> Candidates | None:
        """The candidates of a variant's method, whose batch and rate the variant is offered.

        Returns:
            None where no hyperparameter of the head is set otherwise: it is no variant.
        """
        head = candidates.head
        if not head.hyperparameters or not candidates.curricula:
            return None
        return replace(candidates, head=HeadSpec(head.method, head.preset))

    def trainings(
        self, candidates: Candidates, batches: Sequence[int], rates: Sequence[float]
    ) -> tuple[Training, ...]:
        """Trainings that the search for the best one begins with, the first seed of each.

        Args:
            candidates: The candidates.
            batches: Mixtures of a step.
            rates: Learning rates.
        """
        if not candidates.curricula:
            return (Training(candidates.head, mode=candidates.mode),)
        return tuple(
            Training(candidates.head, curriculum, rate, 0, candidates.mode, batch)
            for curriculum in candidates.curricula
            for batch in batches
            for rate in rates
        )

    def search(
        self, candidates: Candidates, record: Callable[[Training], TrainingRecord | None]
    ) -> Choice | tuple[Training, ...]:
        """Search for the best training of some candidates, by the records there are.

        Args:
            candidates: The candidates.
            record: Gives the outcome of a training, or None where it is still to be done.

        Returns:
            The choice, or the trainings to do before it can go on.
        """
        batches, rates = self.config.batches, self.config.learning_rates
        method, most = self.method_of(candidates), self.config.further_rates
        if method is not None:
            most = 0  # there are many variants: of further rates each tries its method's choice
            found = self.search(method, record)
            if not isinstance(found, Choice):
                return found
            taken = found.chosen
            if taken is not None and taken.batch is not None and taken.learning_rate is not None:
                batches = (taken.batch,)
                rates = tuple(dict.fromkeys((*rates, taken.learning_rate)))
        tried = list(self.trainings(candidates, batches, rates))
        first = len(tried)
        while True:
            records = [(one, record(one)) for one in tried]
            missing = tuple(one for one, found in records if found is None)
            if missing:
                return missing
            choice = choose(candidates, [(one, found) for one, found in records if found])
            following = _following_rate(choice)
            if following is None or len(tried) - first >= most:
                return choice
            tried.append(following)

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
        reason: Reason why none did.
        decided: Hyperparameters that validation decided for the chosen head, seed by seed.
    """

    candidates: Candidates
    scores: tuple[tuple[Training, float | None], ...]
    chosen: Training | None
    reason: str | None = None
    decided: tuple[Mapping[str, JsonValue], ...] = ()


def choose(candidates: Candidates, records: Sequence[tuple[Training, TrainingRecord]]) -> Choice:
    """Choose the training with the highest validation score for the task.

    Args:
        candidates: The candidates.
        records: Their trainings with the records; of equals the first is taken.
    """
    scores = tuple(
        (training, record.validation.get(candidates.task) if record.outcome == "done" else None)
        for training, record in records
    )
    ended = [(training, score) for training, score in scores if score is not None]
    if ended:
        return Choice(candidates, scores, max(ended, key=lambda pair: pair[1])[0])
    reasons = (record.reason for _, record in records if record.reason)
    return Choice(candidates, scores, None, next(reasons, None))


def _following_rate(choice: Choice) -> Training | None:
    """The training with the next rate, where the best so far has the lowest or the highest one."""
    best = choice.chosen
    if best is None or best.learning_rate is None:
        return None
    rates = [
        one.learning_rate
        for one, _ in choice.scores
        if one.learning_rate is not None and replace(one, learning_rate=best.learning_rate) == best
    ]
    if best.learning_rate == max(rates):
        return replace(best, learning_rate=_rounded(3 * best.learning_rate))
    if best.learning_rate == min(rates):
        return replace(best, learning_rate=_rounded(best.learning_rate / 3))
    return None


def _rounded(rate: float) -> float:
    """A rate of one digit, so that those of different rows are the same."""
    return float(f"{rate:.0e}")


def _canonical(candidates: Candidates, halved: bool) -> Candidates:
    """Candidates without the mark ``half`` where it holds for all heads."""
    if not halved:
        return candidates
    whole = tuple(replace(curriculum, half=False) for curriculum in candidates.curricula)
    return replace(candidates, curricula=whole)
