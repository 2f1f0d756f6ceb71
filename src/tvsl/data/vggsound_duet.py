"""VGGSound-Duet: each test clip of VGG-SS beside another one (Sec. 4.1; AVGN's list)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from tvsl.data.dataset import Item, Split
from tvsl.data.mixed import mix
from tvsl.data.rows import read_by_id
from tvsl.data.vggss import VGGSS_FILE, VGGSoundData
from tvsl.id_lists import clip_name


class VGGSoundDuet(VGGSoundData):
    """5,158 pairs; in 22 of them both clips are of one class and make up one source.

    Each panel has the boxes of its own clip. (AVGN's code reads those of the partner's partner.)
    """

    name: ClassVar[str] = "vggsound-duet"
    title: ClassVar[str] = "VGGSound-Duet"
    files: ClassVar[tuple[str, ...]] = ("vggsound_duet_test.csv", VGGSS_FILE)

    @property
    def several(self) -> bool:
        """Items have two sources."""
        return True

    def listed(self, split: Split) -> Iterator[Item]:
        """Pairs of test clips, or labelled single clips to train on; see the base class."""
        return self.training_items() if split == "train" else self._pairs()

    def _pairs(self) -> Iterator[Item]:
        path, media = self.find_list(self.files[0]), self.media()
        for row in read_by_id(path, {4}, clip_name, (2,)).values():
            yield mix([self.annotated(media, row, path, column) for column in (0, 2)])
