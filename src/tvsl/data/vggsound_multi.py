"""VGGSound with three or more sources (Table 5): test clips of different classes, drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
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
        return self.training_items() if split == "train" else iter(self._mixtures)

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """Test clips that are in no mixture; see the base class."""
        if self.split == "train":
            return super().dropped
        mixed = sum(item.panels for item in self._mixtures)
        with_boxes = len(self._with_boxes)
        return {
            "test clips without boxes": self._clip_count - with_boxes,
            f"test clips that no mixture of {self.sources} has": with_boxes - mixed,
        }

    @cached_property
    def _clip_count(self) -> int:
        return sum(1 for _ in self.test_items())

    @cached_property
    def _with_boxes(self) -> tuple[Item, ...]:
        return tuple(item for item in self.test_items() if self.annotations[item.id].boxes.boxes)

    @cached_property
    def _mixtures(self) -> tuple[Item, ...]:
        found = self._with_boxes
        rows = {name: row for row, name in enumerate(self.names)}
        labels = np.array([rows[str(item.labels[0])] for item in found], dtype=np.int64)
        drawn = draw_mixtures(labels, self.sources, seed=self.seed)
        return tuple(mix([found[number] for number in members]) for members in drawn)
