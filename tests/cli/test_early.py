"""Errors that can be known before the expensive work come before it: no weights can be loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from tests.cli.running import run
from tests.reproduce.test_benchmark_files import write_folder
from tvsl.audioclip.tokenizer import build_word_tokenizer
from tvsl.cli.reproduce import Scale
from tvsl.data import find_data
from tvsl.data.files import FileClips
from tvsl.data.folder import FolderData
from tvsl.data.synthetic import SyntheticData
from tvsl.errors import MissingFileError
from tvsl.evaluation.predict import evaluation_config
from tvsl.evaluation.record import known_record
from tvsl.evaluation.result_cache import BatchResult, ResultCache
from tvsl.methods.base import Method
from tvsl.methods.tvsl import TVSL
from tvsl.reproduce.figures import SHEETS
from tvsl.reproduce.specs import PRESETS
from tvsl.reproduce.tables import TABLES
from tvsl.reproduce.targets import SHEET_NAMES, TABLE_NAMES


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise AssertionError("weights are loaded")

    monkeypatch.setattr("tvsl.audioclip.encoder.load_audioclip", load)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("clip.mp4", "--labels", "red square,dog barking"), 2, "'barking'"),
        (("clip.mp4", "--vocabulary", "names.txt"), 2, "'dog'"),
        (("clip.mp4", "--labels", "red  square,Red square"), 2, "twice"),
        (("clip.mp4", "--method", "centre"), 2, "cannot detect"),
        (("clip.mp4", "--method", "ez-vsl"), 2, "without a trained head"),
        (("clip.mp4", "--method", "nonsense"), 2, "nonsense"),
        (("clip.mp4", "--preset", "nonsense"), 2, "nonsense"),
        (("clip.mp4", "--preset", "paper", "--method", "tvsl"), 2, "preset"),
        (("clip.mp4", "--head", "missing"), 1, "missing"),
        (("clip.mp4", "--device", "cuda:77"), 2, "cuda:77"),
        (("clip.mp4", "--at", "99"), 1, "3.000 s"),
        (("clip.mp4", "--at", "1", "--audio-stream"), 2, "a series"),
        (("photo.png", "--audio", "bark.wav", "--audio-stream"), 2, "--audio-stream"),
        (("clip.mp4", "--panels", "7"), 2, "7 equal panels"),
        (("mute.mp4",), 1, "no sound"),
        (("junk.mp4",), 1, "junk.mp4"),
        (("photo.png", "--audio", "bark.wav", "--panels", "7"), 2, "7 equal panels"),
        (("photo.png", "--audio", "silent.wav", "--labels", "red square"), 1, "silent"),
        (("photo.png", "--audio", "junk.mp4"), 1, "junk.mp4"),
        (("photo.png", "--audio", "photo.png"), 1, "photo.png"),
    ],
)
def test_localize(
    options: tuple[str, ...],
    code: int,
    says: str,
    media: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "names.txt").write_text("dog\n")
    names = {path.name: path for path in (*media.iterdir(), tmp_path / "names.txt")}
    words = [names.get(word, word) for word in options]
    monkeypatch.chdir(tmp_path)
    ran = run("localize", *words, "--model", "mini", "-o", "out")
    assert (ran.code, ran.err.count("\n")) == (code, 1), ran.err
    assert says in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("codec", ["nonsense", "dnxhd"])  # unknown, and one that mp4 does not hold
def test_the_video_cannot_be_encoded(
    codec: str, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvsl.render.video.X264", codec)
    monkeypatch.setattr("tvsl.render.video.has_encoder", lambda name: name == codec)
    ran = run("localize", media / "clip.mp4", "--model", "mini", "-o", tmp_path / "out")
    assert (ran.code, ran.err.count("\n")) == (1, 1), ran.err
    assert "clip.mp4" in ran.err
    assert "FFmpeg" in ran.err


@pytest.mark.parametrize(
    "command",
    [
        ("train",),
        ("demo",),
        ("evaluate", "--option", "count=2"),
        ("reproduce", "table1", "--scale", "quick", "--processes", "1"),
    ],
)
def test_the_model_has_no_words_for_the_data(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = build_word_tokenizer(["dog", "cat"], 20)
    monkeypatch.setattr("tvsl.audioclip.encoder.known_tokenizer", lambda _: strange)
    ran = run(*command, "-o", tmp_path / "out", "--model", "mini")
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert "does not know the words" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_class_of_the_data_is_not_in_the_vocabulary(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("red star\nred ring\n")
    ran = run("evaluate", "-o", tmp_path / "out", "--option", "count=20", "--vocabulary", names)
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert "Not in the vocabulary" in ran.err


def test_a_method_that_cannot_detect_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SyntheticData, "read", None)
    monkeypatch.setattr(TVSL, "detect", Method.detect)
    options = ("--label-source", "detected", "--option", "count=2")
    ran = run("evaluate", "-o", tmp_path / "out", *options)
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert "'tvsl' cannot detect" in ran.err
    assert not (tmp_path / "out").exists()


def test_labels_that_nobody_gave_are_to_be_given(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", ("test",), 2)
    lines = [json.loads(line) for line in (root / "manifest.jsonl").read_text().splitlines()]
    bare = [{**line, "labels": [], "boxes": next(iter(line["boxes"].values()))} for line in lines]
    (root / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in bare))
    options = ("--data", "folder", "--root", root, "--label-source", "given")
    ran = run("evaluate", "-o", tmp_path / "out", *options)
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert "no class labels" in ran.err
    assert not (tmp_path / "out").exists()


def test_another_evaluation_is_in_the_folder(tmp_path: Path) -> None:
    options = evaluation_config()
    record = known_record(find_data("synthetic", count=2, sources=2), options)
    files = ResultCache(tmp_path)
    files.begin(record, force=False)
    with files.writer(0) as writer:
        writer.write(BatchResult(batch=0, failures={}, items=[0], sounding=[True]))
    ran = run("evaluate", "-o", tmp_path, "--option", "count=2", "--option", "sources=3")
    assert (ran.code, ran.err.count("\n")) == (1, 1), ran.err
    assert "holds another evaluation" in ran.err


@pytest.mark.parametrize(
    ("command", "split"),
    [
        (("train", "--clips", "4"), "train"),
        (("train", "--clips", "4"), "validation"),
        (("reproduce", "table1", "--scale", "quick"), "train"),
        (("reproduce", "table1", "--scale", "quick"), "validation"),
        (("reproduce", "table1", "--scale", "quick"), "test"),
        (("reproduce", "figure3", "--scale", "quick"), "test"),
    ],
    ids=str,
)
def test_a_file_of_the_data_is_missing(
    command: tuple[str, ...], split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folder(tmp_path / "data", ("train", "validation", "test"), 4)
    for path in root.glob(f"{split}-*.wav"):
        path.unlink()
    monkeypatch.setattr(FolderData, "read", None)
    fixed = ("--data", "folder", "--root", root, "--option", "window=1", "--model", "mini")
    ran = run(*command, *fixed, "-o", tmp_path / "out")
    assert (ran.code, ran.err.count("tvsl: ")) == (1, 1), ran.err
    assert f"{split}-" in ran.err
    assert "missing" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_clip_that_takes_the_place_of_one_for_validation_is_missing(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", ("train",), 4)
    data = find_data("folder", root=root, split="train", window=1.0)
    clips = data.clips(4, 0)
    assert isinstance(clips, FileClips)
    others = clips.without({clips.chosen[0].id})
    late = next(item for item in others.chosen if item not in clips.chosen)
    clips.require_files()
    others.require_files()
    late.sounds[0].unlink()
    clips.require_files()
    with pytest.raises(MissingFileError) as caught:
        others.require_files()
    assert caught.value.path == late.sounds[0]


@pytest.mark.parametrize("codec", ["nonsense", "dnxhd"])
def test_no_videos_of_scenes_can_be_encoded(
    codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvsl.media.writing.X264", codec)
    monkeypatch.setattr("tvsl.media.writing.has_encoder", lambda name: name == codec)
    monkeypatch.setattr("tvsl.synthetic.export._write_scene", None)
    ran = run("synthetic", "export", tmp_path / "out", "--scenes", "2", "--videos")
    assert (ran.code, ran.err.count("\n")) == (1, 1), ran.err
    assert "FFmpeg" in ran.err
    assert not (tmp_path / "out").exists()


def test_the_names_that_the_command_line_knows_are_all_that_there_are() -> None:
    assert tuple(TABLES) == TABLE_NAMES
    assert tuple(SHEETS) == SHEET_NAMES
    assert get_args(Scale) == PRESETS
