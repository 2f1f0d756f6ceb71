"""A small benchmark in each public layout, of real photos, sounds and the real video.

Lists are written as the public ones are, with classes, and but for frames of the video with ids,
that those hold.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.made_files import rows, sound, vggss, write
from tests.data.real_media import MOMENTS, Thing, copy_video, thing, video_boxes
from tests.data.test_flickr import annotation
from tvsl.data.vggsound import ALIGNMENT
from tvsl.preprocess.options import make_options
from tvsl.preprocess.run import prepare

VGGSOUND = {
    "dog": ("f1Z-HuZ-_ZA_000030", "dog barking"),
    "rooster": ("9pfZ4sXXsE4_000330", "chicken crowing"),
    "owl": ("sbkfFiRlJXc_000021", "owl hooting"),
    "saxophone": ("as7MhTe961k_000170", "playing saxophone"),
    "helicopter": ("z4HX8-du2nQ_000070", "helicopter"),
    "accordion": ("cmB8l4mQ1XQ_000030", "playing accordion"),
}
"""Clips of VGG-SS; the last two are of unheard classes."""

WOMAN = ("gEvCUcZ6w88_000030", "female speech, woman speaking")
"""A clip of VGG-SS that the real video stands for."""

INSTRUMENTS = {
    "accordion": "sample0000",
    "saxophone": "sample0002",
    "electric guitar": "sample0030",
}
MUSIC = {"accordion": "iB17xqmFw3A_000_00000", "saxophone": "lm51ySOO71o_000_00000"}
DUET = "HnUOaSfTA6c"
FLICKR = {"rooster": "10000130166", "helicopter": "10007936344"}


@dataclass(frozen=True)
class Benchmark:
    """A data set in one of its layouts.

    Attributes:
        data: Its name.
        write: Writes its files into a folder.
        items: How many there are.
        pairs: How many sources these have.
        silent: How many of these are nowhere.
        options: Options, beside the root.
        layout: Start of what the layout is called.
    """

    data: str
    write: Callable[[Path], object]
    items: int
    pairs: int
    silent: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    layout: str = "frames/ID.jpg, audio/ID.wav"


def written(label: str) -> str:
    """A class as the lists write it."""
    return label.replace(", ", "_").replace(" ", "_")


def vggsound_single(root: Path) -> None:
    """The middle of the real video by `tvsl prepare`, and two photos beside it."""
    name, label = WOMAN
    copy_video(root / "videos" / f"{name[:11]}_30.mp4")
    prepare(root / "videos", root, make_options("vggsound"), workers=1)
    _clips(root, ["dog", "helicopter"])
    woman, _ = video_boxes(7)
    _annotate(root, {name: (label, [list(woman)])})
    lines = [f"{clip},{written(one)}" for clip, one in (*_named(["dog", "helicopter"]), WOMAN)]
    rows(root / "metadata" / "vggsound_single_test.csv", lines)


def vggsound_duet(root: Path) -> None:
    """Each of two photos beside another one."""
    names = ["dog", "helicopter", "rooster"]
    _clips(root, names)
    lines = [f"{clip},{written(label)}" for clip, label in _named(names)]
    pairs = [f"{lines[0]},{lines[1]}", f"{lines[1]},{lines[2]}"]
    rows(root / "metadata" / "vggsound_duet_test.csv", pairs)


def vggsound_multi(root: Path) -> None:
    """Clips of six classes, to be mixed three at a time."""
    _clips(root, VGGSOUND)
    lines = [f"{clip},{written(label)}" for clip, label in VGGSOUND.values()]
    rows(root / "metadata" / "vggsound_single_test.csv", lines)


def vggss_open(root: Path) -> None:
    """Two heard and two unheard classes."""
    _clips(root, VGGSOUND)
    ids = [clip for clip, _ in VGGSOUND.values()]
    rows(root / "metadata" / "vggss_heard_test.csv", ids[:2], "\n")
    rows(root / "metadata" / "vggss_unheard_test.csv", ids[-2:], "\n")


def vggss_extended(root: Path, frames: str = "frames", sounds: str = "audio") -> None:
    """Two photos with their sounds, one with the other's, and one in silence."""
    _clips(root, ["dog", "rooster"])
    (dog, _), (rooster, _) = _named(["dog", "rooster"])
    silent = "9PmzQI8ZYpg_000147"
    thing("owl").put(root / frames / silent, root / "unused")
    sound(root / sounds / f"{silent}.wav", level=0, seconds=5)
    lines = [f"{dog},{rooster},non-sounding", f"{silent},{silent},non-sounding"]
    rows(root / "metadata" / "vggss_test.csv", [dog, rooster])
    rows(root / "metadata" / "vggss_test_plus_silent.csv", ["video,audio,label", *lines])


