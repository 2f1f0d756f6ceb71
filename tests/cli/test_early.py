"""What can be known before the expensive work is said before it: here no weights can be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import run
from tvsl.audioclip.tokenizer import build_word_tokenizer


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise AssertionError("weights are loaded")

    monkeypatch.setattr("tvsl.loading.load_audioclip", load)


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
        (("clip.mp4", "--panels", "7"), 2, "7 equal panels"),
        (("mute.mp4",), 1, "no sound"),
        (("junk.mp4",), 1, "junk.mp4"),
        (("photo.png", "--audio", "bark.wav", "--panels", "7"), 2, "7 equal panels"),
        (("photo.png", "--audio", "silent.wav"), 1, "silent"),
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
        ("reproduce", "table1", "--scale", "quick", "--workers", "1"),
    ],
)
def test_the_model_has_no_words_for_the_data(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = build_word_tokenizer(["dog", "cat"], 20)
    monkeypatch.setattr("tvsl.loading.known_tokenizer", lambda _: strange)
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
