"""VGGSound-Instruments (Hu et al., CVPR 2022): single clips with masks, and pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from tvsl.data.base import ClassNames, Item, Source, Split
from tvsl.data.files import ListedData
from tvsl.data.layouts import Folders, MediaLayout
from tvsl.data.lists import read_by_id
from tvsl.data.mixtures import mix
from tvsl.data.pickled_masks import PickledMask
from tvsl.data.targets import Boxes
from tvsl.utils.id_lists import clip_name, video_of

_INSTRUMENTS: Final = (
    "accordion", "acoustic guitar", "banjo", "bass drum", "bass guitar", "bongo", "cello",
    "clarinet", "congas", "cornet", "cymbal", "djembe", "double bass", "drum kit",
    "electric guitar", "electronic organ", "erhu", "flute", "glockenspiel", "guiro",
    "hammond organ", "harp", "harpsichord", "mandolin", "piano", "saxophone", "sitar",
    "snare drum", "steel guitar", "tabla", "timbales", "trumpet", "ukulele", "vibraphone",
    "violin", "xylophone", "zither",
)  # fmt: skip
_MASKS: Final = "anno"
_TRAIN_FILE: Final = "vgginstruments_multi_train.txt"
_LAYOUT: Final = MediaLayout(
    "frames/ID.jpg, audio/ID.wav, anno/ID.pkl",
    ("frames", "audio"),
    lambda name: (f"frames/{name}",),
    lambda name: (f"audio/{name}",),
)


class VGGInstrumentsSingle(ListedData):
    """446 test clips of 36 instruments; the training clips have one more, the erhu.

    A clip's mask is a pickled array, ``anno/ID.pkl`` or with any other ending.
    """

    name: ClassVar[str] = "vgg-instruments-single"
    title: ClassVar[str] = "VGGSound-Instruments"
    layouts: ClassVar[tuple[MediaLayout, ...]] = (_LAYOUT,)
    files: ClassVar[tuple[str, ...]] = ("vgginstruments_test.csv",)
    train_files: ClassVar[tuple[str, ...]] = (_TRAIN_FILE,)

    @property
    def names(self) -> tuple[str, ...]:
        """The 37 instruments."""
        return _INSTRUMENTS

    def listed(self, split: Split) -> Iterator[Item]:
        """Test clips with masks, or clips to train on; see the base class."""
        if split == "train":
            for clips in self._clips(_TRAIN_FILE, 1, masks=False):
                yield clips[0]
        else:
            yield from self.test_items()

    def test_items(self) -> Iterator[Item]:
        """The items of the test list."""
        for clips in self._clips(self.files[0], 1):
            yield clips[0]

    def _clips(self, file: str, count: int, masks: bool = True) -> Iterator[list[Item]]:
        """Labelled clips of each row of a list."""
        path, media, folders = self.find_list(file), self.media(), Folders(self.root)
        names = ClassNames(self.names)
        for row in read_by_id(path, {2 * count}, clip_name, range(0, 2 * count, 2)).values():
            clips = []
            for name, label in zip(row.cells[::2], row.cells[1::2], strict=True):
                mask = PickledMask(folders.find([f"{_MASKS}/{name}"], ()))
                source = Source(names.find(label, path, row.line), mask if masks else Boxes(()))
                clips.append(media.item(name, source, recording=video_of(name)))
            yield clips


class VGGInstrumentsMulti(VGGInstrumentsSingle):
    """446 pairs of clips of different instruments; each panel has the mask of its own clip."""

    name: ClassVar[str] = "vgg-instruments-multi"
    title: ClassVar[str] = "VGGSound-Instruments, pairs"
    has_mixtures: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("vgginstruments_multi_test.csv",)

    def test_items(self) -> Iterator[Item]:
        """The pairs of the test list."""
        return (mix(clips) for clips in self._clips(self.files[0], 2))
