"""What has to be done for some tables: every head once, whichever tables want it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tvsl.reproduce.config import ReproduceConfig
from tvsl.reproduce.experiment import Hyperparameters, Kind, Regime, TableSpec, Training, Unit
from tvsl.reproduce.runs import RunRecord

Measurement = tuple[Kind, Hyperparameters]
"""Scenes, and the hyperparameters that are set otherwise than validation decided."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What some tables need.

    Attributes:
        config: The recipe.
        needs: Every unit, with all that its chosen heads are measured on.
        halved: Whether all heads are trained on half of the classes anyway.
    """

    config: ReproduceConfig
    needs: Mapping[Unit, tuple[Measurement, ...]]
    halved: bool

    @classmethod
    def of(
        cls,
        tables: Iterable[TableSpec],
        config: ReproduceConfig,
        possible: Callable[[Kind], bool],
        halved: bool,
        further: Iterable[Unit] = (),
    ) -> Plan:
        """What some tables need.

        Args:
            tables: The tables.
            config: The recipe.
            possible: Whether there are scenes of a kind.
            halved: As in ``Plan``.
            further: Units that are wanted, if only to be looked at.

        Returns:
            The plan.
        """
        needs: dict[Unit, dict[Measurement, None]] = {}
        for table in tables:
            for unit, kind, otherwise in table.needs():
                if possible(kind):
                    needs.setdefault(_known(unit, halved), {})[kind, otherwise] = None
        for unit in further:
            needs.setdefault(_known(unit, halved), {})
        return cls(config, {unit: tuple(wanted) for unit, wanted in needs.items()}, halved)

    def unit(self, unit: Unit) -> Unit:
        """A unit of a table as the plan knows it."""
        return _known(unit, self.halved)

    def candidates(self, unit: Unit) -> tuple[Training, ...]:
        """The trainings of which validation chooses one, the recipe's first seed each."""
        if not unit.regimes:
            return (Training(unit.head, mode=unit.mode),)
        return tuple(
            Training(unit.head, regime, rate, 0, unit.mode)
            for regime in unit.regimes
            for rate in self.config.learning_rates
        )

    def all_candidates(self) -> tuple[Training, ...]:
        """The candidates of all units, each once."""
        return tuple(dict.fromkeys(one for unit in self.needs for one in self.candidates(unit)))

    def repeats(self, chosen: Training) -> tuple[Training, ...]:
        """The chosen training with every seed; once where nothing is trained."""
        if chosen.regime is None:
            return (chosen,)
        return tuple(replace(chosen, seed=seed) for seed in range(self.config.seeds))


@dataclass(frozen=True)
class Choice:
    """What validation chose of a unit's candidates.

    Attributes:
        unit: The unit.
        scores: What each candidate reached; None where it was not trained to the end.
        chosen: The best; None where none was trained to the end.
        reason: Why none was.
    """

    unit: Unit
    scores: tuple[tuple[Training, float | None], ...]
    chosen: Training | None
    reason: str | None = None


def choose(unit: Unit, candidates: Sequence[tuple[Training, RunRecord]]) -> Choice:
    """Choose the candidate with the highest validation score for the unit's task.

    Args:
        unit: The unit.
        candidates: Its candidates with what became of them; of equals the first is taken.

    Returns:
        The choice.
    """
    scores = tuple(
        (training, record.validation.get(unit.task) if record.outcome == "done" else None)
        for training, record in candidates
    )
    best: Training | None = None
    highest = float("-inf")
    for training, score in scores:
        if score is not None and score > highest:
            best, highest = training, score
    reasons = (record.reason for _, record in candidates if record.reason)
    return Choice(unit, scores, best, None if best is not None else next(reasons, None))


def _known(unit: Unit, halved: bool) -> Unit:
    """Where all heads are trained on half of the classes anyway, that is no regime of its own."""
    if not halved:
        return unit

    def whole(regime: Regime) -> Regime:
        return replace(regime, half=False)

    return replace(unit, regimes=tuple(whole(regime) for regime in unit.regimes))
