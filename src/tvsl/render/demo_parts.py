"""What the pictures and the table of a scene on the demo's page share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvsl.evaluation.demo import DemoResult
from tvsl.localization import SoundSource
from tvsl.render.data_uris import sound_uri
from tvsl.render.markup import Markup, tag
from tvsl.synthetic.sounds import SAMPLE_RATE, Wave, quantised, to_int16


@dataclass(frozen=True, eq=False)
class ShownMap:
    """A class that was localized: a row of the table, and a map that the row switches.

    Attributes:
        row: Names both.
        color: Number of its colour.
        given: What was localized with given labels, if it was.
        detected: What was localized with detected labels, if it was.
    """

    row: str
    color: int
    given: SoundSource | None
    detected: SoundSource | None

    @property
    def color_class(self) -> str:
        """The style sheet's class of its colour."""
        return f"c{self.color}"

    @property
    def variants(self) -> list[tuple[str, SoundSource]]:
        """The different maps, each under the kinds of labels that it is for."""
        given, detected = self.given, self.detected
        if given is not None and detected is not None and np.array_equal(given.grid, detected.grid):
            return [("given detected", given)]
        both = (("given", given), ("detected", detected))
        return [(labels, source) for labels, source in both if source is not None]


def shown_maps(result: DemoResult) -> list[ShownMap]:
    """The true sources of a scene in their order, then the classes that were falsely detected."""
    pairs = [(source.given, source.detected) for source in result.sources]
    every = [*pairs, *((None, found) for found in result.false)]
    name = result.shown.kind.name
    return [ShownMap(f"{name}-{number}", number, *pair) for number, pair in enumerate(every)]


def player(wave: Wave, name: str) -> Markup:
    """Controls that play a sound of the world, (20480,).

    Args:
        wave: The sound.
        name: What it is, for those who cannot see where it stands.
    """
    source = sound_uri(to_int16(quantised(wave)), SAMPLE_RATE)
    return tag("audio", controls=True, preload="metadata", src=source, aria_label=name)
