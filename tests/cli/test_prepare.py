from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest

from tests.cli.running import Ran, run
from tests.preprocess.videos import contents, make_broken, make_clip
from tvsl.cli.prepare import LayoutName
from tvsl.media import load_audio, load_image
from tvsl.preprocess.layouts import VIDEO_LAYOUTS

CLIPS = 30
SECONDS = 2
SECONDS_TO_WAIT = 60


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good videos, and one of each broken kind."""
    folder = tmp_path_factory.mktemp("videos")
    first = make_clip(folder / "goodvideo00_0.mp4", SECONDS).read_bytes()
    for number in range(1, CLIPS):
        (folder / f"goodvideo{number:02d}_{number}.mp4").write_bytes(first)
    make_broken(folder, 100)
    return folder


@pytest.fixture(scope="module")
def whole(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Result of an uninterrupted run."""
    root = tmp_path_factory.mktemp("whole") / "root"
    assert run(*arguments(videos, root)).code == 1
    return root


def arguments(videos: Path, root: Path, *more: str) -> list[str | Path]:
    return ["prepare", videos, "-o", root, "--layout", "vggsound", "--workers", "2", *more]


def started(videos: Path, root: Path, most_bytes: int | None = None) -> subprocess.Popen[str]:
    """The command in a process of its own, which may write no file larger than some."""

    def limit() -> None:
        # A shell starts what is in its background deaf to Ctrl-C, and with it these tests.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "tvsl", *(str(part) for part in arguments(videos, root))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def interrupted(videos: Path, root: Path, number: signal.Signals, after: int) -> Ran:
    """The command, which gets a signal as soon as some sounds are written."""
    process = started(videos, root)
    give_up = time.monotonic() + SECONDS_TO_WAIT
    while len(list(root.glob("audio/*.wav"))) < after and time.monotonic() < give_up:
        time.sleep(0.001)
    process.send_signal(number)
    out, err = process.communicate(timeout=SECONDS_TO_WAIT)
    return Ran(process.returncode, out, err)


def check_all_whole(root: Path) -> None:
    for path in root.rglob("*"):
        if path.suffix == ".jpg":
            assert load_image(path).shape == (48, 64, 3)
        elif path.suffix == ".wav":
            assert load_audio(path).duration == pytest.approx(SECONDS, abs=0.1)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        else:
            assert path.is_dir() or path.suffix in (".part", ".jsonl")


def test_clips_and_failures(videos: Path, whole: Path) -> None:
    ran = run(*arguments(videos, whole))
    assert ran.code == 1
    assert ran.out == f"{CLIPS + 5} videos: {CLIPS} there already, 5 failed -> {whole}\n"
    assert ran.err.count("tvsl: brokenvideo_10") == 5
    for words in ("has no sound", "has no video", "cut off", "broken or of no known", "0 bytes"):
        assert words in ran.err
    assert len(list(whole.glob("frames/*.jpg"))) == len(list(whole.glob("audio/*.wav"))) == CLIPS


def test_all_well(tmp_path: Path) -> None:
    make_clip(tmp_path / "videos/a/dog.mp4", 1)
    ran = run("prepare", tmp_path / "videos", "-o", tmp_path / "out", "--at", "0.3", "--window",
              "0.5", "--rate", "16000", "--short-side", "24", "--json")  # fmt: skip
    assert ran.code == 0
    assert ran.err == "Preparing clips: 1 of 1\n"
    report = json.loads(ran.out)
    assert report == json.loads((tmp_path / "out/report.json").read_text())
    assert report["options"] == {
        "layout": "folder", "at": 0.3, "window": 0.5, "rate": 16000, "short_side": 24
    }  # fmt: skip
    assert load_image(tmp_path / "out/frames/a__dog.jpg").shape == (24, 32, 3)
    assert load_audio(tmp_path / "out/audio/a__dog.wav", 16_000).samples.size == 8000


def test_a_list_is_told(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"goodvideo03_000003,dog\r\ngoneAwayNow_000001,cat\r\n")
    ran = run(*arguments(videos, tmp_path / "out", "--list", str(tmp_path / "list.csv")))
    assert ran.code == 0
    *lines, beside = ran.out.splitlines()
    assert lines == [
        f"1 video: 1 prepared -> {tmp_path / 'out'}",
        "2 ids listed: 1 found, 1 missing",
    ]
    assert beside.startswith("Not here: 'goneAwayNow_000001'; a video here: '")
    assert [path.stem for path in tmp_path.glob("out/frames/*")] == ["goodvideo03_000003"]


