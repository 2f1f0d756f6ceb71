"""The real worker with a small model: results, errors and limits, over its pipes."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.localization_schema import check_schema
from tests.media.media_makers import make_sound, make_video
from tests.small_model import RATE, tone, write_picture, write_small_checkpoint
from tvsl.errors import MediaError, UsageError, VocabularyError
from tvsl.localization import SoundSource
from tvsl.serve.jobs import WORKER
from tvsl.serve.schemas import FoundSource
from tvsl.serve.worker import LARGEST_FILE, Worker, described, summary
from tvsl.vocabularies import split_names


class Pipe:
    """A worker, asked by lines."""

    def __init__(self, root: Path, model: str, **limits: float) -> None:
        self.process = subprocess.Popen(
            WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        setup = {
            "root": str(root),
            "started_in": str(Path.cwd()),
            "model": {"name_or_path": model, "device": "cpu"},
        }
        self.send({**setup, "max_media_seconds": 5, "max_upload": 10_000_000, **limits})

    def send(self, content: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(content).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> tuple[dict[str, Any], list[str]]:
        """The answer, and the titles of the stages before it."""
        assert self.process.stdout is not None
        stages = []
        while "stage" in (said := json.loads(self.process.stdout.readline())):
            stages.append(said["stage"])
        return said, stages


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tvsl-serve-root")


@pytest.fixture(scope="module")
def worker(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    pipe = Pipe(root, str(write_small_checkpoint(tmp_path_factory.mktemp("model"))))
    assert pipe.answer()[0] == {"ready": True}
    yield pipe
    pipe.process.kill()
    pipe.process.wait()


def job(folder: Path, output: Path, **given: object) -> dict[str, object]:
    files = {"video": "clip.mp4"}
    usual = {"folder": str(folder), "output": str(output), "files": files}
    return {**usual, "labels": ["dog barking", "train"], "sources": None, "every": None, **given}


@pytest.mark.slow
def test_a_video(worker: Pipe, tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", count=20, rate=10, sound=tone(2.0))
    out = tmp_path / "out"
    worker.send(job(tmp_path, out, every=0.5))
    said, stages = worker.answer()
    assert set(said["result"]) == {"found", "notices"}
    assert {one["label"] for one in said["result"]["found"]} == {"dog barking", "train"}
    assert {path.name for path in out.iterdir()} == {
        "index.html",
        "localization.json",
        "overlay.mp4",
    }
    assert stages[0] == "Reading the files"
    assert "Localizing clip.mp4" in stages
    text = (out / "localization.json").read_text()
    content = json.loads(text)
    check_schema(content)
    assert content["input"] == "clip.mp4"
    assert content["settings"]["every"] == 0.5
    page = (out / "index.html").read_text()
    assert str(tmp_path) not in text + page
    assert "--labels=dog barking,train" in page.replace("&#39;", "'")


@pytest.mark.slow
def test_a_picture_and_its_sound(worker: Pipe, tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    make_sound(tmp_path / "b.wav", tone(), RATE)
    out = tmp_path / "out"
    files = {"picture": "a.png", "sound": "b.wav"}
    worker.send(job(tmp_path, out, files=files, every=2.0))
    found = worker.answer()[0]["result"]["found"]
    assert {path.name for path in out.iterdir()} == {"index.html", "localization.json"}
    content = json.loads((out / "localization.json").read_text())
    # As the fields' texts have it: the heard sound, also of a picture.
    (moment,) = content["moments"]
    start, end = moment["sources"][0]["time_range"]
    assert end > start
    assert {one["seconds"] for one in found} == {round(end - start, 2)}
    assert "0 for" not in str(FoundSource.model_fields["seconds"].description)
    assert "None for a picture" not in str(SoundSource.__doc__)
    assert (content["input"], content["audio"]) == ("a.png", "b.wav")


def test_what_cannot_be_used_is_told_without_places(worker: Pipe, tmp_path: Path) -> None:
    (tmp_path / "junk.mp4").write_bytes(b"no video" * 200)
    (tmp_path / "empty.mp4").touch()
    make_video(tmp_path / "long.mp4", count=13, rate=2, sound=tone(6.5))
    make_video(tmp_path / "mute.mp4", count=5)
    write_picture(tmp_path / "a.png")
    make_sound(tmp_path / "long.wav", tone(6.0), RATE)
    for files, code, part in (
        ({"video": "junk.mp4"}, "unreadable", "junk.mp4"),
        ({"video": "empty.mp4"}, "failed", "empty"),
        ({"video": "long.mp4"}, "over_limit", "6.5 seconds, 5 are allowed"),
        ({"video": "mute.mp4"}, "failed", "mute.mp4"),
        ({"video": "a.png"}, "wrong_options", "picture"),
        ({"picture": "a.png", "sound": "long.wav"}, "over_limit", "6.0 seconds, 5 are allowed"),
        ({"picture": "long.mp4", "sound": "long.wav"}, "over_limit", "seconds"),
    ):
        worker.send(job(tmp_path, tmp_path / "out", files=files))
        failed = worker.answer()[0]["failed"]
        assert part in failed["problem"]
        assert str(tmp_path) not in failed["problem"] + failed["remedy"]
        assert failed["code"] == code, failed
        assert not (tmp_path / "out").exists()


def test_it_ends_with_its_service_and_removes_what_that_left(tmp_path: Path) -> None:
    root = tmp_path / "tvsl-serve-killed"
    root.mkdir()
    (root / "tvsl-serve.lock").touch()
    (root / "private.mp4").write_text("private")
    pipe = Pipe(root, "no-such-model")
    assert pipe.process.stdin is not None
    pipe.process.stdin.close()
    assert pipe.process.wait(60) == 0
    assert not root.exists()


def test_a_folder_that_is_no_service_s_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    pipe = Pipe(tmp_path, "no-such-model")
    assert pipe.process.stdin is not None
    pipe.process.stdin.close()
    pipe.process.wait(60)
    assert (tmp_path / "precious").exists()


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    pipe = Pipe(tmp_path, "no-such-model")
    assert "no-such-model" in pipe.answer()[0]["failed"]["problem"]
    assert pipe.process.wait(60) == 0


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        ({"name_or_path": "everyday"}, ["dog", "train"]),
        ({"name_or_path": "my models/m", "precision": "auto", "head": "h"}, ["dog, barking"]),
        ({"name_or_path": "mini", "method": "my.py:Mine"}, ["a, b", "c"]),
        ({"name_or_path": "mini", "flip_average": "turn", "precision": "float32"}, None),
    ],
)
def test_the_command_of_the_page_gives_the_same_result(
    model: dict[str, str], labels: list[str] | None
) -> None:
    worker = Worker.__new__(Worker)  # what it loads is another matter
    worker._model = {"head": None, "device": "cpu", **model}
    given = {"labels": labels, "sources": None if labels else 2, "every": 0.5}
    options = worker._options(given, Path("a b.mp4"), None)
    words = shlex.split(options.command)
    assert words[:2] == ["tvsl", "localize"]
    assert words[-2:] == ["--", "a b.mp4"]
    found = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    assert (split_names([found.pop("labels")]) if labels else None) == labels
    assert float(found.pop("every")) == 0.5
    assert found.pop("sources", None) == (None if labels else "2")
    assert found.pop("model") == model["name_or_path"]
    wanted = {name.replace("_", "-"): value for name, value in model.items()}
    assert found == {name: value for name, value in wanted.items() if name != "name-or-path"}


def test_errors_have_codes() -> None:
    path = Path("/private/place/a.mp4")
    assert described(UsageError("P.", "R."))["code"] == "wrong_options"
    assert described(VocabularyError("P.", "R."))["code"] == "wrong_labels"
    told = described(MediaError("It is\nbroken.", "R.", path))
    assert told["problem"].startswith("a.mp4: It is")
    assert "private" not in json.dumps(told)
    assert "\n" not in told["problem"]


def test_a_summary_adds_segments_up() -> None:
    def segment(label: str, start: float, end: float, peak: float) -> dict[str, Any]:
        return {"label": label, "start": start, "end": end, "peak": peak}

    segments = [segment("dog", 0, 1, 0.2), segment("cat", 0, 4, 0.9), segment("dog", 3, 5.5, 0.4)]
    found = summary({"segments": segments, "notices": ["n" * 5_000], "warnings": []})
    assert found["found"] == [
        {"label": "dog", "seconds": 3.5, "peak": 0.4},
        {"label": "cat", "seconds": 4, "peak": 0.9},
    ]
    assert len(found["notices"][0]) == 1_000


def test_a_job_fills_no_disk_and_leaves_no_core(worker: Pipe) -> None:
    limits = Path(f"/proc/{worker.process.pid}/limits").read_text().splitlines()
    found = {line[:25].strip(): line[25:].split()[0] for line in limits}
    assert found["Max core file size"] == "0"
    assert int(found["Max file size"]) == LARGEST_FILE
