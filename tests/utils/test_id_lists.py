from __future__ import annotations

import json
from pathlib import Path

import pytest

from tvsl.errors import DataError
from tvsl.utils.id_lists import ListedId, NameIndex, clip_name, plain_name, read_id_list

VIDEO = "---g-f_I2yQ"
CLIP = f"{VIDEO}_000030"

# One clip in the forms of VGGSound, AudioSet, ACAV, DCASE, and of people.
SAME = [
    CLIP, f"{VIDEO}_30", f"{VIDEO}_030", f"{VIDEO}_30_40", f"{VIDEO}_30.000_40.000",
    f"{VIDEO}_30000_40000", f"Y{VIDEO}_30.000_40.000", f"{CLIP}.mp4", f"videos/{CLIP}.MP4",
    f"a/b/{VIDEO}_30_40.wav", f"{VIDEO}_30000", f"videos\\{CLIP}.mp4", f" {CLIP} ",
]  # fmt: skip
ROWS = [
    *SAME, f"{VIDEO},30,people marching,test", f'{VIDEO}, 30.000, 40.000, "/m/068hy,/m/07q6cd_"',
    f'"{VIDEO}","30","people marching","test"', f"{VIDEO}\t30\tdog", f"{VIDEO};30;40",
    f"{CLIP},people marching", f'"{CLIP}"', f"'{CLIP}", f"{VIDEO},30000,40000",
]  # fmt: skip
AUDIOSET_HEAD = (
    "# Segments csv created Sun Mar  5 10:54:25 2017\n# num_ytids=20371\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
)
ENDS = ["\n", "\r\n", "\r"]


def listed(folder: Path, content: str, name: str = "list.csv") -> tuple[ListedId, ...]:
    path = folder / name
    path.write_bytes(content.encode())
    return read_id_list(path, DataError)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("here", [CLIP, f"{VIDEO}_30", f"{VIDEO}_30_40", f"{VIDEO}_30000_40000"])
def test_every_form_of_a_clip_is_the_clip(tmp_path: Path, row: str, here: str) -> None:
    (one,) = listed(tmp_path, row)
    assert NameIndex([f"{VIDEO}_000031", here, "AAAAAAAAAAA_000030"]).find(one) == here
    assert NameIndex([f"{VIDEO}_000031"]).find(one) is None


@pytest.mark.parametrize("form", [form for form in SAME if not set("/\\") & set(form)][:8])
def test_benchmarks_have_one_name_for_a_clip(form: str) -> None:
    assert clip_name(form) == CLIP
    assert clip_name(f"../{form}") == f"../{form}"  # to be refused where it is looked for


@pytest.mark.parametrize(
    "name",
    [
        "sample0001",
        "10000130166",
        "HnUOaSfTA6c_175_05257",
        f"{VIDEO}_30500_40500",
        "a.b",
        "dog 30_40",
    ],
)
def test_other_names_are_left_alone(name: str) -> None:
    assert clip_name(name) == name
    assert plain_name(f"frames/{name}.jpg") == name


def test_pictures_of_one_video_are_not_mixed_up() -> None:
    """MUSIC's names look like start and end, and would then all start alike."""
    names = NameIndex(["HnUOaSfTA6c_175_05257", "HnUOaSfTA6c_175_05264"])
    assert names.find(ListedId("x", ("HnUOaSfTA6c_175_05264",))) == "HnUOaSfTA6c_175_05264"
    assert names.find(ListedId("x", ("HnUOaSfTA6c_175_05271",))) is None
    assert (
        NameIndex(["HnUOaSfTA6c_175_05257"]).find(ListedId("x", ("HnUOaSfTA6c_175_05264",))) is None
    )


def test_what_could_be_two_is_none() -> None:
    names = NameIndex([f"{VIDEO}_30", CLIP])
    assert names.find(ListedId("x", (f"{VIDEO}_30_40",))) is None
    assert names.find(ListedId("x", (CLIP,))) == CLIP


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "head",
    [
        "", "video,start\n", "YouTube ID,start seconds,label\n", "ID\n", "video_id\n",
        "# a comment\n\n", AUDIOSET_HEAD,
    ],
)  # fmt: skip
def test_heads_marks_and_line_ends(tmp_path: Path, head: str, mark: str, end: str) -> None:
    text = f"{mark}{head}{VIDEO},30,dog\n\nAAAAAAAAAAA,0,cat\n{VIDEO},30,dog".replace("\n", end)
    names = NameIndex([CLIP, "AAAAAAAAAAA_000000"])
    found = [names.find(one) for one in listed(tmp_path, text) if not one.optional]
    assert found == [CLIP, "AAAAAAAAAAA_000000"]


def test_a_name_that_looks_like_a_head_or_a_comment_is_found(tmp_path: Path) -> None:
    names = NameIndex(["id", "#1", "# 2"])
    found = [names.find(one) for one in listed(tmp_path, "id\n#1\n# 2\n# no name\n")]
    assert found == ["id", "#1", "# 2", None]


def test_ids_with_commas_and_reasons_behind_them(tmp_path: Path) -> None:
    """As `tvsl data check -o` writes them."""
    text = "a, b\t# missing: x, y.jpg\nc;d\t# z\n"
    names = NameIndex(["a, b", "c;d"])
    assert [names.find(one) for one in listed(tmp_path, text)] == ["a, b", "c;d"]


def test_unicode_forms_are_one(tmp_path: Path) -> None:
    (one,) = listed(tmp_path, "cafe\u0301")
    assert NameIndex(["caf\u00e9"]).find(one) == "caf\u00e9"


@pytest.mark.parametrize(
    "entry",
    [
        CLIP, [CLIP, "dog"], [VIDEO, 30, 40], [VIDEO, 30.0, "dog"], {"file": CLIP, "class": "dog"},
        {"class": "dog", "Video": VIDEO, "end_seconds": 40, "start_seconds": "30.000"},
        {"anything": CLIP},
    ],
)  # fmt: skip
def test_json_of_any_shape(tmp_path: Path, entry: object) -> None:
    (one,) = listed(tmp_path, json.dumps([entry]), "list.json")
    assert NameIndex([CLIP]).find(one) == CLIP


@pytest.mark.parametrize("content", ["{}", "[1]", "[[]]", "[null]", "[{}]", "[", "[" * 100_000])
def test_json_that_is_no_list_of_ids(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="understood"):
        listed(tmp_path, content, "list.json")
