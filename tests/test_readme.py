from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import run
from tests.html.browser import running_browser
from tvsl.media import load_audio, load_image, to_int16, write_still_video

ROOT = Path(__file__).parents[1]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(path: Path, heading: str) -> list[list[str]]:
    """The first table under a heading, with its head and without its rule."""
    lines = path.read_text(encoding="utf-8").splitlines()
    below = lines[lines.index(heading) + 1 :]
    first = next(number for number, line in enumerate(below) if line.startswith("|"))
    found = []
    for line in below[first:]:
        if not line.startswith("|"):
            break
        found.append(cells(line))
    return [found[0], *found[2:]]


PAGES = ROOT / "docs" / "reproduction"


@pytest.mark.parametrize(
    ("heading", "page"),
    [
        ("### New to the encoder, in a made-up world", "new-classes/tables.md"),
        ("### Real photographs and sounds", "real/tables.md"),
    ],
)
def test_the_heads_of_table_2_are_the_pages(heading: str, page: str) -> None:
    head, *rows = table(ROOT / "README.md", heading)
    page_head, *page_rows = table(PAGES / page, "## Table 2: Several sources")
    places = [page_head.index(name) for name in head]
    known = [[row[place] for place in places] for row in page_rows]
    assert len(rows) >= 5
    assert all(row in known for row in rows)
    column = head.index("CIoU@0.3")
    values = [float(row[column].split()[0]) for row in rows]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("column", "page"),
    [
        ("new classes", "new-classes/tables.md"),
        ("real mixtures", "real/tables.md"),
        ("real mixtures, second run", "real/second-run.md"),
        ("classes that mini knows", "mini/tables.md"),
    ],
)
def test_claims_stand_in_the_documents_as_on_the_pages(column: str, page: str) -> None:
    heading = "## The paper's claims on three benchmarks"
    head, *rows = table(ROOT / "docs" / "reproducing.md", heading)
    said = {row[0]: row[head.index(column)] for row in rows}
    _, *found = table(PAGES / page, "## What the paper claims, and what is found here")
    assert said.keys() == {row[0] for row in found}
    for claim, _, verdict, numbers in found:
        difference = re.search(r"difference ([-+.\d]+ \([^)]*\))", numbers)
        assert said[claim] == (f"{verdict}, {difference[1]}" if difference else verdict)


def test_the_first_picture_is_small_and_its_authors_are_named() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"!\[[^\]]*\]\(([^)]*)\)", text)
    assert first is not None
    picture = ROOT / first[1]
    assert picture.stat().st_size < 150_000
    notice = (picture.parent / "NOTICE").read_text(encoding="utf-8")
    for path in picture.parent.iterdir():
        assert path.name == "NOTICE" or path.name in notice
    below = text[first.end() :].split("```", 1)[0]
    assert "CC BY" in below
    assert picture.parent.joinpath("NOTICE").relative_to(ROOT).as_posix() in below


def first_screen() -> str:
    """Text before the first heading below the title."""
    return (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which somebody has done what the first screen says, with a clip of their own."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "docs" / "example", folder / "docs" / "example")
    picture = load_image(ROOT / "docs" / "example" / "beach.jpg")[:360]
    sound = load_audio(ROOT / "docs" / "example" / "beach.ogg", 48_000, duration=2.0)
    write_still_video(folder / "clip.mp4", picture, to_int16(sound.samples), 48_000)
    block = first_screen().partition("```sh\n")[2].partition("```")[0].replace("\\\n", " ")
    lines = (shlex.split(line, comments=True) for line in block.splitlines())
    install, *commands = filter(None, lines)
    assert install[:2] == ["pip", "install"]
    assert len(commands) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in commands:
            assert words[0] == "tvsl"
            ran = run(*words[1:])
            assert ran.code == 0, ran.err
    return folder


def test_the_lines_make_the_picture(followed: Path) -> None:
    made, shown = (
        np.asarray(Image.open(path).convert("RGB"), np.float64)
        for path in (followed / "beach" / "contact_sheet.jpg", ROOT / "docs/example/found.jpg")
    )
    assert made.shape == shown.shape
    assert np.abs(made - shown).mean() < 2


def test_one_command_makes_a_page_of_one_s_own_clip(followed: Path) -> None:
    with running_browser() as browser, browser.tab(followed / "out" / "index.html") as tab:
        tab.wait("media.readyState >= 2")
        width, height = tab.value("[media.videoWidth, media.videoHeight]")
        assert (width, height) == (640, 360)
        tab.value("media.play().then(() => 0)")
        tab.wait("media.currentTime > .5")
        said = tab.value("document.body.innerText")
        assert "clip.mp4" in said
        assert "tvsl localize clip.mp4 -o out/" in said
