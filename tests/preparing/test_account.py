from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvsl.errors import OutputError
from tvsl.preparing.account import ENTRIES, JOURNAL, Account
from tvsl.preparing.entries import Clip, Failure, as_line, read_clip
from tvsl.preparing.finding import Video
from tvsl.preparing.options import make_options
from tvsl.staging import write_text

CLIP = Clip("a", "x/a.mp4", 10, {"a": 1.5}, (0.0, 3.0))
FAILURE = Failure(None, "b.mp4", 0, "MissingFileError", "It is empty. Copy it again.")
VIDEO = Video("a", "x/a.mp4", 10)
OPTIONS = make_options("vggsound", window=0.5)


def place_files(root: Path, clip: Clip) -> None:
    for name in (f"audio/{clip.id}.wav", *(f"frames/{name}.jpg" for name in clip.frames)):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()


@settings(max_examples=30)
@given(
    st.builds(
        Clip,
        id=st.text(min_size=1),
        source=st.text(min_size=1),
        size=st.integers(0),
        frames=st.dictionaries(st.text(), st.floats(0, 1e6)),
        window=st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)),
        listed=st.booleans(),
    )
)
def test_lines_come_back(clip: Clip) -> None:
    line = as_line(clip)
    assert line.count("\n") == 1
    assert line.isascii()
    assert read_clip(line) == clip


def test_lines_say_what_a_reader_wants() -> None:
    assert json.loads(as_line(CLIP)) == {
        "id": "a",
        "source": "x/a.mp4",
        "status": "ok",
        "size": 10,
        "frames": {"a": 1.5},
        "window": [0.0, 3.0],
        "listed": False,
    }
    assert json.loads(as_line(FAILURE)) == {
        "id": None,
        "source": "b.mp4",
        "status": "failed",
        "size": 0,
        "kind": "MissingFileError",
        "error": "It is empty. Copy it again.",
    }
    assert read_clip(as_line(FAILURE)) is None


@given(st.integers(0, len(as_line(CLIP)) - 2))
def test_torn_lines_are_no_clips(length: int) -> None:
    assert read_clip(as_line(CLIP)[:length]) is None


@pytest.mark.parametrize("line", ["", "3", "[]", "null", '{"status": "ok"}', "[" * 100_000])
def test_other_lines_are_no_clips(line: str) -> None:
    assert read_clip(line) is None


def test_the_journal_survives_a_kill(tmp_path: Path) -> None:
    account = Account(tmp_path, OPTIONS)
    account.add(CLIP)
    account.add(FAILURE)
    # Nothing is closed or merged: what a killed process leaves.
    with (tmp_path / JOURNAL).open("a") as stream:
        stream.write(as_line(replace(CLIP, id="torn"))[:-9])
    again = Account(tmp_path, OPTIONS)
    assert again.clips == (CLIP,)
    again.merge()
    assert [path.name for path in tmp_path.iterdir()] == [ENTRIES]
    assert (tmp_path / ENTRIES).read_text() == as_line(CLIP)
    assert Account(tmp_path, OPTIONS).clips == (CLIP,)
    account.close()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    (tmp_path / JOURNAL).symlink_to("/dev/full")
    account = Account(tmp_path, OPTIONS)
    with pytest.raises(OutputError, match="No space left"):
        account.add(CLIP)
    account.close()


def test_lines_are_merged_in_the_order_of_the_videos(tmp_path: Path) -> None:
    account = Account(tmp_path, OPTIONS)
    late, early = replace(CLIP, id="c", source="z.mp4"), replace(CLIP, id="d", source="a.mp4")
    for entry in (late, FAILURE, CLIP, early):
        account.add(entry)
    account.merge()
    expected = [early, FAILURE, CLIP, late]
    assert (tmp_path / ENTRIES).read_text() == "".join(as_line(entry) for entry in expected)
    again = Account(tmp_path, OPTIONS)
    assert again.clips == (early, CLIP, late)
    assert again.failures == ()


def test_a_clip_is_there_when_its_files_are(tmp_path: Path) -> None:
    account = Account(tmp_path, OPTIONS)
    account.add(CLIP)
    assert not account.has(VIDEO)
    place_files(tmp_path, CLIP)
    assert account.has(VIDEO)
    (tmp_path / "frames/a.jpg").unlink()
    assert not account.has(VIDEO)


