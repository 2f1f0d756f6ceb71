"""Outputs of `tvsl localize`, and the inputs that it takes."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.cli.running import Ran, run, run_alone, written
from tests.html.html_page import Page, check_policy, check_self_contained
from tests.localization_schema import MOMENT, check_schema, problem_of
from tests.media.media_makers import make_video
from tests.small_model import RATE, tone
from tvsl.cli.inputs import given_inputs
from tvsl.cli.text_formats import as_csv, as_srt, as_vtt
from tvsl.errors import OutputError, UnreadableMediaError
from tvsl.localization import Localization

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def duet(checkpoint: Path, media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a video in all forms but the page."""
    out = tmp_path_factory.mktemp("duet") / "out"
    ran = localize(
        checkpoint,
        out,
        media / "clip.mp4",
        "--outputs",
        "sheet",
        "--format",
        "jsonl",
        "--start",
        "1",
    )
    assert ran.code == 0, ran.err
    return out


def localize(checkpoint: Path, out: Path | str, *arguments: str | Path) -> Ran:
    options = ("--model", checkpoint, "--labels", "dog barking,train")
    return run("localize", *arguments, *options, "-o", out)


def content_of(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "localization.json").read_text())
    check_schema(content)
    return content


def test_only_what_is_chosen_is_written(duet: Path) -> None:
    assert {Path(name).stem for name in written(duet)} == {"localization", "contact_sheet"}
    assert len(written(duet)) == 3


