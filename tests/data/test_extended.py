from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.made_files import clip, folders, media, real_lists, rows, sound, vggss, video
from tests.data.test_flickr import annotation
from tvsl.data import find_data
from tvsl.data.base import DataSet
from tvsl.errors import DataError

HEAD = "video,audio,label"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    labels = {clip(0): "elk bugling", clip(1): "dog bow-wow"}
    vggss(tmp_path / "metadata", {n: (label, [[0, 0, 1, 0.5]]) for n, label in labels.items()})
    rows(tmp_path / "metadata" / "vggss_test.csv", list(labels))
    silent = [HEAD, f"{clip(0)},{clip(1)},non-sounding", f"{clip(8)},{clip(8)},non-sounding"]
    rows(tmp_path / "metadata" / "vggss_test_plus_silent.csv", silent)
    return tmp_path


def check(data: DataSet) -> None:
    """Sounding clips, then a picture with another's sound, then a silent clip."""
    assert [item.group for item in data.items] == [video(n) for n in (0, 1, 0, 8)]
    assert [item.id for item in data.items] == [
        clip(0),
        clip(1),
        f"{clip(0)}+{clip(1)}",
        f"{clip(8)}+{clip(8)}",
    ]
    samples = [data.read(item, 8_000) for item in data.items]
    np.testing.assert_array_equal(samples[2].pictures[0], samples[0].pictures[0])
    np.testing.assert_array_equal(samples[2].waveform, samples[1].waveform)
    assert not samples[3].waveform.any()
    assert [bool(sample.targets.any()) for sample in samples] == [True, True, False, False]
    assert {sample.targets.shape for sample in samples} == {(1, 224, 224)}


def test_it_loads_from_its_public_layout(root: Path) -> None:
    media(root, [clip(0), clip(1), clip(8)])
    sound(root / "audio" / f"{clip(8)}.wav", level=0)
    check(find_data("vggss-extended", root=root))


def test_the_layout_of_acl_ssl(root: Path) -> None:
    media(root, [clip(0), clip(1)])
    media(root, [clip(8)], "extend_frames", "extend_audio")
    sound(root / "extend_audio" / f"{clip(8)}.wav", level=0)
    check(find_data("vggss-extended", root=root))


def test_classes_are_known_of_annotated_clips_only(root: Path) -> None:
    data = find_data("vggss-extended", root=folders(root), labelled=True)
    labels = [item.labels[0] for item in data.items]
    assert labels == ["elk bugling", "dog bow-wow", "dog bow-wow", None]
    plain = find_data("vggss-extended", root=root)
    assert {item.labels for item in plain.items} == {(None,)}
    assert plain.names == ("dog bow-wow", "elk bugling")


def test_a_line_that_says_something_sounds_is_an_error(root: Path) -> None:
    path = root / "metadata" / "vggss_test_plus_silent.csv"
    rows(path, [HEAD, f"{clip(0)},{clip(1)},sounding"])
    with pytest.raises(DataError, match="Line 2 is not 'non-sounding' but 'sounding'"):
        _ = find_data("vggss-extended", root=folders(root)).items


def test_flickr_extended_loads_from_its_public_layouts(tmp_path: Path) -> None:
    rows(tmp_path / "metadata" / "flickr_test.csv", ["11,0"])
    rows(tmp_path / "metadata" / "flickr_test_plus_silent.csv", [HEAD, "11,12,non-sounding"])
    for place in (tmp_path / "plain", tmp_path / "acl" / "test"):
        media(place, ["11", "12"])
        annotation(place / "Annotations" / "11.xml", (0, 0, 256, 256))
    (tmp_path / "acl" / "test" / "extend_frames").mkdir()
    media(tmp_path / "acl" / "test", ["12"], "extend_frames", "extend_audio")
    for root, level in ((tmp_path / "plain", 0.11), (tmp_path / "acl", 0.1)):
        data = find_data("flickr-extended", root=root, lists=tmp_path / "metadata")
        assert [item.id for item in data.items] == ["11", "11+12"]
        sounding, silent = (data.read(item, 8_000) for item in data.items)
        assert (sounding.targets == 0.5).all()
        assert not silent.targets.any()
        np.testing.assert_allclose(silent.waveform, level, atol=1e-3)


def test_the_real_lists(tmp_path: Path) -> None:
    root = folders(tmp_path, "frames", "audio", "Annotations")
    data = find_data("vggss-extended", root=root, lists=real_lists(), labelled=True)
    assert len(data.items) == 2 * 5158
    silent = data.items[5158:]
    assert sum(item.labels[0] is not None for item in silent) == 4779
    assert sum(item.id.split("+")[0] == item.id.split("+")[1] for item in silent) == 379
    flickr = find_data("flickr-extended", root=root, lists=real_lists())
    assert len(flickr.items) == 249 + 250