def vggss_extended_of_acl_ssl(root: Path) -> None:
    """The same with the silent pairs in folders of their own."""
    vggss_extended(root, "extend_frames", "extend_audio")


def alignment(root: Path) -> None:
    """Clips of VGGSound as SSLalignment lays them out."""
    names = ["dog", "helicopter"]
    for name, (clip, _) in zip(names, _named(names), strict=True):
        thing(name).put(root / ALIGNMENT.frame(clip)[0], root / ALIGNMENT.sound(clip)[0])
    _annotate(root, {clip: (label, _boxes(name)) for name, (clip, label) in _items(names)})
    lines = [f"{clip},{written(label)}" for clip, label in _named(names)]
    rows(root / "metadata" / "vggsound_single_test.csv", lines)


def instruments(root: Path) -> None:
    """Photos of instruments with pickled masks, and pairs of them."""
    lines = []
    for name, clip in INSTRUMENTS.items():
        found = thing(name)
        found.put(root / "frames" / clip, root / "audio" / clip)
        write(root / "anno" / f"{clip}.pkl", pickle.dumps(_mask(found)))
        lines.append(f"{clip},{written(name)}")
    rows(root / "metadata" / "vgginstruments_test.csv", lines)
    pairs = [f"{lines[0]},{lines[1]}", f"{lines[1]},{lines[2]}"]
    rows(root / "metadata" / "vgginstruments_multi_test.csv", pairs)


def music_solo(root: Path) -> None:
    """Two photos as frames of videos."""
    for name, frame in MUSIC.items():
        thing(name).put(root / "frames" / frame, root / "audio" / frame[:11])
    _solo_lists(root)


def music_solo_of_dsol(root: Path) -> None:
    """The same as DSOL lays them out, one video cut at a thousand seconds."""
    for (name, frame), cut in zip(MUSIC.items(), ("", "_0_1000"), strict=True):
        video, second, number = frame[:11], frame[12:15], frame[16:]
        place = root / "video_frames" / f"{video}{cut}" / f"frame_{second}"
        thing(name).put(place / number, root / "audio" / f"{video}{cut}")
    _solo_lists(root)


def music_duet(root: Path) -> None:
    """Three frames of the real video with two sources, by `tvsl prepare`."""
    names = {second: f"{DUET}_{second:03d}_{24 * second:05d}" for second in MOMENTS}
    copy_video(root / "videos" / f"{DUET}.mp4")
    listed = tuple(names.values())
    prepare(root / "videos", root, make_options("music"), listed=listed, workers=1)
    rows(root / "metadata" / "music_duet_test.csv", list(names.values()))
    entries = []
    for second, name in names.items():
        woman, train = video_boxes(second)
        entries.append(
            {
                "file": name,
                "class_src1": "cello",
                "bbox_src1": _as_rectangle(woman),
                "class_src2": "acoustic_guitar",
                "bbox_src2": _as_rectangle(train),
            }
        )
    write(root / "metadata" / "music_duet.json", json.dumps(entries))


def flickr(root: Path, folder: str = "") -> None:
    """Two photos with the boxes of two people each, and one with another's sound."""
    place = root / folder
    for name, clip in FLICKR.items():
        found = thing(name)
        found.put(place / "frames" / clip, place / "audio" / clip)
        left, top, right, bottom = (round(256 * side) for side in found.boxes[0])
        drawn = ((left, top, right, bottom), (left + 20, top, right, bottom - 20))
        annotation(place / "Annotations" / f"{clip}.xml", *drawn)
    first, second = FLICKR.values()
    rows(root / "metadata" / "flickr_test.csv", [f"{first},202", f"{second},0"])
    lines = ["video,audio,label", f"{first},{second},non-sounding"]
    rows(root / "metadata" / "flickr_test_plus_silent.csv", lines)


def flickr_of_acl_ssl(root: Path) -> None:
    """The same in a folder ``test``."""
    flickr(root, "test")


def folder(root: Path) -> None:
    """The real video at three moments by `tvsl prepare`, with a manifest in pixels."""
    copy_video(root / "videos" / "platform.mp4")
    lines = []
    for second in MOMENTS:
        place = f"at-{second}"
        options = make_options("folder", at=float(second), window=5.0)
        prepare(root / "videos", root / place, options, workers=1)
        width, height = Image.open(root / place / "frames" / "platform.jpg").size
        scale = np.array([width, height] * 2)
        labels = ("woman speaking", "train passing by")
        boxes = {
            label: [(np.array(box) * scale).tolist()]
            for label, box in zip(labels, video_boxes(second), strict=True)
        }
        line = {
            "id": f"platform {second} s",
            "frame": f"{place}/frames/platform.jpg",
            "audio": f"{place}/audio/platform.wav",
            "labels": labels,
            "width": width,
            "height": height,
            "boxes": boxes,
        }
        lines.append(json.dumps(line))
    write(root / "manifest.jsonl", "\n".join(lines))


