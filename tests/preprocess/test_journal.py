from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvsl.errors import OutputError
from tvsl.preprocess.finding import Video
from tvsl.preprocess.journal import JOURNAL_FILE, RECORDS_FILE, Journal
from tvsl.preprocess.options import Clip, Failure, make_options, read_clip, record_to_line
from tvsl.utils.atomic import write_text

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
    line = record_to_line(clip)
    assert line.count("\n") == 1
    assert line.isascii()
    assert read_clip(line) == clip


def test_lines_say_what_a_reader_wants() -> None:
    assert json.loads(record_to_line(CLIP)) == {
        "id": "a",
        "source": "x/a.mp4",
        "status": "ok",
        "size": 10,
        "frames": {"a": 1.5},
        "window": [0.0, 3.0],
        "listed": False,
    }
    assert json.loads(record_to_line(FAILURE)) == {
        "id": None,
        "source": "b.mp4",
        "status": "failed",
        "size": 0,
        "kind": "MissingFileError",
        "error": "It is empty. Copy it again.",
    }
    assert read_clip(record_to_line(FAILURE)) is None


@given(st.integers(0, len(record_to_line(CLIP)) - 2))
def test_torn_lines_are_no_clips(length: int) -> None:
    assert read_clip(record_to_line(CLIP)[:length]) is None


@pytest.mark.parametrize("line", ["", "3", "[]", "null", '{"status": "ok"}', "[" * 100_000])
def test_other_lines_are_no_clips(line: str) -> None:
    assert read_clip(line) is None


def test_the_journal_survives_a_kill(tmp_path: Path) -> None:
    journal = Journal(tmp_path, OPTIONS)
    journal.add(CLIP)
    journal.add(FAILURE)
    # Nothing is closed or merged: what a killed process leaves.
    with (tmp_path / JOURNAL_FILE).open("a") as stream:
        stream.write(record_to_line(replace(CLIP, id="torn"))[:-9])
    again = Journal(tmp_path, OPTIONS)
    assert again.clips == (CLIP,)
    again.merge()
    assert [path.name for path in tmp_path.iterdir()] == [RECORDS_FILE]
    assert (tmp_path / RECORDS_FILE).read_text() == record_to_line(CLIP)
    assert Journal(tmp_path, OPTIONS).clips == (CLIP,)
    journal.close()


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    (tmp_path / JOURNAL_FILE).symlink_to("/dev/full")
    journal = Journal(tmp_path, OPTIONS)
    with pytest.raises(OutputError, match="No space left"):
        journal.add(CLIP)
    journal.close()


def test_lines_are_merged_in_the_order_of_the_videos(tmp_path: Path) -> None:
    journal = Journal(tmp_path, OPTIONS)
    late, early = replace(CLIP, id="c", source="z.mp4"), replace(CLIP, id="d", source="a.mp4")
    for record in (late, FAILURE, CLIP, early):
        journal.add(record)
    journal.merge()
    expected = [early, FAILURE, CLIP, late]
    assert (tmp_path / RECORDS_FILE).read_text() == "".join(
        record_to_line(record) for record in expected
    )
    again = Journal(tmp_path, OPTIONS)
    assert again.clips == (early, CLIP, late)
    assert again.failures == ()


def test_a_clip_is_there_when_its_files_are(tmp_path: Path) -> None:
    journal = Journal(tmp_path, OPTIONS)
    journal.add(CLIP)
    assert not journal.is_complete(VIDEO)
    place_files(tmp_path, CLIP)
    assert journal.is_complete(VIDEO)
    (tmp_path / "frames/a.jpg").unlink()
    assert not journal.is_complete(VIDEO)


@pytest.mark.parametrize("change", [{"size": 11}, {"source": "y/a.mp4"}, {"id": "b"}])
def test_a_clip_of_another_video_is_not_this_one(tmp_path: Path, change: dict[str, object]) -> None:
    place_files(tmp_path, CLIP)
    journal = Journal(tmp_path, OPTIONS)
    journal.add(CLIP)
    assert not journal.is_complete(replace(VIDEO, **change))


