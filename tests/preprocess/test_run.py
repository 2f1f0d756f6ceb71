from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.leftovers import leave_half
from tests.preprocess.videos import contents, make_broken, make_clip
from tvsl import __version__
from tvsl.errors import MediaError, OutputError
from tvsl.preprocess import run as run_module
from tvsl.preprocess.finding import Video
from tvsl.preprocess.journal import ExtractionResult, Journal
from tvsl.preprocess.options import Failure, Options, describe_error, make_options
from tvsl.preprocess.run import Prepared, open_root, prepare
from tvsl.preprocess.worker import prepare_video

OPTIONS = make_options("vggsound", window=0.5)
IDS = ("zpWuikVorYg_000032", "zpWuikVorYg_000033", "JIemsK_0lXc_000001")


def prepare_here(
    videos: Sequence[Video], folder: Path, options: Options, root: Path, _: int | None
) -> Generator[tuple[Video, ExtractionResult], None, None]:
    """Do the pool's work, one video after the other in this process."""
    for video in videos:
        try:
            yield (
                video,
                prepare_video(
                    video.id,
                    folder / video.source,
                    video.pictures,
                    options,
                    root,
                    video.earlier,
                ),
            )
        except MediaError as error:
            yield video, Failure(video.id, video.source, video.size, *describe_error(error))


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting them takes most of the time of so short a run; they have tests of their own."""
    monkeypatch.setattr(run_module, "prepare_all", prepare_here)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("zpWuikVorYg_32.mp4", "more/zpWuikVorYg_33.mp4", "JIemsK_0lXc_000001.mp4"):
        make_clip(tmp_path / "videos" / name, 1)
    return tmp_path / "videos"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "made" / "root"


def run(folder: Path, root: Path, options: Any = OPTIONS, **more: Any) -> Prepared:
    return prepare(folder, root, options, workers=1, **more)


def report(root: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((root / "report.json").read_text())
    return loaded


def stamps(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.glob("*/*")}


def test_clips_journal_and_report(folder: Path, root: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    made = run(folder, root, progress=lambda *step: steps.append(step))
    assert (made.found, made.unchanged, made.failures, made.listed) == (3, 0, (), None)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert set(contents(root)) == {
        "report.json",
        "prepared.jsonl",
        *(f"frames/{name}.jpg" for name in IDS),
        *(f"audio/{name}.wav" for name in IDS),
    }
    lines = [json.loads(line) for line in (root / "prepared.jsonl").read_text().splitlines()]
    assert [(line["source"], line["id"], line["status"]) for line in lines] == [
        ("JIemsK_0lXc_000001.mp4", IDS[2], "ok"),
        ("more/zpWuikVorYg_33.mp4", IDS[1], "ok"),
        ("zpWuikVorYg_32.mp4", IDS[0], "ok"),
    ]
    assert all(line["frames"] == {line["id"]: 0.5} for line in lines)
    assert all(line["window"] == [0.25, 0.75] for line in lines)
    assert report(root) == {
        "finished": True,
        "tvsl": __version__,
        "options": OPTIONS.to_dict(),
        "found": 3,
        "ok": 3,
        "failed": 0,
        "reasons": {},
        "failures": [],
    }


def test_a_second_run_changes_nothing(folder: Path, root: Path) -> None:
    run(folder, root)
    before, times = contents(root), stamps(root)
    made = run(folder, root)
    assert (made.found, made.unchanged) == (3, 3)
    assert (contents(root), stamps(root)) == (before, times)


def test_only_what_is_missing_or_changed_is_made_again(folder: Path, root: Path) -> None:
    run(folder, root)
    before, times = contents(root), stamps(root)
    (root / f"audio/{IDS[0]}.wav").unlink()
    make_clip(folder / "JIemsK_0lXc_000001.mp4", 2)
    made = run(folder, root)
    assert made.unchanged == 1
    after, later = contents(root), stamps(root)
    assert after.keys() == before.keys()
    assert after[f"audio/{IDS[0]}.wav"] == before[f"audio/{IDS[0]}.wav"]
    assert after[f"frames/{IDS[2]}.jpg"] != before[f"frames/{IDS[2]}.jpg"]
    assert {path.stem for path in times if times[path] == later[path]} == {IDS[1]}


def test_what_fails_is_told_and_tried_again(folder: Path, root: Path) -> None:
    kinds = make_broken(folder)
    (folder / "holiday.mp4").write_bytes(b"x")
    make_clip(folder / "zpWuikVorYg_000033.mp4", 1)  # a second one of this id
    made = run(folder, root)
    told = {failure.source: failure.kind for failure in made.failures}
    twice = ("more/zpWuikVorYg_33.mp4", "zpWuikVorYg_000033.mp4")
    assert told == {**kinds, **dict.fromkeys(("holiday.mp4", *twice), "MediaError")}
    assert made.found == 3 + len(kinds) + 2
    said = report(root)
    assert (said["ok"], said["failed"]) == (2, len(told))
    assert said["reasons"]["UnreadableMediaError"] == 2
    assert [one["source"] for one in said["failures"]] == sorted(told)
    assert {path.stem for path in root.glob("*/*")} == {IDS[0], IDS[2]}
    lines = (root / "prepared.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines if '"failed"' in line] == said["failures"]

    for name in (*kinds, "holiday.mp4", "zpWuikVorYg_000033.mp4"):
        (folder / name).unlink()
    make_clip(folder / next(iter(kinds)), 1)
    made = run(folder, root)
    assert (made.found, made.unchanged, made.failures) == (4, 2, ())
    assert '"failed"' not in (root / "prepared.jsonl").read_text()


def test_a_clip_whose_video_broke_stays_and_the_journal_says_so(folder: Path, root: Path) -> None:
    run(folder, root)
    before = contents(root)
    lines = before["prepared.jsonl"].decode().splitlines()
    (folder / "zpWuikVorYg_32.mp4").write_bytes(b"broken")
    make_clip(folder / "JIemsK_0lXc_1.mp4", 1)  # now two are of this id
    made = run(folder, root)
    assert {failure.id for failure in made.failures} == {IDS[0], IDS[2]}
    assert made.left == (IDS[2], IDS[0])
    assert report(root)["left"] == [IDS[2], IDS[0]]
    after = contents(root)
    assert {name for name in before if before[name] != after[name]} == {
        "prepared.jsonl",
        "report.json",
    }
    now = after["prepared.jsonl"].decode().splitlines()
    assert [line for line in now if '"failed"' not in line] == lines
    assert sum('"failed"' in line for line in now) == 3
    assert run(folder, root).left == made.left  # tried again, and no sooner believed


OTHER = make_options("vggsound", window=0.4)


def break_one(folder: Path) -> None:
    (folder / "zpWuikVorYg_32.mp4").write_bytes(b"broken")


def lines_of(root: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The records, by id and status."""
    found = (json.loads(line) for line in (root / "prepared.jsonl").read_text().splitlines())
    return {(line["id"], line["status"]): line for line in found}