def test_a_page_comes_by_default(checkpoint: Path, media: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert localize(checkpoint, out, media / "photo.png", "--audio", media / "bark.wav").code == 0
    assert written(out) == {"index.html", "localization.json"}
    text = (out / "index.html").read_text()
    page = Page(text)
    check_self_contained(page, text)
    check_policy(page)
    assert "tvsl localize" in page.texts["pre"][0]
    assert len(page.all("audio")) == 1
    assert localize(checkpoint, out, media / "clip.mp4", "--force").code == 0
    assert written(out) == {"index.html", "localization.json", "overlay.mp4"}
    assert len(Page((out / "index.html").read_text()).all("video")) == 1
    assert localize(checkpoint, out, media / "clip.mp4", "--at", "1", "--force").code == 0
    assert written(out) == {"index.html", "localization.json"}
    assert len(Page((out / "index.html").read_text()).all("audio")) == 1


def test_a_large_video_lies_beside_the_page(
    checkpoint: Path, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("tvsl.html.localization", "tvsl.cli.page_writer"):
        monkeypatch.setattr(f"{module}.LARGEST_VIDEO", 100)
    ran = localize(checkpoint, tmp_path / "out", media / "clip.mp4", "--outputs", "page")
    assert ran.code == 0
    assert written(tmp_path / "out") == {"index.html", "localization.json", "clip.mp4"}
    assert content_of(tmp_path / "out")["files"] == ["clip.mp4", "index.html"]


def test_json_lines_are_the_moments(duet: Path) -> None:
    content = content_of(duet)
    lines = (duet / "localization.jsonl").read_text().splitlines()
    moments = [json.loads(line) for line in lines]
    assert {moment.pop("input") for moment in moments} == {content["input"]}
    assert moments == content["moments"]


def test_a_series_begins_at_the_start(duet: Path) -> None:
    assert [found.time for found in Localization.load(duet / "localization.json")] == [1.0, 2.0]


def test_start_and_end_cut_moments_and_video(checkpoint: Path, media: Path, tmp_path: Path) -> None:
    options = ("--start", "0.5", "--end", "2", "--every", "0.5", "--outputs", "video")
    assert localize(checkpoint, tmp_path / "out", media / "clip.mp4", *options).code == 0
    moments = Localization.load(tmp_path / "out" / "localization.json")
    assert [found.time for found in moments] == [0.5, 1.0, 1.5]
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as container:
        sounds = list(container.decode(audio=0))
    assert times[0] == pytest.approx(0, abs=0.05)
    assert times[-1] == pytest.approx(1.4, abs=0.05)
    content = json.loads((tmp_path / "out" / "localization.json").read_text())
    assert {one["start"] for one in content["segments"]} == {0.5}
    assert max(one["end"] for one in content["segments"]) == 1.75
    heard = sum(sound.samples for sound in sounds) / sounds[0].sample_rate
    assert heard == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("stretch", [("0", "0.00002"), ("1", "1.00002")])
@pytest.mark.parametrize("labels", [(), ("--labels", "dog")])
def test_of_a_tiny_stretch_there_is_the_moment_at_its_start(
    checkpoint: Path,
    media: Path,
    tmp_path: Path,
    stretch: tuple[str, str],
    labels: tuple[str, ...],
) -> None:
    start, end = stretch
    options = ("--start", start, "--end", end, *labels)
    ran = localize(checkpoint, tmp_path / "out", media / "clip.mp4", *options)
    assert ran.code == 0, ran.err
    (found,) = Localization.load(tmp_path / "out" / "localization.json")
    assert found.time == float(start)
    assert {"index.html", "overlay.mp4"} <= written(tmp_path / "out")


def test_a_start_behind_the_end_of_the_video_is_one_line(
    checkpoint: Path, media: Path, tmp_path: Path
) -> None:
    ran = localize(checkpoint, tmp_path / "out", media / "clip.mp4", "--start", "9")
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_one_moment_writes_no_video_unless_asked(
    checkpoint: Path, media: Path, tmp_path: Path
) -> None:
    assert localize(checkpoint, tmp_path / "out", media / "clip.mp4", "--at", "1").code == 0
    assert "overlay.mp4" not in written(tmp_path / "out")
    ran = localize(
        checkpoint,
        tmp_path / "out",
        media / "clip.mp4",
        "--at",
        "1",
        "--outputs",
        "video",
        "--force",
    )
    assert ran.code == 0
    assert written(tmp_path / "out") == {"overlay.mp4", "localization.json"}


def test_lines_are_printed_while_the_work_goes_on(checkpoint: Path, media: Path) -> None:
    """The first line can be read while the command runs."""
    command = [str(Path(sys.executable).with_name("tvsl")), "localize", media / "clip.mp4"]
    options = ["--model", checkpoint, "--labels", "dog", "--format", "jsonl", "-o", "-"]
    with subprocess.Popen(
        [*command, "--every", "0.1", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        was_running = running.poll() is None
        rest = running.stdout.read().decode().splitlines()
    assert was_running
    assert first["time"] == 0
    assert len(rest) == 29
    assert problem_of({k: v for k, v in first.items() if k != "input"}, MOMENT) is None


def test_without_a_folder_nothing_is_written(
    checkpoint: Path, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = (media / "clip.mp4", media / "hushed.mp4", media / "clip.mp4")
    ran = localize(checkpoint, "-", *inputs, "--every", "2", "--format", "csv")
    assert ran.code == 1
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert len(rows) == 8
    assert {row["input"] for row in rows} == {str(media / "clip.mp4")}
    assert "File 3 of 3" in ran.err
    assert written(tmp_path) <= {name for name in written(tmp_path) if name.startswith("home")}
    refused = localize(checkpoint, "-", media / "clip.mp4", "--outputs", "video")
    assert refused.code == 2
    assert "--outputs" in refused.err


def test_a_result_too_large_to_be_read_again_is_kept_and_said_to_be_so(
    checkpoint: Path, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvsl.localization_format.LARGEST_FILE", 1000)
    monkeypatch.setattr("tvsl.cli.output.LARGEST_LIST", 1000)
    out = tmp_path / "out"
    for force in ((), ("--force",)):
        options = ("--at", "1", "--outputs", "json", *force)
        ran = localize(checkpoint, out, media / "clip.mp4", *options)
        assert ran.code == 0, ran.err
        assert f"{out / 'localization.json'} has more than" in ran.err
        assert "--every" in ran.err
    with pytest.raises(UnreadableMediaError, match="too large") as caught:
        Localization.load(out / "localization.json")
    assert "--every" in caught.value.remedy


def test_a_folder_is_searched(checkpoint: Path, media: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    (videos / "deep" / "er").mkdir(parents=True)
    (videos / ".hidden").mkdir()
    clip = (media / "clip.mp4").read_bytes()
    for name in ("b.MP4", "deep/er/a.mp4", ".hidden/c.mp4", ".d.mp4", "notes.txt"):
        (videos / name).write_bytes(clip)
    (videos / "deep" / "broken.mkv").write_bytes(b"no video")
    out = videos / "found"
    for force in ((), ("--force",)):  # the results of the first run are no inputs of the second
        ran = localize(checkpoint, out, videos, "--at", "1", *force)
        assert ran.code == 1
        assert "broken.mkv" in ran.err
        assert re.search(r"(?s)File 1 of 2: \S*b\.MP4\n.*File 2 of 2: \S*a\.mp4, about ", ran.err)
        places = {path.parent.relative_to(out) for path in out.rglob("localization.json")}
        assert places == {Path("b"), Path("deep/er/a")}
    assert content_of(out / "b")["input"] == str(videos / "b.MP4")


def test_earlier_results_in_a_searched_folder_are_no_inputs(
    checkpoint: Path, media: Path, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    (videos / "deep").mkdir(parents=True)
    for name in ("a.mp4", "deep/b.mp4"):
        shutil.copy(media / "clip.mp4", videos / name)
    options = ("--at", "1", "--outputs", "video")
    for out, force, left_out in (
        (videos, (), None),
        (videos, ("--force",), "2 folders"),
        (videos / "again", (), "2 folders"),
    ):
        ran = localize(checkpoint, out, videos, *options, *force)
        assert ran.code == 0, ran.err
        assert "File 2 of 2" in ran.err
        assert (f"{left_out} with earlier results left out" in ran.err) == bool(left_out)
        places = {path.parent.relative_to(out) for path in out.rglob("overlay.mp4")}
        assert places == {Path("a"), Path("deep/b")} or out == videos
    assert {path.name for path in videos.iterdir()} == {"a", "a.mp4", "again", "deep"}
    ran = localize(checkpoint, tmp_path / "out", videos / "a")
    assert ran.code == 1
    assert "earlier results" in ran.err


def test_only_what_was_written_is_left_out_of_a_folder_that_is_named(tmp_path: Path) -> None:
    record = {"version": 1, "tvsl": "1", "files": ["overlay.mp4"], "moments": []}
    (tmp_path / "localization.json").write_text(json.dumps(record))
    for name in ("overlay.mp4", "mine.mp4"):
        (tmp_path / name).touch()
    with given_inputs([tmp_path], None, pictures=False) as found:
        assert [one.path for one in found.files] == [tmp_path / "mine.mp4"]
        assert found.left_out == [tmp_path]
    (tmp_path / "localization.json").write_text('{"mine": 1}')
    with given_inputs([tmp_path], None, pictures=False) as found:
        assert len(found.files) == 2
        assert found.left_out == []


def test_a_folder_without_videos_is_an_error(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = localize(checkpoint, tmp_path / "out", tmp_path / "empty")
    assert ran.code == 1
    assert "holds no video" in ran.err


def test_the_standard_input_is_a_video(checkpoint: Path, media: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("tvsl")), "localize", "-", "--at", "1"]
    with (media / "clip.mp4").open("rb") as stream:
        ran = subprocess.run(
            [*command, "--labels", "dog", "--model", checkpoint, "-o", tmp_path / "out"],
            stdin=stream,
            capture_output=True,
            timeout=300,
        )
    assert ran.returncode == 0, ran.stderr
    assert content_of(tmp_path / "out")["input"] == "-"


def test_only_the_standard_input_needs_a_temporary_folder(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.mkdtemp", fail)
    with given_inputs([media / "clip.mp4"], None, pictures=False) as found:
        assert [one.path for one in found.files] == [media / "clip.mp4"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("not a terminal"))
    with (
        pytest.raises(OutputError, match="standard input cannot be stored"),
        given_inputs([Path("-")], None, pictures=False),
    ):
        pytest.fail("it was stored")


def test_smoothing_is_recorded_and_changes_maps(
    checkpoint: Path, media: Path, tmp_path: Path
) -> None:
    plain = make_video(tmp_path / "a.mp4", count=30, rate=10, sound=tone(3.0, RATE))
    for name, options in (("plain", ()), ("smooth", ("--smooth", "4"))):
        assert localize(checkpoint, tmp_path / name, plain, "--outputs", "json", *options).code == 0
    assert content_of(tmp_path / "smooth")["settings"]["smooth"] == 4  # type: ignore[index]
    maps = [
        Localization.load(tmp_path / name / "localization.json")[1].sources[0].grid
        for name in ("plain", "smooth")
    ]
    assert abs(maps[0] - maps[1]).max() > 0


# Text formats

CONTENT = {
    "input": "=clip.mp4",
    "moments": [
        {
            "time": 3661.5,
            "width": 200,
            "height": 100,
            "sources": [
                {
                    "label": "dog <b>, big",
                    "score": 0.5,
                    "box": [20, 10, 60, 30],
                    "time_range": None,
                    "duplicate_of": None,
                }
            ],
        }
    ],
    "segments": [
        {
            "label": "dog <b>\n--> big",
            "start": 3661.5,
            "end": 3662.0,
            "box": [20, 10, 60, 30],
            "duplicate_of": None,
        },
        {"label": "cat", "start": 0.0, "end": 1.0, "box": None, "duplicate_of": "dog"},
        {"label": "cow", "start": 1.0, "end": 1.0, "box": None, "duplicate_of": None},
    ],
}


def test_vtt_has_a_cue_for_each_segment() -> None:
    assert as_vtt(CONTENT) == (
        "WEBVTT\n"
        "\n01:01:01.500 --> 01:01:02.000 position:20% line:20% align:center\n"
        "dog &lt;b&gt; --&gt; big\n"
        "\n00:00:01.000 --> 00:00:01.001\ncow\n"
    )


def test_srt_counts_its_cues() -> None:
    assert as_srt(CONTENT) == (
        "1\n01:01:01,500 --> 01:01:02,000\ndog <b> --> big\n"
        "\n2\n00:00:01,000 --> 00:00:01,001\ncow\n"
    )


def test_csv_guards_its_cells() -> None:
    (row,) = csv.DictReader(io.StringIO(as_csv(CONTENT)))
    assert row["input"] == "'=clip.mp4"
    assert (row["label"], row["left"], row["bottom"]) == ("dog <b>, big", "20", "30")
    assert row["heard_start"] == ""
    assert len(as_csv(CONTENT, with_head=False).splitlines()) == 1


def test_a_subtitle_is_read_by_ffmpeg(duet: Path, tmp_path: Path) -> None:
    content = json.loads((duet / "localization.json").read_text())
    for form, text in (("webvtt", as_vtt(content)), ("srt", as_srt(content))):
        path = tmp_path / f"a.{form}"
        path.write_text(text)
        with av.open(str(path), format=form) as container:
            cues = [packet for packet in container.demux() if packet.size]
        assert len(cues) == len([s for s in content["segments"] if s["duplicate_of"] is None])


def test_help_names_the_forms(checkpoint: Path) -> None:
    ran = run_alone("localize", "--help")
    assert ran.code == 0
    for word in ("jsonl", "vtt", "--outputs", "--smooth"):
        assert word in ran.out


def test_the_page_is_opened(checkpoint: Path, media: Path, tmp_path: Path, opened: Path) -> None:
    given = (media / "photo.png", "--audio", media / "bark.wav", "--open")
    ran = localize(checkpoint, tmp_path / "out", *given)
    assert ran.code == 0, ran.err
    assert opened.read_text().split() == [(tmp_path / "out" / "index.html").as_uri()]
    ran = localize(checkpoint, tmp_path / "two", media / "photo.png", *given)
    assert "one page of 2" in ran.err
    assert len(opened.read_text().split()) == 2


def test_where_there_is_no_browser_the_page_s_place_is_told(
    checkpoint: Path, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    given = (media / "photo.png", "--audio", media / "bark.wav", "--open")
    ran = localize(checkpoint, tmp_path / "out", *given)
    assert ran.code == 0
    assert f"no browser was found here; open {tmp_path / 'out' / 'index.html'}" in ran.err


@pytest.mark.parametrize("options", [("-o", "-"), ("-o", "out", "--outputs", "sheet")])
def test_without_a_page_none_is_opened(options: tuple[str, ...], media: Path) -> None:
    ran = run("localize", media / "clip.mp4", "--open", *options)
    assert ran.code == 2
    assert "--open" in ran.err
