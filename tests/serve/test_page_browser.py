"""The page in a real browser: chosen or dropped files, progress, results, keyboard, phone, axe."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.html.browser import Browser, Tab, running_browser
from tests.html.page_in_browser import check_contrast, check_width
from tests.media.media_makers import make_sound, make_video
from tests.serve.service import running_server
from tests.small_model import RATE, tone, write_picture, write_small_checkpoint

AXE = "axe-core@4.14.1"
TOKEN = "a-token-of-some-length"
SHOWN = "!document.getElementById('{}').hidden"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("tmp")) as (_, found):
        yield found


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    make_video(folder / "clip.mp4", count=20, rate=10, sound=tone(2.0))
    write_picture(folder / "photo.png")
    make_sound(folder / "bark.wav", tone(), RATE)
    (folder / f"{'a_very_long_name_' * 8}.mp4").write_bytes(b"video")
    return folder


@pytest.fixture(scope="module")
def axe(request: pytest.FixtureRequest) -> str:
    """Deque's checks of accessibility; fetched by npm, and skipped where that cannot be."""
    folder = Path(request.config.cache.mkdir("axe"))  # type: ignore[union-attr]
    script = folder / f"{AXE}.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed: axe-core cannot be had")
        command = [npm, "pack", AXE, "--pack-destination", str(folder)]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip("npm could not fetch axe-core")
        with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as packed:
            content = packed.extractfile("package/axe.min.js")
            assert content is not None
            script.write_bytes(content.read())
    return script.read_text(encoding="utf-8")


def shown(tab: Tab, view: str) -> None:
    tab.wait(SHOWN.format(view))


def text(tab: Tab, selector: str) -> str:
    found: str = tab.value(f"document.querySelector('{selector}').textContent")
    return found


def chosen(tab: Tab, count: int) -> None:
    tab.wait(f"document.querySelectorAll('#chosen li').length === {count}")


def check_axe(tab: Tab, axe: str) -> None:
    tab.value(f"(() => {{ {axe}; return 0; }})()")
    found = tab.value(
        "axe.run().then((found) => found.violations.map((one) =>"
        " [one.id, one.nodes.map((node) => node.html.slice(0, 120))]))"
    )
    assert found == []


def test_a_chosen_video_is_done(browser: Browser, address: str, media: Path) -> None:
    with browser.tab(address) as tab:
        shown(tab, "form")
        assert "500" in text(tab, "#limits") or "MB" in text(tab, "#limits")
        tab.choose("#files", media / "clip.mp4")
        chosen(tab, 1)
        assert "clip.mp4" in text(tab, "#chosen")
        tab.click_on("#labels")
        tab.type("slowly")
        tab.click_on("#start")
        shown(tab, "work")
        tab.wait("document.getElementById('stage').textContent.includes('Localizing')")
        assert "Localizing" in text(tab, "#told")
        shown(tab, "result")
        assert text(tab, "#summary") == "Found: dog barking."
        assert text(tab, "#told").startswith("Done")
        assert tab.value("document.activeElement.id") == "result-title"
        links = tab.value("[...document.querySelectorAll('#downloads a')].map((one) => one.href)")
        assert [one.rpartition("/")[2] for one in links] == [
            "index.html",
            "overlay.mp4",
            "localization.json",
            "index.html",
        ]
        place = tab.value("location.href")
        # The fake's video is none, and the browser says so; the rest is as it should be.
        tab.forget()
    with browser.tab(place) as tab:  # as after a reload
        shown(tab, "result")
        tab.click_on("#delete")
        shown(tab, "form")
        assert tab.value("location.hash") == ""
        tab.forget()
    with browser.tab(place) as tab:
        shown(tab, "failure")
        assert "no such job" in text(tab, "#failure-problem")
        tab.forget()


def test_files_are_dropped_and_must_fit_together(browser: Browser, address: str) -> None:
    drop = (
        "(() => {{ const data = new DataTransfer();"
        " data.items.add(new File(['abc'], '{}', {{ type: '{}' }}));"
        " for (const name of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent("
        "new DragEvent(name, {{ dataTransfer: data, bubbles: true, cancelable: true }}));"
        " return 0; }})()"
    )
    with browser.tab(address) as tab:
        shown(tab, "form")
        tab.click_on("#start")
        assert "Choose" in text(tab, "#files-problem")
        assert tab.value("document.activeElement.id") == "files"
        tab.value(drop.format("photo.png", "image/png"))
        chosen(tab, 1)
        assert "sound" in text(tab, "#files-note")
        tab.click_on("#start")
        assert "sound is missing" in text(tab, "#files-problem")
        tab.value(drop.format("bark.flac", ""))
        chosen(tab, 2)
        tab.value(drop.format("clip.mkv", ""))
        chosen(tab, 1)
        tab.value(drop.format("bark.wav", "audio/wav"))
        tab.value(drop.format("photo.png", "image/png"))
        chosen(tab, 2)
        assert tab.value("document.getElementById('files').files.length") == 2
        tab.click_on("#start")
        shown(tab, "result")
        assert tab.value("document.getElementById('preview').hidden")
        tab.click_on("#again")
        shown(tab, "form")
        chosen(tab, 0)
        size = "document.getElementById('files').files[0].size"
        tab.value(drop.replace("'abc'", "new Uint8Array(1100000)").format("big.mp4", "video/mp4"))
        assert tab.value(size) == 1_100_000
        tab.click_on("#start")
        assert "at most 1.0 MB" in text(tab, "#files-problem")