def test_what_cannot_be_made_anew_by_force_stays_as_what_it_is(folder: Path, root: Path) -> None:
    run(folder, root)
    before = contents(root)
    break_one(folder)
    made = run(folder, root, OTHER, force=True)
    assert ([one.id for one in made.failures], made.left) == ([IDS[0]], (IDS[0],))
    after = contents(root)
    kept = {f"frames/{IDS[0]}.jpg", f"audio/{IDS[0]}.wav"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    for name in IDS[1:]:
        assert after[f"audio/{name}.wav"] != before[f"audio/{name}.wav"]
    lines = lines_of(root)
    assert lines[IDS[0], "ok"]["options"] == OPTIONS.to_dict()
    assert (IDS[0], "failed") in lines
    assert all("options" not in lines[name, "ok"] for name in IDS[1:])
    assert report(root)["options"] == OTHER.to_dict()
    assert (report(root)["ok"], report(root)["left"]) == (2, [IDS[0]])
    make_clip(folder / "zpWuikVorYg_32.mp4", 1)
    assert run(folder, root, OTHER).unchanged == 2
    fresh = root.with_name("fresh")
    run(folder, fresh, OTHER)
    assert contents(root) == contents(fresh)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("done", [0, 1, 2])
@pytest.mark.parametrize("options", [OPTIONS, OTHER])
def test_a_run_by_force_that_is_killed_loses_no_clip(
    folder: Path, root: Path, options: Options, done: int, again: bool
) -> None:
    class Killed(BaseException):
        """Nobody catches it: the journal stays as it is then."""

    def kill(count: int, _: int | None) -> None:
        if count == done:
            raise Killed

    run(folder, root)
    before = contents(root)
    if done:
        with pytest.raises(Killed):
            run(folder, root, options, force=True, progress=kill)
    else:
        with pytest.raises(Killed), open_root(root, options, True):
            raise Killed
    held = contents(root)
    clips = [name for name in before if name.startswith(("frames/", "audio/"))]
    assert set(clips) <= held.keys()
    assert report(root) == {"finished": False, "options": options.to_dict()}
    order = (IDS[2], IDS[1], IDS[0])  # as their videos are found
    journal = Journal(root, options)
    assert {clip.id for clip in journal.clips if clip.options is not None} == (
        set() if options == OPTIONS else set(order[done:])
    )
    for name in order[done:]:
        assert held[f"audio/{name}.wav"] == before[f"audio/{name}.wav"]
    made = run(folder, root, options, force=again)
    assert made.unchanged == (0 if again else 3 if options == OPTIONS else done)
    fresh = root.with_name("fresh")
    run(folder, fresh, options)
    assert contents(root) == contents(fresh)


def test_a_full_disk_leaves_every_clip_whole(
    folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run(folder, root)
    before = contents(root)
    monkeypatch.setattr("tvsl.preprocess.worker.write_wav", fail)
    with pytest.raises(OutputError, match="No space left") as caught:
        run(folder, root, OTHER, force=True)
    assert caught.value.path == root / "audio" / f"{IDS[2]}.wav"
    after = contents(root)
    for name in before:
        assert name in ("prepared.jsonl", "report.json") or after[name] == before[name]
    assert after.keys() == before.keys()
    monkeypatch.undo()
    monkeypatch.setattr(run_module, "prepare_all", prepare_here)
    assert run(folder, root, OTHER).unchanged == 0


def test_pictures_and_sounds_may_lie_elsewhere(folder: Path, root: Path, tmp_path: Path) -> None:
    root.mkdir(parents=True)
    for name in ("frames", "audio"):
        (tmp_path / "disk" / name).mkdir(parents=True)
    (root / "report.json").write_text(json.dumps({"finished": False, "options": OPTIONS.to_dict()}))
    for name in ("frames", "audio"):
        (root / name).symlink_to(tmp_path / "disk" / name)
    assert run(folder, root).failures == ()
    assert run(folder, root, OTHER, force=True).failures == ()
    assert {path.stem for path in (tmp_path / "disk").glob("*/*")} == set(IDS)


def test_a_folder_of_others_is_left_alone(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "photos"
    place.mkdir()
    (place / "holiday.jpg").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        run(folder, place)
    assert contents(place) == {"holiday.jpg": b"mine"}
    (tmp_path / "data").mkdir()
    folder.rename(tmp_path / "data" / "videos")
    assert run(tmp_path / "data" / "videos", tmp_path / "data").failures == ()


def test_other_options_need_force_which_starts_over(folder: Path, root: Path) -> None:
    run(folder, root)
    (root / "frames" / "mine.jpg").touch()
    before = contents(root)
    other = make_options("vggsound", window=0.4)
    with pytest.raises(OutputError, match=r"window was 0\.5.*--force"):
        run(folder, root, other)
    assert contents(root) == before
    (folder / "zpWuikVorYg_32.mp4").unlink()
    made = run(folder, root, other, force=True)
    assert made.unchanged == 0
    assert {path.stem for path in root.glob("*/*")} == {IDS[1], IDS[2], "mine"}
    assert report(root)["options"]["window"] == 0.4
    fresh = root.with_name("fresh")
    run(folder, fresh, other)
    assert contents(root) == {**contents(fresh), "frames/mine.jpg": b""}


@pytest.mark.parametrize("name", ["frames/mine.jpg", "audio/mine.wav", "prepared.jsonl"])
def test_clips_of_others_are_left_alone(folder: Path, root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True)
    (root / name).touch()
    with pytest.raises(OutputError, match="--force"):
        run(folder, root)
    assert contents(root) == {name: b""}
    run(folder, root, force=True)
    assert name == "prepared.jsonl" or (root / name).exists()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("report.json", text) for text in ("", "[]", '{"files": []}', '{"options": 3}')),
        ("report.json", '{"options": {}, "title": "my report"}'),
        ("prepared.jsonl", "my lines\n"),
        ("prepared.jsonl", '{"id": 1, "text": "mine"}\n'),
        ("journal.part", "precious\n"),
        ("journal.part", "precious"),
        ("frames/zpWuikVorYg_000032.jpg", "my picture"),
        ("audio/zpWuikVorYg_000032.wav", "my sound"),
    ],
)
def test_files_of_others_are_left_alone(
    folder: Path, root: Path, name: str, text: str, force: bool
) -> None:
    (root / name).parent.mkdir(parents=True)
    (root / name).write_text(text)
    with pytest.raises(OutputError):
        run(folder, root, force=force)
    assert contents(root) == {name: text.encode()}


