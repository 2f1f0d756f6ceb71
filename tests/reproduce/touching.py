"""Work for other processes that need not import much for it."""

from __future__ import annotations

from dataclasses import dataclass

from tvsl.errors import DataError
from tvsl.reproduce.experiment import Experiment


@dataclass(frozen=True)
class Touch:
    """Leaves a file, or fails."""

    name: str

    def do(self, experiment: Experiment) -> None:
        if self.name == "bad":
            raise DataError("It is bad.", "Make it good.", experiment.settings.folder / "bad")
        (experiment.settings.folder / self.name).touch()
