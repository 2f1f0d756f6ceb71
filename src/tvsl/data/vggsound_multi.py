"""VGGSound with three or more sources (Table 5): test clips of different classes, drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from tvsl.data.dataset import Item, Split
from tvsl.data.mixed import mix
from tvsl.data.mixing import MOST_SOURCES, draw_mixtures
from tvsl.data.vggsound_single import VGGSoundSingle


class VGGSoundMulti(VGGSoundSingle):
    """Mixtures of K test clips of VGGSound-Single.

    No public list says which clips the paper mixed. Here every clip with boxes is used at most
    once, its partners are of other classes, and what is drawn depends on the test list and the
    seed alone, not on which files are there.

    Attributes:
        sources: K, the number of clips of each mixture.
    """

    name: ClassVar[str] = "vggsound-multi"
    title: ClassVar[str] = "VGGSound, several sources"
    sources: int = Field(3, ge=2, le=MOST_SOURCES)

    @property
    def several(self) -> bool:
        """Items have several sources."""
        return True

    def listed(self, split: Split) -> Iterator[Item]:
        """Mixtures of test clips, or labelled single clips to train on; see the base class."""
        return self.training_items() if split == "train" else self._mixtures()

    def _mixtures(self) -> Iterator[Item]:
        found = [item for item in self.test_items() if self.annotations[item.id].boxes.boxes]
        rows = {name: row for row, name in enumerate(self.names)}
        labels = np.array([rows[str(item.labels[0])] for item in found], dtype=np.int64)
        for members in draw_mixtures(labels, self.sources, seed=self.seed):
            yield mix([found[number] for number in members])