@pytest.mark.parametrize("force", [False, True])
def test_a_file_of_others_is_in_the_way_of_a_new_clip(
    folder: Path, root: Path, force: bool
) -> None:
    late = folder / "JIemsK_0lXc_000001.mp4"
    kept = late.read_bytes()
    late.unlink()
    run(folder, root)
    mine = root / "frames" / f"{late.stem}.jpg"
    mine.write_text("my picture")
    late.write_bytes(kept)
    before = contents(root)
    with pytest.raises(OutputError, match="in the way"):
        run(folder, root, force=force)
    assert contents(root) == before
    mine.rename(root / "mine.jpg")
    assert run(folder, root, force=force).failures == ()


def test_what_a_killed_run_or_a_crashed_worker_left_is_no_file_of_others(
    folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(
        videos: Sequence[Video], folder: Path, options: Options, root: Path, _: int | None
    ) -> Generator[tuple[Video, ExtractionResult], None, None]:
        for video in videos:
            (root / "frames" / f"{video.id}.jpg").write_text("half a clip")
            yield (
                video,
                Failure(video.id, video.source, video.size, "MediaError", "It ended. Try again."),
            )

    monkeypatch.setattr(run_module, "prepare_all", crash)
    assert len(run(folder, root).failures) == 3
    monkeypatch.setattr(run_module, "prepare_all", prepare_here)
    assert run(folder, root).failures == ()
    (root / "prepared.jsonl").unlink()  # as if killed before a line was written
    (root / "report.json").write_text(json.dumps({**report(root), "finished": False}))
    assert run(folder, root).unchanged == 0


def test_videos_may_lie_in_the_folder_itself(folder: Path) -> None:
    run(folder, folder)
    run(folder, folder)
    assert {path.stem for path in folder.glob("frames/*")} == set(IDS)


def test_halves_of_killed_runs_go_and_other_files_stay(folder: Path, root: Path) -> None:
    run(folder, root)
    before = contents(root)
    for name in ("", "frames", "audio"):
        leave_half(root / name)
    mine = ("notes.part", "frames/a.jpg.7.part", "audio/.tvsl-mine/notes.txt")
    for name in mine:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    run(folder, root)
    assert contents(root) == {**before, **dict.fromkeys(mine, b"")}


def test_nobody_else_writes_at_the_same_time(folder: Path, root: Path) -> None:
    root.mkdir(parents=True)
    place = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="Another run"):
            run(folder, root)
    finally:
        os.close(place)
    assert contents(root) == {}
    assert run(folder, root).found == 3


