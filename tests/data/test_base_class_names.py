from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.made_files import real_lists
from tvsl.data.base import ClassNames, normal_form
from tvsl.data.lists import read_rows
from tvsl.data.vggsound import read_vggss
from tvsl.errors import DataError

PATH = Path("list.csv")


@pytest.mark.parametrize(
    ("natural", "written"),
    [
        ("female speech, woman speaking", "female_speech_woman_speaking"),
        ("police car (siren)", "police_car_(siren)"),
        ("dog bow-wow", "dog_bow-wow"),
        ("cattle, bovinae cowbell", "cattle_bovinae_cowbell"),
        ("elk bugling", "Elk_Bugling"),
    ],
)
def test_spellings_of_one_name(natural: str, written: str) -> None:
    assert ClassNames([natural, "cattle mooing"]).find(written, PATH, 1) == natural


@given(st.text())
def test_the_normal_form_is_its_own(name: str) -> None:
    assert normal_form(normal_form(name)) == normal_form(name)


def test_an_unknown_name_is_named_with_file_and_line() -> None:
    with pytest.raises(DataError, match=r"list\.csv: Line 7 .*'elk_singing'"):
        ClassNames(["elk bugling"]).find("elk_singing", PATH, 7)


def test_all_names_of_the_real_lists_are_found_by_name_and_not_by_place() -> None:
    natural = {name: one.label for name, one in read_vggss(real_lists() / "vggss.json").items()}
    names = ClassNames(natural.values())
    path = real_lists() / "vggsound_duet_test.csv"
    written = set()
    for line, cells in read_rows(path, {4}):
        for name, label in (cells[:2], cells[2:]):
            assert names.find(label, path, line) == natural[name]
            written.add(label)
    # By their places in sorted lists, two classes with cowbells would change places.
    pairs = zip(sorted(set(natural.values())), sorted(written), strict=True)
    swapped = [one for one, two in pairs if names.find(two, path, 1) != one]
    assert swapped == ["cattle mooing", "cattle, bovinae cowbell"]