def test_killed_at_any_moment_it_ends_as_if_nothing_had_been(
    videos: Path, whole: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    for after in (1, 6, 12):
        ran = interrupted(videos, root, signal.SIGKILL, after)
        assert ran.code == -signal.SIGKILL
        check_all_whole(root)
        assert len(list(root.glob("audio/*.wav"))) < CLIPS
    ran = run(*arguments(videos, root))
    assert ran.code == 1
    assert "there already" in ran.out
    assert contents(root) == contents(whole)


def test_ctrl_c_ends_cleanly(videos: Path, whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    ran = interrupted(videos, root, signal.SIGINT, 2)
    assert ran.code == 130
    assert ran.out == ""
    assert ran.err == "tvsl: interrupted; the same command goes on from here.\n"
    check_all_whole(root)
    assert not list(root.rglob("*.part"))
    assert json.loads((root / "report.json").read_text())["finished"] is False
    assert run(*arguments(videos, root)).code == 1
    assert contents(root) == contents(whole)


def test_a_full_disk_ends_the_run(videos: Path, whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    with started(videos, root, most_bytes=50_000) as process:
        out, err = process.communicate(timeout=SECONDS_TO_WAIT)
    assert process.returncode == 1
    assert out == ""
    assert err.count("\n") == 1
    assert "cannot be written (File too large)" in err
    assert not list(root.rglob("*.jpg.*"))
    assert not list(root.rglob("*.wav*"))
    assert run(*arguments(videos, root)).code == 1
    assert contents(root) == contents(whole)


def test_a_place_that_cannot_be_written(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "root"):
        ran = run(*arguments(videos, root))
        assert ran.code == 1
        assert str(tmp_path / "file") in ran.err
        assert ran.err.count("\n") == 1
    assert (tmp_path / "file").read_bytes() == b""


def test_other_options_are_refused(videos: Path, whole: Path) -> None:
    before = contents(whole)
    ran = run(*arguments(videos, whole, "--rate", "16000"))
    assert ran.code == 1
    assert "rate was 44100" in ran.err
    assert "--force" in ran.err
    assert contents(whole) == before


@pytest.mark.parametrize(
    "options",
    [
        ("--layout", "imagenet"),
        ("--at", "noon"),
        ("--at", "-1"),
        ("--window", "0"),
        ("--window", "all"),
        ("--rate", "3"),
        ("--short-side", "0"),
        ("--workers", "0"),
        ("--layout", "music", "--at", "1"),
    ],
)
def test_wrong_usage_exits_with_2(videos: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    ran = run("prepare", videos, "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_a_folder_or_list_that_is_not_there(tmp_path: Path) -> None:
    for arguments in (("no",), (tmp_path, "--list", "no.csv")):
        ran = run("prepare", *arguments, "-o", tmp_path / "out")
        assert ran.code == 1
        assert "tvsl: no" in ran.err
        assert not (tmp_path / "out").exists()


def test_many_failures_are_told_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for number in range(25):
        (tmp_path / "videos" / f"{number:02d}.mp4").touch()
    ran = run("prepare", tmp_path / "videos", "-o", tmp_path / "out", "--layout", "vggsound")
    assert ran.code == 1
    assert ran.err.count("\n") == 21
    assert "and 5 more; see" in ran.err
    assert len(json.loads((tmp_path / "out/report.json").read_text())["failures"]) == 25


def test_layouts_and_help() -> None:
    assert list(get_args(LayoutName)) == list(VIDEO_LAYOUTS)
    ran = run("prepare", "--help")
    assert ran.code == 0
    for option in ("--layout", "--at", "--window", "--rate", "--short-side", "--list", "--force"):
        assert option in ran.out


def test_it_leaves_the_user_s_folder_alone(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that are started where a file is named like a module do not import it."""
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    ran = run(*arguments(videos, Path("out")))
    assert ran.code == 1
    assert len(list(Path("out/frames").iterdir())) == CLIPS


def test_force_loses_no_clip_and_says_what_stays(tmp_path: Path) -> None:
    folder, root = tmp_path / "videos", tmp_path / "root"
    for name in ("a", "b"):
        make_clip(folder / f"{name}.mp4", 1)
    command = ("prepare", folder, "-o", root, "--workers", "1")
    assert run(*command).code == 0
    before = contents(root)
    (folder / "a.mp4").write_bytes(b"broken")
    ran = run(*command, "--window", "0.5", "--force")
    assert ran.code == 1
    assert "1 prepared, 1 failed" in ran.out
    assert "an earlier run stay for 1 of those that failed, such as 'a'" in ran.out
    after = contents(root)
    assert after.keys() == before.keys()
    assert after["audio/a.wav"] == before["audio/a.wav"]
    assert after["audio/b.wav"] != before["audio/b.wav"]