def test_a_job_is_cancelled_and_a_failure_told(browser: Browser, address: str, media: Path) -> None:
    with browser.tab(address) as tab:
        shown(tab, "form")
        for word in ("hang", "fail"):
            if word == "hang":
                tab.choose("#files", media / "clip.mp4")
                chosen(tab, 1)
            tab.value("document.getElementById('labels').value = ''")
            tab.click_on("#labels")
            tab.type(word)
            tab.click_on("#start")
            if word == "hang":
                tab.wait("document.getElementById('stage').textContent.includes('Localizing')")
                tab.click_on("#cancel")
                shown(tab, "form")
                assert text(tab, "#told") == "Cancelled."
        shown(tab, "failure")
        assert text(tab, "#failure-problem") == "It is broken."
        assert text(tab, "#failure-remedy") == "Mend it."
        assert tab.value("document.activeElement.id") == "failure-title"
        tab.click_on("#back")
        chosen(tab, 1)


def test_the_keyboard_does_all(browser: Browser, address: str, media: Path) -> None:
    with browser.tab(address) as tab:
        shown(tab, "form")
        tab.choose("#files", media / "clip.mp4")
        chosen(tab, 1)
        tab.reach("#chosen button")
        check_focus(tab)
        tab.press("Enter")
        chosen(tab, 0)
        assert tab.value("document.activeElement.id") == "files"
        tab.choose("#files", media / "clip.mp4")
        chosen(tab, 1)
        tab.reach("#labels")
        check_focus(tab)
        tab.type("hang")
        tab.press("Enter")
        shown(tab, "work")
        tab.reach("#cancel")
        check_focus(tab)
        tab.press("Space")
        shown(tab, "form")
        tab.reach("summary")
        tab.press("Enter")
        tab.reach("#every")
        tab.type("99")
        tab.reach("#start")
        tab.press("Enter")
        assert tab.value("document.activeElement.id") == "every"
        assert tab.value(SHOWN.format("form"))


def check_focus(tab: Tab) -> None:
    style, width = tab.value(
        "(() => { const style = getComputedStyle(document.activeElement);"
        " return [style.outlineStyle, parseFloat(style.outlineWidth)]; })()"
    )
    assert style != "none"
    assert width >= 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_every_view_is_accessible(
    browser: Browser, address: str, media: Path, axe: str, width: int, dark: bool
) -> None:
    with browser.tab(address, width=width, height=760, dark=dark) as tab:
        shown(tab, "form")
        tab.choose("#files", *[path for path in media.iterdir() if path.name.startswith("a_very")])
        chosen(tab, 1)
        tab.value("document.querySelector('details').open = true")
        check_view(tab, axe)
        tab.click_on("#labels")
        tab.type("hang")
        tab.click_on("#start")
        tab.wait("document.getElementById('stage').textContent.includes('Localizing')")
        check_view(tab, axe)
        tab.click_on("#cancel")
        shown(tab, "form")
        tab.value("document.getElementById('labels').value = ''")
        tab.click_on("#start")
        shown(tab, "result")
        check_view(tab, axe)
        tab.value("fail({ problem: 'It is broken.', remedy: 'Mend it.' }), 0")
        check_view(tab, axe)
        tab.value("turnTo('login'), 0")
        check_view(tab, axe)
        tab.forget()


def check_view(tab: Tab, axe: str) -> None:
    check_width(tab)
    check_contrast(tab, fewest=5)
    check_axe(tab, axe)


def test_a_browser_enters_the_token_once(browser: Browser, media: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, TOKEN) as (_, address), browser.tab(address) as tab:
        shown(tab, "login")
        assert tab.value("document.activeElement.id") == "token"
        tab.type("something else entirely")
        tab.press("Enter")
        tab.wait("document.getElementById('login-problem').textContent.includes('wrong')")
        tab.value("document.getElementById('token').value = ''")
        tab.type(TOKEN)
        tab.press("Enter")
        shown(tab, "form")
        tab.choose("#files", media / "clip.mp4")
        chosen(tab, 1)
        tab.click_on("#start")
        shown(tab, "result")
        page = tab.value("document.querySelector('#downloads a').href")
        tab.forget()
        with browser.tab(page) as result:
            assert "The result." in text(result, "body")
        assert TOKEN not in tab.value("document.cookie + location.href")


def test_without_a_script_it_says_what_else_there_is(browser: Browser, address: str) -> None:
    with browser.tab(address, script=False) as tab:
        assert tab.value(
            "[...document.querySelectorAll('form, section, input')]"
            ".every((one) => !one.checkVisibility())"
        )
        assert "tvsl localize" in text(tab, "main")


@pytest.mark.slow
def test_a_real_video_and_its_page(
    browser: Browser, media: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = write_small_checkpoint(tmp_path_factory.mktemp("model"))
    with running_server(tmp_path, model=model) as (_, address):
        with browser.tab(address, width=390) as tab:
            shown(tab, "form")
            tab.choose("#files", media / "clip.mp4")
            chosen(tab, 1)
            tab.click_on("#labels")
            tab.type("dog barking, train")
            tab.click_on("#start")
            shown(tab, "result")
            assert "dog barking" in text(tab, "#found")
            tab.wait("document.getElementById('preview').readyState >= 2")
            check_width(tab)
            page = tab.value("document.querySelector('#downloads a').href")
        with browser.tab(page, width=390) as tab:
            tab.wait("media.readyState >= 2")
            shade = "[...pen.getImageData(0, 0, canvas.width, canvas.height).data].some((v) => v)"
            for box in ("boxes", "contours", "names"):
                tab.click_on(f"#{box}")
            assert tab.value(shade)
            for box in tab.value(
                "[...document.querySelectorAll('[data-label]')].map((o) => o.dataset.label)"
            ):
                tab.click_on(f'[data-label="{box}"]')
            assert not tab.value(shade)
            check_width(tab)
