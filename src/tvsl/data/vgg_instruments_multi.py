"""VGGSound-Instruments in pairs: each test clip beside another one (Sec. 4.1; AVGN's list)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from tvsl.data.dataset import Item
from tvsl.data.mixed import mix
from tvsl.data.vgg_instruments import VGGInstrumentsSingle


class VGGInstrumentsMulti(VGGInstrumentsSingle):
    """446 pairs of clips of different instruments; each panel has the mask of its own clip."""

    name: ClassVar[str] = "vgg-instruments-multi"
    title: ClassVar[str] = "VGGSound-Instruments, pairs"
    files: ClassVar[tuple[str, ...]] = ("vgginstruments_multi_test.csv",)

    @property
    def several(self) -> bool:
        """Items have two sources."""
        return True

    def test_items(self) -> Iterator[Item]:
        """The pairs of the test list."""
        return (mix(clips) for clips in self._clips(self.files[0], 2))
