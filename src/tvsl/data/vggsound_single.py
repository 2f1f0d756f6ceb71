"""VGGSound-Single: one test clip of VGG-SS at a time (Sec. 4.1; AVGN's list)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from tvsl.data.dataset import Item, Split
from tvsl.data.rows import read_by_id
from tvsl.data.vggss import VGGSS_FILE, VGGSoundData
from tvsl.id_lists import clip_name


class VGGSoundSingle(VGGSoundData):
    """5,158 clips of 221 classes, with boxes; those of two clips vanish."""

    name: ClassVar[str] = "vggsound-single"
    title: ClassVar[str] = "VGGSound-Single"
    files: ClassVar[tuple[str, ...]] = ("vggsound_single_test.csv", VGGSS_FILE)

    def listed(self, split: Split) -> Iterator[Item]:
        """Test clips, or labelled clips to train on; see the base class."""
        return self.training_items() if split == "train" else self.test_items()

    def test_items(self) -> Iterator[Item]:
        """The clips of the test list."""
        path, media = self.find_list(self.files[0]), self.media()
        for row in read_by_id(path, {1, 2}, clip_name).values():
            yield self.annotated(media, row, path)
