"""The pieces of work that a reproduction consists of."""

from __future__ import annotations

from dataclasses import dataclass

from tvsl.evaluation.reproduction.bench import Bench, SceneSet
from tvsl.evaluation.reproduction.plan import Measurement
from tvsl.evaluation.reproduction.runs import Runs
from tvsl.evaluation.reproduction.trainings import Training


@dataclass(frozen=True)
class EncodeClips:
    """Encode training clips, together with the other processes that do.

    Attributes:
        helper: Which of them this is.
    """

    helper: int

    def do(self, bench: Bench) -> None:
        """Encode what no other process encodes."""
        bench.make_store()


@dataclass(frozen=True)
class EncodeScenes:
    """Encode a block of scenes.

    Attributes:
        wanted: Of which set.
        numbers: Which scenes of it.
    """

    wanted: SceneSet
    numbers: range

    def do(self, bench: Bench) -> None:
        """Encode them, if they are not there."""
        bench.make_scenes(self.wanted, self.numbers)


@dataclass(frozen=True)
class Head:
    """Train a head, and measure it.

    Attributes:
        training: Which.
        measurements: On what; on nothing while candidates are compared.
    """

    training: Training
    measurements: tuple[Measurement, ...] = ()

    def done(self, runs: Runs) -> bool:
        """Whether nothing of it is left to be done."""
        record = runs.record(self.training)
        if record is None or record.outcome != "done":
            return record is not None
        return all(runs.has_scores(self.training, *one) for one in self.measurements)

    def do(self, bench: Bench) -> None:
        """Do what of it is not done."""
        runs = Runs(bench.setup.folder)
        if runs.train(self.training, bench).outcome == "done":
            for kind, otherwise in self.measurements:
                runs.score(self.training, kind, otherwise, bench)
