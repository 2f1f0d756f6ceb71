"""Work for other processes that need not import much for it."""

from __future__ import annotations

from dataclasses import dataclass

from tvsl.errors import DataError
from tvsl.reproduce.bench import Bench


@dataclass(frozen=True)
class Touch:
    """Leaves a file, or fails."""

    name: str

    def do(self, bench: Bench) -> None:
        if self.name == "bad":
            raise DataError("It is bad.", "Make it good.", bench.setup.folder / "bad")
        (bench.setup.folder / self.name).touch()
