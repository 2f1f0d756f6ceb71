"""The extended sets: as many pairs again whose sounding source is not visible (SLAVC, 2022).

A row names the clip of the picture, the clip of the sound, and ``non-sounding``. Some sounds come
from another clip, some are silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

from tvsl.data.base import Item, Source, Split
from tvsl.data.files import Media
from tvsl.data.flickr import FLICKR_LIST, FlickrSoundNet
from tvsl.data.layouts import PLAIN, MediaLayout
from tvsl.data.lists import line_error, read_rows
from tvsl.data.targets import Nowhere
from tvsl.data.vggsound import ALIGNMENT, VGGSS_FILE, VGGSoundSingle
from tvsl.utils.id_lists import clip_name, video_of

_SILENT: Final = "non-sounding"


def _extended(folder: str) -> MediaLayout:
    """Layout of ACL-SSL, with the extended sets beside the plain ones."""
    frames = (f"{folder}extend_frames", f"{folder}frames")
    sounds = (f"{folder}extend_audio", f"{folder}audio")
    return MediaLayout(
        f"{frames[0]}/ID.jpg, {sounds[0]}/ID.wav (or {frames[1]}, {sounds[1]})",
        (frames[0], sounds[0]),
        lambda name: tuple(f"{place}/{name}" for place in frames),
        lambda name: tuple(f"{place}/{name}" for place in sounds),
    )


def _silent_items(
    path: Path, media: Media, label_of: Callable[[str], str | None]
) -> Iterator[Item]:
    """Pairs without a visible source, as a list names them."""
    for row in read_rows(path, {3}, dict.fromkeys((0, 1), clip_name)):
        picture, sound, label = row.cells
        if label != _SILENT:
            raise line_error(path, row.line, f"is not '{_SILENT}' but {label!r}")
        yield Item(
            id=f"{picture}+{sound}",
            frames=(media.frame(picture),),
            sounds=(media.sound(sound),),
            sources=(Source(label_of(sound), Nowhere()),),
            recording=video_of(picture) or picture,
        )


class VGGSSExtended(VGGSoundSingle):
    """VGG-SS, and 5,158 pairs without a visible sounding source.

    Attributes:
        labelled: Whether sources have their classes where these are known: those of all clips of
            VGG-SS, among them 4,779 of the other sounds. SLAVC's protocol uses the sound alone.
    """

    name: ClassVar[str] = "vggss-extended"
    title: ClassVar[str] = "Extended VGG-SS"
    splits: ClassVar[tuple[Split, ...]] = ("test",)
    layouts: ClassVar[tuple[MediaLayout, ...]] = (_extended(""), PLAIN, ALIGNMENT)
    files: ClassVar[tuple[str, ...]] = ("vggss_test.csv", VGGSS_FILE, "vggss_test_plus_silent.csv")
    train_files: ClassVar[tuple[str, ...]] = ()
    labelled: bool = False

    def listed(self, split: Split) -> Iterator[Item]:  # noqa: ARG002
        """The sounding pairs, then the others; see the base class."""
        for item in self.test_items():
            (source,) = item.sources
            yield item if self.labelled else replace(item, sources=(replace(source, label=None),))
        yield from _silent_items(self.find_list(self.files[2]), self.media(), self._label)

    def _label(self, name: str) -> str | None:
        found = self.annotations.get(name) if self.labelled else None
        return None if found is None else found.label


class FlickrExtended(FlickrSoundNet):
    """Flickr-SoundNet, and 250 pairs without a visible sounding source."""

    name: ClassVar[str] = "flickr-extended"
    title: ClassVar[str] = "Extended Flickr-SoundNet"
    layouts: ClassVar[tuple[MediaLayout, ...]] = (
        _extended(""),
        _extended("test/"),
        *FlickrSoundNet.layouts,
    )
    files: ClassVar[tuple[str, ...]] = (FLICKR_LIST, "flickr_test_plus_silent.csv")

    def listed(self, split: Split) -> Iterator[Item]:  # noqa: ARG002
        """The sounding pairs, then the others; see the base class."""
        yield from self.annotated_items()
        path = self.find_list(self.files[1])
        yield from _silent_items(path, self.media(), lambda _: None)
