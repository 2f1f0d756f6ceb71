from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared_files import shared
from tvsl.preprocess.finding import read_list
from tvsl.preprocess.layouts import VIDEO_LAYOUTS, is_file_name


@pytest.mark.parametrize(
    ("layout", "path", "expected"),
    [
        ("vggsound", "zpWuikVorYg_000032.mp4", "zpWuikVorYg_000032"),
        ("vggsound", "train/zpWuikVorYg_32.mp4", "zpWuikVorYg_000032"),
        ("vggsound", "JIemsK_0lXc_0.webm", "JIemsK_0lXc_000000"),
        ("vggsound", "-_-TDDxoaAc_7.mp4", "-_-TDDxoaAc_000007"),
        ("vggsound", "__________1_123456.mp4", "__________1_123456"),
        ("vggsound", "zpWuikVorYg.mp4", None),
        ("vggsound", "zpWuikVorYg_1234567.mp4", None),
        ("vggsound", "zpWuikVorYg_30000_40000.mp4", None),
        ("vggsound", "zpWuikVor.g_30.mp4", None),
        ("vggsound", "zpWuikVorYg_٣٠.mp4", None),
        ("acav", "zpWuikVorYg_32000_42000.mp4", "zpWuikVorYg_000032"),
        ("acav", "a/zpWuikVorYg_0_10000.mp4", "zpWuikVorYg_000000"),
        ("acav", "zpWuikVorYg_32500_42500.mp4", "zpWuikVorYg_32500_42500"),
        ("acav", "zpWuikVorYg_32.mp4", None),
        ("music", "solo/cello/-_-TDDxoaAc.mp4", "-_-TDDxoaAc"),
        ("music", "1Ju4S0qeDqw.mkv", "1Ju4S0qeDqw"),
        ("music", "solo/cello/1Ju4S0qeDqw_1.mp4", None),
        ("folder", "dogs/my film.mp4", "dogs__my film"),
        ("folder", "film.v2.mov", "film.v2"),
        ("folder", "犬/吠.mp4", "犬__吠"),
    ],
)
def test_ids(layout: str, path: str, expected: str | None) -> None:
    assert VIDEO_LAYOUTS[layout].identify(PurePosixPath(path)) == expected


@given(st.text("abcXYZ019_-", min_size=11, max_size=11), st.integers(0, 999_999))
def test_all_ways_to_write_a_start_give_one_id(video: str, start: int) -> None:
    expected = f"{video}_{start:06d}"
    for name in (f"{video}_{start}", expected):
        assert VIDEO_LAYOUTS["vggsound"].identify(PurePosixPath(f"{name}.mp4")) == expected
    milliseconds = f"{video}_{1000 * start}_{1000 * start + 10_000}.mp4"
    if start < 900_000:
        assert VIDEO_LAYOUTS["acav"].identify(PurePosixPath(milliseconds)) == expected


@pytest.mark.parametrize("name", ["vggss_test.csv", "vggsound_duet_test.csv", "vggss.json"])
def test_the_lists_of_the_field_hold_such_ids(name: str) -> None:
    ids = read_list(shared("metadata", name))
    assert len(ids) > 5000
    identify = VIDEO_LAYOUTS["vggsound"].identify
    assert all(identify(PurePosixPath(f"{one.text}.mp4")) == one.text for one in ids)


@pytest.mark.parametrize("name", ["a", "..", "dogs__my film", "犬__吠", "x" * 200, "a\u3000b"])
def test_names_of_files(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name", ["", "../a", "a/b", "/etc/passwd", "a\\b", "a\nb", "a\0b", "\udcff", "x" * 201]
)
def test_names_that_lead_elsewhere_or_cannot_be(name: str) -> None:
    assert not is_file_name(name)
