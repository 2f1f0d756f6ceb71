"""MUSIC-Solo: one person and one instrument (Sec. 4.1; AVGN's lists)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tvsl.data.class_names import ClassNames, normal_form
from tvsl.data.dataset import Item, Source, Split
from tvsl.data.music import MusicData, Rectangle, box_of
from tvsl.data.rows import Entry, read_entries, wrong_line
from tvsl.data.stated import stated_by
from tvsl.data.targets import Boxes


class _Entry(Entry):
    label: str = Field(alias="class")
    bbox: Rectangle


class MusicSolo(MusicData):
    """2,124 frames of 20 videos and 7 instruments; 44,532 frames of 217 videos to train on."""

    name: ClassVar[str] = "music-solo"
    title: ClassVar[str] = "MUSIC-Solo"
    files: ClassVar[tuple[str, ...]] = ("music_solo_test.csv", "music_solo.json")
    train_files: ClassVar[tuple[str, ...]] = ("music_solo_train.txt",)

    def listed(self, split: Split) -> Iterator[Item]:
        """Test frames with boxes, or labelled frames to train on; see the base class."""
        path, rows = self.rows(self.train_files[0] if split == "train" else self.files[0], 2)
        annotated = self.find_list(self.files[1]) if split == "test" else path
        boxes = read_entries(annotated, _Entry) if split == "test" else None
        media, names = self.media(), ClassNames(self.names)
        for line, (name, written) in rows:
            label, target, stated = names.find(written, path, line), Boxes(()), None
            if boxes is not None:
                if name not in boxes or normal_form(boxes[name].label) != normal_form(written):
                    raise wrong_line(path, line, f"has no box of its class: {name!r}")
                target, stated = box_of(boxes[name].bbox), stated_by(annotated, boxes[name])
            yield media.item(name, Source(label, target), stated=stated)
