"""Two models for the demo: one that has words for anything, and the mini without training."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from tests.mini_bundle import write_mini_bundle
from tests.test_add_pages import blocks
from tvsl import Localizer
from tvsl.demo.run import Demo, run_demo

_NUMBERS = count()


def write_colours(folder: Path) -> str:
    """Write the encoder of ``docs/add-an-encoder.md``, and give its reference.

    A name stands for one file in a process, so that each class has its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"ColourEncoder{next(_NUMBERS)}"
    text = blocks("add-an-encoder.md", "python")[0].replace("ColourEncoder", name)
    (folder / "colours.py").write_text(text, encoding="utf-8")
    return f"{folder / 'colours.py'}:{name}"


class Models:
    """Both models; ``decided`` are hyperparameters of the head of the mini."""

    def __init__(self, folder: Path, **decided: object) -> None:
        self.colours = write_colours(folder / "colours")
        self.bundle = write_mini_bundle(folder / "tiny", **decided)
        self.real = Localizer.from_pretrained(self.colours, device="cpu")
        self.laboratory = Localizer.from_pretrained(self.bundle, device="cpu")

    def run(self, seed: int = 0) -> Demo:
        """Run the demo."""
        return run_demo(self.real, self.laboratory, seed)

    def localizer(self, demo: Demo, number: int) -> Localizer:
        """The model of a result."""
        return self.real if number < len(demo.real.results) else self.laboratory
