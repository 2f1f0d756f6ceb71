from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.preprocess.videos import make_broken, make_clip
from tvsl.errors import OutputError, TvslError
from tvsl.preprocess.finding import Video
from tvsl.preprocess.journal import Extracted, ExtractionResult
from tvsl.preprocess.options import Failure, make_options
from tvsl.preprocess.run import prepare_all
from tvsl.preprocess.worker import serve

# A worker that dies in the middle of some clips, as a process does that the system or a broken
# video kills.
DYING = """
import os, signal, sys
from tvsl.preprocess import worker
prepare = worker.prepare_video
def prepare_or_die(clip, *rest):
    if "killed" in clip:
        os.kill(os.getpid(), signal.SIGKILL)
    if "exits" in clip:
        os._exit(3)
    print("a library says hello")
    return prepare(clip, *rest)
worker.prepare_video = prepare_or_die
worker.main()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("frames", "audio"):
        (tmp_path / "root" / name).mkdir(parents=True)
    return tmp_path / "root"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    make_clip(folder / "a.mp4", 1)
    make_broken(folder)
    return folder


def use_worker(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other_worker.py").write_text(code)
    monkeypatch.setattr("tvsl.preprocess.run._MODULE", "other_worker")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def videos(*names: str, source: str = "a.mp4") -> list[Video]:
    return [Video(name, source, 1) for name in names]


def prepared(
    some: list[Video], folder: Path, root: Path, workers: int
) -> dict[str, ExtractionResult]:
    with closing(prepare_all(some, folder, make_options(), root, workers)) as results:
        return {video.id: result for video, result in results}


def test_all_videos_are_prepared_by_few_processes(folder: Path, root: Path) -> None:
    names = [f"clip{number}" for number in range(5)]
    some = [*videos(*names), *videos("broken", source="brokenvideo_3.mp4")]
    found = prepared(some, folder, root, 2)
    assert found.pop("broken") == Failure(
        "broken", "brokenvideo_3.mp4", 1, "UnreadableMediaError", found_error(folder)
    )
    assert found == {name: Extracted({name: 0.5}, found[name].window) for name in names}
    assert {path.stem for path in root.glob("*/*")} == set(names)


def found_error(folder: Path) -> str:
    from tvsl.errors import MediaError
    from tvsl.media import probe_video

    with pytest.raises(MediaError) as caught:
        probe_video(folder / "brokenvideo_3.mp4")
    return f"{caught.value.problem} {caught.value.remedy}"


def test_no_videos_start_no_process(folder: Path, root: Path) -> None:
    assert prepared([], folder, root, 2) == {}


def test_a_killed_process_costs_its_video_alone(
    folder: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_worker(DYING, tmp_path, monkeypatch)
    names = ["a", "killed1", "b", "exits", "c", "killed2", "d"]
    found = prepared(videos(*names), folder, root, 2)
    for name, words in {
        "killed1": "signal 9",
        "exits": "exit code 3",
        "killed2": "signal 9",
    }.items():
        result = found.pop(name)
        assert isinstance(result, Failure)
        assert words in result.error
    assert sorted(found) == ["a", "b", "c", "d"]
    assert all(isinstance(result, Extracted) for result in found.values())


def test_a_process_that_cannot_start_ends_the_run(
    folder: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_worker("raise SystemExit(7)", tmp_path, monkeypatch)
    with pytest.raises(TvslError, match="exit code 7"):
        prepared(videos("a", "b", "c"), folder, root, 2)


def test_a_place_that_cannot_be_written_ends_the_run(folder: Path, root: Path) -> None:
    (root / "audio").rmdir()
    with pytest.raises(OutputError, match="cannot be written"):
        prepared(videos("a", "b", "c"), folder, root, 2)


def test_leaving_early_ends_the_processes(
    folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    results = prepare_all(
        videos(*(f"clip{number}" for number in range(50))), folder, make_options(), root, 2
    )
    next(results)
    assert any(process.poll() is None for process in started)
    results.close()
    assert 1 <= len(started) <= 2
    assert all(process.poll() is not None for process in started)
    assert len(list((root / "audio").glob("*.wav"))) < 50


def test_a_process_ends_with_its_parent(tmp_path: Path) -> None:
    """Its input ends when the parent does, however that ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "tvsl.preprocess.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        options = json.dumps(make_options().to_dict())
        setup = f'{{"root": "{tmp_path}", "options": {options}}}\n'
        out, err = process.communicate(setup.encode(), timeout=60)
    assert (process.returncode, out, err) == (0, b'{"ready": true}\n', b"")


@pytest.mark.parametrize("told", ["", '{"root": "/x", "opt'])
def test_a_process_whose_parent_was_killed_at_once_is_quiet(told: str) -> None:
    answers = io.StringIO()
    serve(io.StringIO(told), answers)
    assert answers.getvalue() == ""


def test_a_request_that_was_cut_off_ends_the_process(tmp_path: Path) -> None:
    options = json.dumps(make_options().to_dict())
    answers = io.StringIO()
    serve(io.StringIO(f'{{"root": "{tmp_path}", "options": {options}}}\n{{"clip": "a'), answers)
    assert answers.getvalue() == '{"ready": true}\n'


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("tvsl.preprocess.run", ("numpy", "av", "PIL", "torch", "pydantic")),
        ("tvsl.preprocess.worker", ("torch", "scipy", "pydantic")),
    ],
)
def test_starting_loads_little(module: str, heavy: tuple[str, ...]) -> None:
    """Modules that every process loads take longer than a short video."""
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
