"""MUSIC-Duet: two people, two instruments, one natural picture (Sec. 4.1; AVGN's lists)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from tvsl.data.class_names import ClassNames
from tvsl.data.dataset import Item, Source, Split
from tvsl.data.music import MusicData, Rectangle, box_of
from tvsl.data.rows import Entry, read_entries, wrong_line
from tvsl.data.stated import stated_by
from tvsl.data.targets import Boxes


class _Entry(Entry):
    class_src1: str
    bbox_src1: Rectangle
    class_src2: str
    bbox_src2: Rectangle


class MusicDuet(MusicData):
    """1,020 frames, of which 1,008 are of one video: cello and acoustic guitar.

    Pictures and sounds are natural mixtures: nothing is put side by side, nothing is added up.
    Its training frames hold two sources each, so heads are trained on MUSIC-Solo.
    """

    name: ClassVar[str] = "music-duet"
    title: ClassVar[str] = "MUSIC-Duet"
    files: ClassVar[tuple[str, ...]] = ("music_duet_test.csv", "music_duet.json")
    train_files: ClassVar[tuple[str, ...]] = ("music_duet_train.txt",)

    @property
    def several(self) -> bool:
        """Items have two sources."""
        return True

    def listed(self, split: Split) -> Iterator[Item]:
        """Test frames with boxes, or labelled frames; see the base class."""
        return self._train() if split == "train" else self._test()

    def _train(self) -> Iterator[Item]:
        path, rows = self.rows(self.train_files[0], 3)
        media, names = self.media(), ClassNames(self.names)
        for line, (name, *written) in rows:
            labels = [names.find(label, path, line) for label in written]
            yield media.item(name, *(Source(label, Boxes(())) for label in labels))

    def _test(self) -> Iterator[Item]:
        path, rows = self.rows(self.files[0], 1)
        annotated = self.find_list(self.files[1])
        entries = read_entries(annotated, _Entry)
        media, names = self.media(), ClassNames(self.names)
        for line, (name,) in rows:
            if name not in entries:
                raise wrong_line(path, line, f"names a frame that is not annotated: {name!r}")
            entry, place = entries[name], f"The entry of {name!r}"
            first = names.find(entry.class_src1, annotated, place)
            second = names.find(entry.class_src2, annotated, place)
            yield media.item(
                name,
                Source(first, box_of(entry.bbox_src1)),
                Source(second, box_of(entry.bbox_src2)),
                stated=stated_by(annotated, entry),
            )
