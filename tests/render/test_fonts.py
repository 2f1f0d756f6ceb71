"""Names in any script, with fonts that are made here."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image

from tests.cli.running import run
from tests.media.media_makers import make_sound
from tests.small_model import tone, write_picture
from tvsl.errors import FontWarning, UsageError
from tvsl.render import fonts
from tvsl.render.drawing import caption_bar, draw_legend, shorten
from tvsl.render.fonts import font_file, runs, text_length, writable_text

DOG, VOICE = "\u72ac", "\u58f0"
BAR = (300, 20)
ORANGE = (255, 150, 0)


def make_font(path: Path, characters: str, shape: int = 400) -> Path:
    """A font with a triangle for each character, and an empty box for all others."""
    names = {ord(one): f"uni{ord(one):04X}" for one in characters}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    glyphs = {}
    for place, name in enumerate((".notdef", *names.values())):
        pen = TTGlyphPen(None)
        corners = [(0, 0), (0, 700), (600, 700), (600, 0)] if place == 0 else []
        corners = corners or [(0, 0), (shape + 10 * place, 700), (600, 0)]
        if name != "uni0020":
            pen.moveTo(corners[0])
            for corner in corners[1:]:
                pen.lineTo(corner)
            pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (650, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Made", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a system's fonts, empty at first."""
    folder = tmp_path / "system"
    folder.mkdir()

    def forget() -> None:
        for cached in (fonts._of_system, fonts._system_face, fonts._font):
            cached.cache_clear()
        fonts._told.clear()

    monkeypatch.setattr(fonts, "font_folders", lambda: [folder / "absent", folder])
    forget()
    yield folder
    forget()


def bar(name: str) -> np.ndarray:
    return np.asarray(caption_bar(*BAR, name, "", ORANGE))


def test_what_no_font_has_is_said_once_and_shown_by_number() -> None:
    with pytest.warns(FontWarning, match=rf"{DOG} \(U\+72AC\).*--font FILE") as said:
        text = writable_text(f"a {DOG}{DOG}")
    assert text == "a \\u72ac\\u72ac"
    assert len(said) == 1
    with pytest.warns(FontWarning) as said:  # only what is new
        writable_text(DOG + VOICE)
    assert DOG not in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert writable_text("dog, “cat” …") == "dog, “cat” …"
        assert shorten(DOG, 12, 400) == "\\u72ac"
        shown = bar(DOG)
    assert np.array_equal(shown, bar("\\u72ac"))


def test_a_font_of_the_system_has_it(system: Path) -> None:
    (system / "broken.ttf").write_bytes(b"no font")
    (system / "inner").mkdir()
    make_font(system / "inner" / "made-sans.ttf", DOG + VOICE)
    make_font(system / "made-bold.ttf", DOG, shape=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert writable_text(f"a {DOG}") == f"a {DOG}"
        (own, before), (made, dog) = runs(f"a {DOG}")
    assert (before, dog) == ("a ", DOG)
    assert own.path is None
    assert made.path == system / "inner" / "made-sans.ttf"  # the plain one
    assert text_length(f"a {DOG}", 20) == pytest.approx(own.length("a ", 20) + 13)
    drawn, empty = bar(f"a {DOG}"), bar("a ")
    assert not np.array_equal(drawn, empty)
    assert not np.array_equal(drawn, bar(f"a {VOICE}"))


def test_a_chosen_font_goes_first_and_only_so_long(tmp_path: Path) -> None:
    path = make_font(tmp_path / "mine.ttf", "dog" + DOG)
    before, legend = bar("dog"), draw_legend((("dog", ORANGE),), 100, 200)
    with font_file(path):
        assert [face.path for face, _ in runs(f"dog{DOG}")] == [path]
        assert not np.array_equal(bar("dog"), before)
        mine = draw_legend((("dog", ORANGE),), 100, 200)
        assert runs("cat")[0][0].path is None
        with font_file(None):
            assert np.array_equal(bar("dog"), before)
    assert np.array_equal(bar("dog"), before)
    assert legend is not None
    assert mine is not None
    assert legend.tobytes() != mine.tobytes()


def test_what_is_no_font_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ttf").write_bytes(b"no font")
    for name, says in (("a.ttf", "no font"), ("absent.ttf", "no such font")):
        with pytest.raises(UsageError, match=says) as caught, font_file(tmp_path / name):
            pass
        assert caught.value.path == tmp_path / name


def test_parts_of_a_text_stay_together(system: Path) -> None:
    make_font(system / "made.ttf", f"{DOG}{VOICE}0123 ,\\")
    parts = [(face.path is not None, part) for face, part in runs(f"dog {DOG} {VOICE}, 1 cat")]
    assert parts == [(False, "dog "), (True, f"{DOG} {VOICE}, 1"), (False, " cat")]
    # The number of a missing character is ours, whatever stands before.
    assert [part for _, part in runs(f"{DOG}\\u1234")] == [DOG, "\\u1234"]
    assert runs("") == []


def test_letters_from_right_to_left_are_shaped(system: Path) -> None:
    path = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if not path.is_file():
        pytest.skip("needs DejaVu Sans at its place in Debian")
    (system / path.name).symlink_to(path)
    word = "\u0643\u0644\u0628"  # its letters are joined: together they are narrower
    assert [part for _, part in runs(word)] == [word]
    assert text_length(word, 40) < sum(text_length(one, 40) for one in word)


def test_a_missing_character_is_one_line_of_the_command(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    sound = make_sound(tmp_path / "a.wav", tone(1.0, 16_000), 16_000)
    command = ("localize", picture, "--audio", sound, "--model", "mini", "--labels", "red star")
    font = make_font(tmp_path / "mine.ttf", "redstar ")
    for number, more in enumerate(((), ("--font", font))):
        out = tmp_path / str(number)
        ran = run(*command, "--outputs", "sheet,page", "-o", out, *more)
        assert ran.code == 0, ran.err
        assert "warning" not in ran.err
    sheets = [Image.open(tmp_path / str(n) / "contact_sheet.jpg").tobytes() for n in (0, 1)]
    assert sheets[0] != sheets[1]
    ran = run(*command, "-o", tmp_path / "2", "--font", tmp_path / "absent.ttf")
    assert ran.code == 2
    assert "no such font" in ran.err
    assert not (tmp_path / "2").exists()