def test_pictures_of_a_list_are_not_all(tmp_path: Path) -> None:
    listed = replace(CLIP, frames={"a_0": 0.0, "a_1": 1.0}, listed=True)
    place_files(tmp_path, listed)
    journal = Journal(tmp_path, OPTIONS)
    journal.add(listed)
    assert journal.is_complete(replace(VIDEO, pictures=("a_1",)))
    assert not journal.is_complete(replace(VIDEO, pictures=("a_1", "a_2")))
    assert not journal.is_complete(VIDEO)
    journal.add(replace(listed, listed=False))
    assert journal.is_complete(VIDEO)


def test_pictures_of_other_lists_are_made_again_and_none_goes_before(tmp_path: Path) -> None:
    listed = replace(CLIP, frames={"a_0": 0.0, "a_1": 1.0}, listed=True)
    place_files(tmp_path, listed)
    journal = Journal(tmp_path, OPTIONS)
    journal.add(listed)
    here = {"earlier": ("a_0", "a_1")}
    wanted = replace(VIDEO, pictures=("a_1", "a_2"))
    assert journal.with_existing(wanted) == replace(VIDEO, pictures=("a_0", "a_1", "a_2"), **here)
    assert journal.with_existing(wanted, force=True) == replace(wanted, **here)
    assert journal.with_existing(VIDEO) == replace(VIDEO, **here)
    assert journal.clips == (listed,)
    assert len([*(tmp_path / "frames").iterdir(), *(tmp_path / "audio").iterdir()]) == 3
    journal.drop("a")
    assert not [*(tmp_path / "frames").iterdir(), *(tmp_path / "audio").iterdir()]
    assert journal.with_existing(VIDEO) == VIDEO


def test_a_clip_tells_with_what_it_was_made_until_it_is_made_anew(tmp_path: Path) -> None:
    place_files(tmp_path, CLIP)
    journal = Journal(tmp_path, OPTIONS)
    journal.add(CLIP)
    other = make_options("vggsound", window=0.4).to_dict()
    journal.mark_outdated(other)
    journal.mark_outdated(OPTIONS.to_dict())  # what it was made with does not change any more
    journal.merge()
    line = json.loads((tmp_path / RECORDS_FILE).read_text())
    assert line["options"] == other
    again = Journal(tmp_path, OPTIONS)
    assert not again.is_complete(VIDEO)
    again.add(FAILURE)
    again.add(replace(FAILURE, id="a"))
    assert again.left == ("a",)
    again.add(CLIP)
    assert again.is_complete(VIDEO)
    again.close()
    assert [clip.options for clip in Journal(tmp_path, OPTIONS).clips] == [None]


def test_a_clip_that_lost_a_file_and_failed_is_not_there(tmp_path: Path) -> None:
    place_files(tmp_path, CLIP)
    journal = Journal(tmp_path, OPTIONS)
    journal.add(CLIP)
    (tmp_path / "audio/a.wav").unlink()
    journal.add(replace(FAILURE, id="a"))
    assert (journal.clips, journal.left) == ((), ())
    assert (tmp_path / "frames/a.jpg").exists()
    journal.close()


@pytest.mark.parametrize("name", ["../precious", "/tmp/../precious", "x/../../precious"])
def test_an_journal_of_others_removes_nothing_outside(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    for folder in ("audio", "frames", "x"):
        (root / folder).mkdir(parents=True)
    (tmp_path / "root" / "precious.wav").touch()
    (tmp_path / "root" / "precious.jpg").touch()
    write_text(
        root / RECORDS_FILE,
        record_to_line(replace(CLIP, id=name)) + record_to_line(replace(CLIP, frames={name: 0.0})),
    )
    journal = Journal(root, OPTIONS)
    for clip in journal.clips:
        journal.drop(clip.id)
    assert {path.name for path in root.glob("precious.*")} == {"precious.wav", "precious.jpg"}