_MUSIC_LAYOUT = "frames/VIDEO_SECOND_FRAME.jpg, audio/VIDEO.wav"
_EXTENDED = "extend_frames/ID.jpg, extend_audio/ID.wav"

BENCHMARKS = {
    "vggsound-single": Benchmark("vggsound-single", vggsound_single, 3, 3),
    "vggsound-duet": Benchmark("vggsound-duet", vggsound_duet, 2, 4),
    "vggsound-multi": Benchmark("vggsound-multi", vggsound_multi, 2, 6),
    "vggss-heard": Benchmark("vggss-heard", vggss_open, 2, 2),
    "vggss-unheard": Benchmark("vggss-unheard", vggss_open, 2, 2),
    "vggss-extended": Benchmark("vggss-extended", vggss_extended, 4, 4, 2),
    "vggss-extended of ACL-SSL": Benchmark(
        "vggss-extended",
        vggss_extended_of_acl_ssl,
        4,
        4,
        2,
        {"labelled": True},
        _EXTENDED,
    ),
    "vggsound-single of SSLalignment": Benchmark(
        "vggsound-single", alignment, 2, 2, layout="VGGSound_img/"
    ),
    "vgg-instruments-single": Benchmark(
        "vgg-instruments-single", instruments, 3, 3, layout="frames/ID.jpg, audio/ID.wav, anno"
    ),
    "vgg-instruments-multi": Benchmark(
        "vgg-instruments-multi", instruments, 2, 4, layout="frames/ID.jpg, audio/ID.wav, anno"
    ),
    "music-solo": Benchmark("music-solo", music_solo, 2, 2, layout=_MUSIC_LAYOUT),
    "music-solo of DSOL": Benchmark("music-solo", music_solo_of_dsol, 2, 2, layout="video_frames/"),
    "music-duet": Benchmark("music-duet", music_duet, 3, 6, layout=_MUSIC_LAYOUT),
    "flickr-soundnet": Benchmark("flickr-soundnet", flickr, 2, 2),
    "flickr-extended of ACL-SSL": Benchmark(
        "flickr-extended", flickr_of_acl_ssl, 3, 3, 1, layout="test/frames/"
    ),
    "folder": Benchmark("folder", folder, 3, 6, layout="manifest.jsonl"),
}
"""Every data set in files, and every layout."""


def _named(names: Iterable[str]) -> list[tuple[str, str]]:
    return [VGGSOUND[name] for name in names]


def _items(names: Iterable[str]) -> list[tuple[str, tuple[str, str]]]:
    return [(name, VGGSOUND[name]) for name in names]


def _boxes(name: str) -> list[list[float]]:
    return [list(box) for box in thing(name).boxes]


def _clips(root: Path, names: Iterable[str]) -> None:
    """Photos and sounds as clips of VGGSound, with their annotations."""
    for name, (clip, _) in _items(names):
        thing(name).put(root / "frames" / clip, root / "audio" / clip)
    _annotate(root, {clip: (label, _boxes(name)) for name, (clip, label) in _items(names)})


def _annotate(root: Path, entries: dict[str, tuple[str, list[list[float]]]]) -> None:
    """Annotations of VGG-SS, beside those that are there."""
    path = root / "metadata" / "vggss.json"
    known = json.loads(path.read_text()) if path.is_file() else []
    vggss(path.parent, {one["file"]: (one["class"], one["bbox"]) for one in known} | entries)


def _solo_lists(root: Path) -> None:
    entries = [
        {"file": frame, "class": written(name), "bbox": _as_rectangle(thing(name).boxes[0])}
        for name, frame in MUSIC.items()
    ]
    write(root / "metadata" / "music_solo.json", json.dumps(entries))
    lines = [f"{frame},{written(name)}" for name, frame in MUSIC.items()]
    rows(root / "metadata" / "music_solo_test.csv", lines)


def _as_rectangle(box: tuple[float, float, float, float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right - left, bottom - top]


def _mask(found: Thing) -> np.ndarray:
    width, height = Image.open(found.picture).size
    mask = np.zeros((height, width), dtype=np.uint8)
    for left, top, right, bottom in found.boxes:
        rows_of = slice(round(top * height), round(bottom * height))
        mask[rows_of, round(left * width) : round(right * width)] = 1
    return mask
