from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.made_files import clip, media, rows, vggss, write
from tvsl.data import find_data
from tvsl.data.checking import check_data
from tvsl.data.files import FileDataSet
from tvsl.data.lists import ExpectedMedia
from tvsl.data.targets import same_shape
from tvsl.errors import DataError
from tvsl.media import shrink

sides = st.integers(16, 4000)


@given(sides, sides, st.integers(8, 400))
def test_a_reduced_picture_keeps_its_shape(height: int, width: int, short: int) -> None:
    picture = np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))
    if height * width <= 1 << 20:
        reduced = shrink(picture, short).shape[:2]
        assert same_shape((height, width), reduced)
        assert same_shape(reduced, (height, width))
    if height > width > short:  # video tools keep one side and round the other to even numbers
        assert same_shape((height, width), (2 * round(height * short / width / 2), short))


@given(st.integers(2, 4000), st.integers(2, 4000))
def test_a_turned_picture_does_not(one: int, other: int) -> None:
    if max(one, other) > 1.2 * min(one, other) + 2:
        assert not same_shape((one, other), (other, one))


@pytest.mark.parametrize(
    ("stated", "found", "same"),
    [
        ((112, 224), (224, 112), False),
        ((720, 1280), (224, 398), True),
        ((720, 1280), (256, 256), False),
        ((720, 1280), (240, 426), True),
        ((480, 640), (480, 641), True),
        ((480, 640), (480, 853), False),
        ((1, 2), (2, 1), False),
        ((2, 3), (3, 2), False),
        ((10**6, 1), (1, 10**6), False),
    ],
)
def test_shapes(stated: tuple[int, int], found: tuple[int, int], same: bool) -> None:
    assert same_shape(stated, found) is same


def test_what_is_not_stated_cannot_be_contradicted(tmp_path: Path) -> None:
    stated = ExpectedMedia(tmp_path, 1)
    stated.check_picture(tmp_path, (1, 7))
    stated.check_sound(tmp_path / "none.wav")
    with pytest.raises(DataError, match="Line 1 says 3 x 4 pixels, but a has 4 x 3"):
        ExpectedMedia(tmp_path, 1, (4, 3)).check_picture(tmp_path / "a", (3, 4))


def faults(name: str, root: Path) -> list[str]:
    data = find_data(name, root=root)
    assert isinstance(data, FileDataSet)
    return [fault.problem for fault in check_data(data).faults]


@pytest.mark.parametrize("size", ['"width": 24, "height": 32', '"width": 64, "height": 48'])
def test_annotations_that_tell_a_size(tmp_path: Path, size: str) -> None:
    """The public ones tell none; those of people may."""
    swapped = "24" in size
    media(tmp_path, [clip(0)])
    path = vggss(tmp_path, {clip(0): ("dog", [[0, 0, 1, 1]])})
    write(path, path.read_text().replace('"class"', f'{size}, "class"'))
    rows(tmp_path / "vggsound_single_test.csv", [f"{clip(0)},dog"])
    expected = f"The entry of '{clip(0)}' says 24 x 32 pixels, but {clip(0)}.jpg has 32 x 24."
    assert faults("vggsound-single", tmp_path) == ([expected] if swapped else [])
    name = "HnUOaSfTA6c_175_05257"
    music = tmp_path / "music"
    media(music, [name])
    (music / "audio" / f"{name}.wav").rename(music / "audio" / f"{name[:11]}.wav")
    rows(music / "music_solo_test.csv", [f"{name},cello"])
    write(
        music / "music_solo.json",
        f'[{{"file": "{name}", {size}, "class": "cello", "bbox": [0, 0, 1, 1]}}]',
    )
    assert len(faults("music-solo", music)) == swapped
    rows(music / "music_duet_test.csv", [name])
    write(
        music / "music_duet.json",
        f'[{{"file": "{name}", {size}, "class_src1": "cello", "bbox_src1": [0, 0, 1, 1], '
        f'"class_src2": "violin", "bbox_src2": [0, 0, 1, 1]}}]',
    )
    assert len(faults("music-duet", music)) == swapped
