from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.made_files import folders, media, real_lists, rows, write
from tvsl.data import find_data
from tvsl.data.flickr import Consensus, read_annotators
from tvsl.errors import DataError, MediaLimitError, MissingFileError, UnreadableMediaError

Corners = tuple[int, int, int, int]
intervals = st.lists(st.integers(0, 256), min_size=2, max_size=2, unique=True).map(sorted)


def annotation(path: Path, *boxes: Corners) -> Path:
    """An XML file of several annotators: a box each."""
    tags = ("xmin", "ymin", "xmax", "ymax")
    text = "".join(
        f"<annotator{number}><bbox><name>sound</name>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, box, strict=True))
        + f"</bbox></annotator{number}>"
        for number, box in enumerate(boxes)
    )
    return write(path, f"<annotation>{text}</annotation>")


@pytest.mark.parametrize("place", ["", "test"])
def test_it_loads_from_its_public_layouts(tmp_path: Path, place: str) -> None:
    names = ["10000130166", "10007936344"]
    rows(tmp_path / "metadata" / "flickr_test.csv", [f"{name},202" for name in names])
    root = tmp_path / place
    media(root, names)
    for name in names:
        annotation(root / "Annotations" / f"{name}.xml", (0, 0, 128, 256), (64, 0, 192, 256))
    data = find_data("flickr-soundnet", root=tmp_path)
    assert data.names == ()
    assert [item.labels for item in data.items] == [(None,), (None,)]
    sample = data.read(data.items[0], 8_000)
    expected = np.zeros((1, 224, 224))
    expected[0, :, :168] = 0.5
    expected[0, :, 56:112] = 1
    np.testing.assert_array_equal(sample.targets, expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(intervals, intervals).map(lambda ab: (ab[0][0], ab[1][0], ab[0][1], ab[1][1])),
        max_size=4,
    )
)
def test_the_consensus_is_that_of_the_public_evaluators(
    tmp_path: Path, boxes: list[Corners]
) -> None:
    path = annotation(tmp_path / "a.xml", *boxes)
    expected = np.zeros((224, 224))
    for box in boxes:
        left, top, right, bottom = (int(224 * value / 256) for value in box)
        expected[top:bottom, left:right] += 1
    expected = np.clip(expected / 2, 0, 1)
    np.testing.assert_array_equal(Consensus(path).draw(224, 224), expected)


@pytest.mark.parametrize(
    "content",
    [
        "no xml",
        "<a><b><bbox><n>x</n><v>1</v></bbox></b></a>",
        "<a><b><bbox><n/><x>a</x><y>1</y><z>2</z><w>3</w></bbox></b></a>",
        "<a><bbox><n/><x/><y/><z/><w/></bbox></a>",
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b>&x;</b></a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
    ],
)
def test_what_is_no_annotation_or_a_hostile_one(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "a.xml", content)
    with pytest.raises(UnreadableMediaError) as caught:
        read_annotators(path)
    assert caught.value.path == path


SIZE = "<size><width>{}</width>\n<height>{}</height></size>"


@pytest.mark.parametrize(
    ("size", "corner", "problem"),
    [
        ((256, 256), 128, None),
        ((32, 24), 20, None),
        ((640, 480), 200, None),
        ((24, 32), 20, "Line 2 says 24 x 32 pixels, but the picture has 32 x 24"),
        ((480, 640), 20, "Line 2 says 480 x 640 pixels, but the picture has 32 x 24"),
        ((640, 480), 600, "Line 2 says 640 x 480 pixels and a box reaches 600"),
        ((0, 0), 20, "Line 2 says 0 x 0"),
    ],
)
def test_a_size_that_contradicts_the_picture(
    tmp_path: Path, size: tuple[int, int], corner: int, problem: str | None
) -> None:
    rows(tmp_path / "flickr_test.csv", ["1,2"])
    media(tmp_path, ["1"])
    path = annotation(tmp_path / "Annotations" / "1.xml", (0, 0, corner, corner))
    write(path, path.read_text().replace("<annotation>", "<annotation>\n" + SIZE.format(*size)))
    data = find_data("flickr-soundnet", root=tmp_path)
    if problem is None:
        assert data.read(data.items[0], 8_000).targets.any()
        return
    with pytest.raises(UnreadableMediaError, match=problem) as caught:
        data.read(data.items[0], 8_000)
    assert caught.value.path == path


@pytest.mark.parametrize("prefix", ["", "a:"])
def test_a_namespace_hides_no_box(tmp_path: Path, prefix: str) -> None:
    path = annotation(tmp_path / "a.xml", (0, 64, 128, 256))
    space = f"xmlns{':a' if prefix else ''}='http://example.org/a'"
    text = path.read_text().replace("<annotation>", f"<annotation {space}>")
    named = text.replace("<bbox>", f"<{prefix}bbox>").replace("</bbox>", f"</{prefix}bbox>")
    write(path, named)
    assert read_annotators(path) == ((0.0, 0.25, 0.5, 1.0),)


@pytest.mark.parametrize("number", ["nan", "inf", "1e999", "9" * 400, "true", "", "1 2", "0x10"])
def test_numbers_that_are_none_are_told_with_their_line(tmp_path: Path, number: str) -> None:
    path = annotation(tmp_path / "a.xml", (1, 2, 3, 4))
    write(path, path.read_text().replace("<ymin>2", f"\n\n<ymin>{number}"))
    with pytest.raises(UnreadableMediaError, match=r"Line 1 holds"):
        read_annotators(path)


@pytest.mark.parametrize("name", ["foo", "rot13", "hex", "shift_jis", "utf-7", "idna", "undefined"])
def test_an_encoding_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.xml", f'<?xml version="1.0" encoding="{name}"?><a/>')
    with pytest.raises(UnreadableMediaError):
        read_annotators(path)


def test_elements_in_elements_without_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xml", "<a>" * 300_000)
    with pytest.raises(UnreadableMediaError):
        read_annotators(path)
    whole = write(tmp_path / "b.xml", "<a>" * 100_000 + "</a>" * 100_000)
    assert read_annotators(whole) == ()


def test_a_missing_or_huge_annotation(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        Consensus(tmp_path / "none.xml").draw(2, 2)
    with pytest.raises(MediaLimitError):
        read_annotators(write(tmp_path / "a.xml", b" " * (2**20 + 1)))


def test_wild_boxes_are_cut_off(tmp_path: Path) -> None:
    path = annotation(tmp_path / "a.xml", (-50, 0, 128, 999), (10, 10, 10, 20))
    assert read_annotators(path) == ((0.0, 0.0, 0.5, 1.0),)


def test_annotations_that_are_not_here_are_one_error(tmp_path: Path) -> None:
    rows(tmp_path / "flickr_test.csv", ["1,2"])
    with pytest.raises(DataError, match="Annotations"):
        _ = find_data("flickr-soundnet", root=folders(tmp_path)).items


def test_the_list_that_is_there_is_read_whether_of_249_or_250(tmp_path: Path) -> None:
    root = folders(tmp_path, "frames", "audio", "Annotations")
    data = find_data("flickr-soundnet", root=root, lists=real_lists())
    assert len(data.items) == 249
    lines = (real_lists() / "flickr_test.csv").read_text().splitlines()
    rows(tmp_path / "flickr_test.csv", ["3908875350,0", *lines])
    assert len(find_data("flickr-soundnet", root=root).items) == 250
    rows(tmp_path / "flickr_test.csv", [line.split(",")[0] for line in lines])
    assert len(find_data("flickr-soundnet", root=root).items) == 249
