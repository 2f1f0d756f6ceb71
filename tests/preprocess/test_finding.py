from __future__ import annotations

import os
from pathlib import Path

import pytest

from tvsl.errors import MissingFileError, UnreadableMediaError
from tvsl.preprocess.finding import find_videos


def place(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names, start=1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
    return folder


def test_videos_of_all_folders_in_order(tmp_path: Path) -> None:
    place(
        tmp_path, "b.mp4", "a/c.MKV", "a/b/d.webm", "notes.txt", "a/c.jpg", ".hidden.mp4", "e.part"
    )
    found = find_videos(tmp_path, "folder")
    assert [(video.id, video.source, video.size) for video in found.videos] == [
        ("a__b__d", "a/b/d.webm", 3),
        ("a__c", "a/c.MKV", 2),
        ("b", "b.mp4", 1),
    ]
    assert found.unnamed == found.missing == ()


def test_names_that_do_not_fit_are_reported(tmp_path: Path) -> None:
    place(tmp_path, "zpWuikVorYg_32.mp4", "holiday.mp4")
    found = find_videos(tmp_path, "vggsound")
    assert [video.id for video in found.videos] == ["zpWuikVorYg_000032"]
    assert [(video.id, video.source) for video in found.unnamed] == [(None, "holiday.mp4")]
    assert "start in seconds" in str(found.unnamed[0].error)


def test_two_videos_of_one_id_are_both_reported(tmp_path: Path) -> None:
    place(tmp_path, "zpWuikVorYg_32.mp4", "zpWuikVorYg_000032.mp4", "zpWuikVorYg_33.mp4")
    found = find_videos(tmp_path, "vggsound")
    assert [video.id for video in found.videos] == ["zpWuikVorYg_000033"]
    assert {video.source for video in found.unnamed} == {
        "zpWuikVorYg_32.mp4",
        "zpWuikVorYg_000032.mp4",
    }
    for video in found.unnamed:
        (other,) = {one.source for one in found.unnamed} - {video.source}
        assert other in str(video.error)


@pytest.mark.parametrize("name", ["line\nbreak.mp4", "back\\slash.mp4", f"{'x' * 210}.mp4"])
def test_names_that_no_file_should_have_are_reported(tmp_path: Path, name: str) -> None:
    found = find_videos(place(tmp_path, name), "folder")
    assert found.videos == ()
    assert [video.source for video in found.unnamed] == [name]


def test_names_that_are_no_text_are_reported(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.mp4"
    try:
        Path(os.fsdecode(path)).touch()
    except OSError:
        pytest.skip("this file system wants text")
    assert len(find_videos(tmp_path, "folder").unnamed) == 1


def test_a_list_tells_what_is_wanted_and_what_is_missing(tmp_path: Path) -> None:
    place(tmp_path, "zpWuikVorYg_32.mp4", "JIemsK_0lXc_1.mp4", "holiday.mp4")
    listed = ["nothingHere_000001", "zpWuikVorYg_000032"]
    found = find_videos(tmp_path, "vggsound", listed)
    assert [video.id for video in found.videos] == ["zpWuikVorYg_000032"]
    assert found.unnamed == ()
    assert found.missing == ("nothingHere_000001",)


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        ("vggsound", ("a_b_c-d_e-f_3", "a_b_c-d_e-f_30")),
        ("acav", ("a_b_c-d_e-f_3000_13000", "a_b_c-d_e-f_30000_40000")),
        ("folder", ("a_b_c-d_e-f_3", "a_b_c-d_e-f_30000_40000")),
        ("folder", ("a_b_c-d_e-f_000003", "a_b_c-d_e-f_000030")),
    ],
)
def test_listed_names_are_found_in_any_form(
    tmp_path: Path, layout: str, files: tuple[str, ...]
) -> None:
    place(tmp_path, *(f"{name}.mp4" for name in files))
    for listed in (("a_b_c-d_e-f_3", "a_b_c-d_e-f_30_40"), [f"{name}.mp4" for name in files]):
        found = find_videos(tmp_path, layout, [*listed, "nothing"])
        assert len(found.videos) == 2
        assert (found.listed, found.missing) == (3, ("nothing",))
        assert found.example in [video.id for video in found.videos]


def test_listed_files_in_folders_are_found(tmp_path: Path) -> None:
    place(tmp_path, "a/b.mp4", "b.mp4")
    found = find_videos(tmp_path, "folder", ["a/b.mp4"])
    assert [video.source for video in found.videos] == ["a/b.mp4"]


def test_what_does_not_match_is_shown_beside_what_is_here(tmp_path: Path) -> None:
    place(tmp_path, "zpWuikVorYg_32.mp4")
    with pytest.raises(MissingFileError, match=r"'some_other'.*'zpWuikVorYg_000032'"):
        find_videos(tmp_path, "vggsound", ["some_other"])


def test_pictures_are_found_without_their_zeros(tmp_path: Path) -> None:
    place(tmp_path, "1Ju4S0qeDqw.mp4")
    found = find_videos(tmp_path, "music", ["frames/1Ju4S0qeDqw_1_37.jpg"])
    assert found.videos[0].pictures == ("1Ju4S0qeDqw_001_00037",)


def test_a_list_of_pictures_is_sorted_by_video(tmp_path: Path) -> None:
    place(tmp_path, "solo/cello/1Ju4S0qeDqw.mp4", "duet/a b/-_-TDDxoaAc.mp4", "4Oy5VmaacaI.mp4")
    listed = ["1Ju4S0qeDqw_001_00037", "gone_gone_g_000_00000", "-_-TDDxoaAc"]
    listed += ["1Ju4S0qeDqw_000_00000"]
    found = find_videos(tmp_path, "music", listed)
    assert {video.id: video.pictures for video in found.videos} == {
        "1Ju4S0qeDqw": ("1Ju4S0qeDqw_001_00037", "1Ju4S0qeDqw_000_00000"),
        "-_-TDDxoaAc": (),
    }
    assert found.missing == ("gone_gone_g_000_00000",)


def test_links_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    place(tmp_path / "elsewhere", "a.mp4")
    place(tmp_path / "videos", "b.mp4")
    (tmp_path / "videos" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "videos" / "back").symlink_to(tmp_path / "videos")
    (tmp_path / "videos" / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    found = find_videos(tmp_path / "videos", "folder")
    assert [(v.source, v.size) for v in found.videos] == [
        ("b.mp4", 1),
        ("gone.mp4", 0),  # reading it will tell
        ("more/a.mp4", 1),
    ]


@pytest.mark.parametrize("listed", [None, ["zpWuikVorYg_000032"]])
def test_a_folder_without_videos(tmp_path: Path, listed: list[str] | None) -> None:
    place(tmp_path, "notes.txt")
    with pytest.raises(MissingFileError, match=r"\.mp4"):
        find_videos(tmp_path, "vggsound", listed)
    with pytest.raises(MissingFileError, match="no such folder"):
        find_videos(tmp_path / "notes.txt", "vggsound", listed)


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path, "a/b.mp4")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UnreadableMediaError, match="Permission denied"):
        find_videos(tmp_path, "folder")