def test_an_interrupted_run_ends_where_another_ends(folder: Path, root: Path) -> None:
    def interrupt(done: int, _: int | None) -> None:
        if done == 2:
            raise KeyboardInterrupt

    (folder / "holiday.mp4").write_bytes(b"x")
    with pytest.raises(KeyboardInterrupt):
        run(folder, root, progress=interrupt)
    assert not list(root.rglob("*.part"))
    assert len((root / "prepared.jsonl").read_text().splitlines()) == 3
    assert report(root) == {"finished": False, "options": OPTIONS.to_dict()}
    assert run(folder, root).unchanged == 2
    fresh = root.with_name("fresh")
    run(folder, fresh)
    assert contents(root) == contents(fresh)


def test_a_list_decides_what_is_made_and_what_is_missing(folder: Path, root: Path) -> None:
    (folder / "holiday.mp4").write_bytes(b"x")
    made = run(folder, root, listed=[IDS[0], "goneAwayNow_000007"])
    assert (made.found, made.listed, made.missing) == (1, 2, ("goneAwayNow_000007",))
    assert made.failures == ()
    assert {path.stem for path in root.glob("*/*")} == {IDS[0]}
    assert report(root)["missing"] == ["goneAwayNow_000007"]
    # What other lists brought stays.
    made = run(folder, root, listed=[IDS[1]])
    assert made.unchanged == 0
    assert {path.stem for path in root.glob("*/*")} == {IDS[0], IDS[1]}
    assert len((root / "prepared.jsonl").read_text().splitlines()) == 2


def test_music_with_a_list_and_without(tmp_path: Path, root: Path) -> None:
    folder, options = tmp_path / "music", make_options("music")
    make_clip(folder / "solo/cello/1Ju4S0qeDqw.mp4", 2)
    run(folder, root, options, listed=["1Ju4S0qeDqw_001_00015"])
    run(folder, root, options, listed=["1Ju4S0qeDqw_000_00003"])
    frames = {f"1Ju4S0qeDqw_{n // 10:03d}_{n:05d}" for n in (3, 15)}
    assert {path.stem for path in root.glob("frames/*")} == frames
    assert {path.name for path in root.glob("audio/*")} == {"1Ju4S0qeDqw.wav"}
    run(folder, root, options)
    every = {f"1Ju4S0qeDqw_{n // 10:03d}_{n:05d}" for n in (0, 2, 4, 6, 10, 12, 14, 16)}
    assert {path.stem for path in root.glob("frames/*")} == every
    assert run(folder, root, options, listed=["1Ju4S0qeDqw_001_00014"]).unchanged == 1