@pytest.mark.parametrize("change", [{"size": 11}, {"source": "y/a.mp4"}, {"id": "b"}])
def test_a_clip_of_another_video_is_not_this_one(tmp_path: Path, change: dict[str, object]) -> None:
    place_files(tmp_path, CLIP)
    account = Account(tmp_path, OPTIONS)
    account.add(CLIP)
    assert not account.has(replace(VIDEO, **change))


def test_pictures_of_a_list_are_not_all(tmp_path: Path) -> None:
    listed = replace(CLIP, frames={"a_0": 0.0, "a_1": 1.0}, listed=True)
    place_files(tmp_path, listed)
    account = Account(tmp_path, OPTIONS)
    account.add(listed)
    assert account.has(replace(VIDEO, pictures=("a_1",)))
    assert not account.has(replace(VIDEO, pictures=("a_1", "a_2")))
    assert not account.has(VIDEO)
    account.add(replace(listed, listed=False))
    assert account.has(VIDEO)


def test_pictures_of_other_lists_are_made_again_and_none_goes_before(tmp_path: Path) -> None:
    listed = replace(CLIP, frames={"a_0": 0.0, "a_1": 1.0}, listed=True)
    place_files(tmp_path, listed)
    account = Account(tmp_path, OPTIONS)
    account.add(listed)
    here = {"earlier": ("a_0", "a_1")}
    wanted = replace(VIDEO, pictures=("a_1", "a_2"))
    assert account.renew(wanted) == replace(VIDEO, pictures=("a_0", "a_1", "a_2"), **here)
    assert account.renew(wanted, anew=True) == replace(wanted, **here)
    assert account.renew(VIDEO) == replace(VIDEO, **here)
    assert account.clips == (listed,)
    assert len([*(tmp_path / "frames").iterdir(), *(tmp_path / "audio").iterdir()]) == 3
    account.drop("a")
    assert not [*(tmp_path / "frames").iterdir(), *(tmp_path / "audio").iterdir()]
    assert account.renew(VIDEO) == VIDEO


def test_a_clip_tells_with_what_it_was_made_until_it_is_made_anew(tmp_path: Path) -> None:
    place_files(tmp_path, CLIP)
    account = Account(tmp_path, OPTIONS)
    account.add(CLIP)
    other = make_options("vggsound", window=0.4).to_dict()
    account.outdate(other)
    account.outdate(OPTIONS.to_dict())  # what it was made with does not change any more
    account.merge()
    line = json.loads((tmp_path / ENTRIES).read_text())
    assert line["options"] == other
    again = Account(tmp_path, OPTIONS)
    assert not again.has(VIDEO)
    again.add(FAILURE)
    again.add(replace(FAILURE, id="a"))
    assert again.left == ("a",)
    again.add(CLIP)
    assert again.has(VIDEO)
    again.close()
    assert [clip.options for clip in Account(tmp_path, OPTIONS).clips] == [None]


def test_a_clip_that_lost_a_file_and_failed_is_not_there(tmp_path: Path) -> None:
    place_files(tmp_path, CLIP)
    account = Account(tmp_path, OPTIONS)
    account.add(CLIP)
    (tmp_path / "audio/a.wav").unlink()
    account.add(replace(FAILURE, id="a"))
    assert (account.clips, account.left) == ((), ())
    assert (tmp_path / "frames/a.jpg").exists()
    account.close()


@pytest.mark.parametrize("name", ["../precious", "/tmp/../precious", "x/../../precious"])
def test_an_account_of_others_removes_nothing_outside(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    for folder in ("audio", "frames", "x"):
        (root / folder).mkdir(parents=True)
    (tmp_path / "root" / "precious.wav").touch()
    (tmp_path / "root" / "precious.jpg").touch()
    write_text(
        root / ENTRIES, as_line(replace(CLIP, id=name)) + as_line(replace(CLIP, frames={name: 0.0}))
    )
    account = Account(root, OPTIONS)
    for clip in account.clips:
        account.drop(clip.id)
    assert {path.name for path in root.glob("precious.*")} == {"precious.wav", "precious.jpg"}
