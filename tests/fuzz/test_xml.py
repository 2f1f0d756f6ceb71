"""The door for XML of annotators: 46 hostile files, 100 mutated or made ones.

Every one ends in boxes or in one error of this package that names the file, at once; nothing that a
file names is opened.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.bounds import bounded_reading
from tvsl.data.flickr import read_annotators
from tvsl.errors import MediaError

BOX = "<bbox><who>1</who><xmin>10</xmin><ymin>20</ymin><xmax>100</xmax><ymax>200</ymax></bbox>"
PLAIN = (
    f"<?xml version='1.0' encoding='utf-8'?>\n<annotation>\n<size><width>256</width>"
    f"<height>256</height></size>\n<object>{BOX}</object>\n<object>{BOX}</object>\n</annotation>"
)
NUMBERS = [
    "nan",
    "inf",
    "-inf",
    "1e999",
    "9" * 5000,
    "true",
    "",
    " ",
    "1,5",
    "0x1",
    "1_0",
    "١٢",
    "--1",
]
HOSTILE = {
    **{f"number {number[:8]}": PLAIN.replace(">100<", f">{number}<") for number in NUMBERS},
    **{f"size {number[:8]}": PLAIN.replace("<width>256", f"<width>{number}") for number in NUMBERS},
    **{
        f"encoding {name}": PLAIN.replace("utf-8", name)
        for name in ("foo", "rot13", "hex", "utf-7", "shift_jis", "idna", "undefined", "zlib", "")
    },
    "deep": "<a>" * 50_000,
    "deep and whole": "<a>" * 20_000 + "</a>" * 20_000,
    "deep boxes": "<bbox>" * 10_000 + "</bbox>" * 10_000,
    "many attributes": "<a " + " ".join(f"b{n}='1'" for n in range(5_000)) + "/>",
    "long text": "<bbox><a>" + "x" * 900_000 + "</a></bbox>",
    "laughs": '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>',
    "outside": '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "address": '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
    "parameter": '<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///etc/passwd"> %b;]><a/>',
    "empty size": "<a><size/></a>",
    "no area": PLAIN.replace(">100<", ">10<"),
}


def read(path: Path, shape: tuple[int, int] | None = (24, 32)) -> None:
    with bounded_reading(path, MediaError):
        for box in read_annotators(path, shape):
            left, top, right, bottom = box
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1


def test_the_plain_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(PLAIN)
    assert read_annotators(path, (24, 32)) == ((10 / 256, 20 / 256, 100 / 256, 200 / 256),) * 2


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    read(path)


@pytest.mark.parametrize("number", [*NUMBERS[:9], "--1"])
def test_a_number_that_is_none_is_told_with_its_line(tmp_path: Path, number: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(PLAIN.replace(">100<", f">{number}<"))
    with pytest.raises(MediaError, match="Line 4 "):
        read_annotators(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mutated_files(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(PLAIN.encode())
    pieces = st.sampled_from(
        [b"<", b">", b"/", b"&", b"\0", b"<!", b"<?", b"bbox", b"1e99", b"\xff"]
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 6))] = data.draw(pieces | st.binary(max_size=3))
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    read(path)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.sampled_from(["<a>", "</a>", BOX, "<bbox>", "</bbox>", "5", "&amp;", "<size>"]),
        max_size=30,
    )
)
def test_random_files(tmp_path: Path, parts: list[str]) -> None:
    path = tmp_path / "a.xml"
    path.write_text("".join(parts) or " ")
    read(path)
