"""The page of a clip in a real browser: it plays, draws, and is used by mouse and keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.html.browser import Browser, Tab, running_browser
from tests.html.page_in_browser import check_contrast, check_unscripted, check_width
from tests.html.test_localization_page import content, moments
from tests.render.inputs import RATE, picture, sound, write_video
from tvsl.html import localization as page_module
from tvsl.html.localization import LocalizedClip, localization_page
from tvsl.media.writing import to_int16, wav_bytes

SIZE = (120, 160)
LONG = "a_name_that_is_far_too_long_for_the_narrow_window_of_a_telephone_" * 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> LocalizedClip:
    times = [number / RATE for number in range(4 * RATE)]
    folder = tmp_path_factory.mktemp("clip")
    video = write_video(folder / "clip.mp4", SIZE, times, seconds=4.0)
    found = moments(SIZE)
    stills = [(one, picture(*SIZE)) for one in found]
    return LocalizedClip(found, content(found), "tvsl localize a.mp4", stills, video, 4.0)


@pytest.fixture(scope="module")
def page(clip: LocalizedClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(localization_page(clip), encoding="utf-8")
    return path


def drawn(tab: Tab, row: float, column: float) -> list[int]:
    """Colour and opacity of the canvas at a cell of the map's grid of 7 x 12."""
    found: list[int] = tab.value(
        f"[...pen.getImageData(({column} + .5) / 12 * canvas.width,"
        f" ({row} + .5) / 7 * canvas.height, 1, 1).data]"
    )
    return found


def sought(tab: Tab, time: float) -> None:
    tab.wait("media.readyState >= 2")
    tab.value(
        "new Promise((done) => { media.addEventListener('seeked', () => done(0), { once: true });"
        f" media.currentTime = {time}; }})"
    )


def is_orange(color: list[int]) -> bool:
    red, green, blue, opacity = color
    return red > green > blue and opacity > 80


def is_blue(color: list[int]) -> bool:
    red, green, blue, opacity = color
    return blue > green > red and opacity > 80


def test_maps_are_drawn_at_their_places_and_times(browser: Browser, page: Path) -> None:
    # The dog, at row 1 and column 2, is heard at 0 and 1 s, the other at 1 and 2 s.
    with browser.tab(page) as tab:
        sought(tab, 0.01)
        assert is_orange(drawn(tab, 1, 2))
        assert drawn(tab, 5, 9)[3] == 0
        sought(tab, 1.0)
        assert is_orange(drawn(tab, 1, 2))
        assert is_blue(drawn(tab, 5, 9))
        sought(tab, 2.0)
        assert drawn(tab, 1, 2)[3] == 0
        assert is_blue(drawn(tab, 5, 9))
        sought(tab, 3.0)
        assert not tab.value(
            "pen.getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
        )


def check_plays(tab: Tab) -> None:
    """The video plays, and what is told and drawn follows it."""
    tab.wait("media.readyState >= 2")
    assert tab.value("[media.error, media.videoWidth, media.videoHeight]") == [None, *SIZE[::-1]]
    tab.value("media.currentTime = 1.3, media.playbackRate = .25")  # a busy machine pauses late
    tab.value("media.play().then(() => 0)")
    tab.wait("media.currentTime > 1.6")
    tab.value("media.pause()")
    tab.wait("Math.abs(parseFloat(now.textContent) - media.currentTime) < .06")
    shown, place = tab.value("[now.textContent, document.querySelector('.now').getAttribute('x1')]")
    assert "dog" not in shown
    assert float(place) > 300  # of 1000, at 1.6 s of 4
    assert is_blue(drawn(tab, 5, 9))


def test_the_video_within_the_page_plays(browser: Browser, page: Path) -> None:
    with browser.tab(page) as tab:
        assert tab.value("media.currentSrc.slice(0, 15)") == "data:video/mp4;"
        check_plays(tab)


def test_the_video_beside_the_page_plays(
    browser: Browser, clip: LocalizedClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clip.video is not None
    monkeypatch.setattr(page_module, "LARGEST_VIDEO", 100)
    path = clip.video.with_name("index.html")
    path.write_text(localization_page(clip), encoding="utf-8")
    with browser.tab(path) as tab:
        assert tab.value("media.currentSrc") == clip.video.resolve().as_uri()
        check_plays(tab)


def test_the_mouse_switches_sources_and_seeks(browser: Browser, page: Path) -> None:
    with browser.tab(page) as tab:
        sought(tab, 1.0)
        tab.click_on('[data-label="0"]')
        assert drawn(tab, 1, 2)[3] == 0
        assert is_blue(drawn(tab, 5, 9))
        tab.click_on('[data-label="0"] ~ .swatch')  # its label, too
        assert is_orange(drawn(tab, 1, 2))
        tab.click_on("#timeline svg")
        tab.wait("!media.seeking && Math.abs(media.currentTime - 2) < .05")
        tab.click_on(".stills figure:first-child a")
        tab.wait("!media.seeking && media.currentTime === 0")
        assert is_orange(drawn(tab, 1, 2))
        tab.click_on("#full")
        tab.wait("document.fullscreenElement === document.getElementById('stage')")
        tab.wait("canvas.clientHeight === innerHeight && canvas.height === media.clientHeight")


def test_the_keyboard_does_too_and_its_focus_is_seen(browser: Browser, page: Path) -> None:
    with browser.tab(page) as tab:
        sought(tab, 1.0)
        for name, place in (("0", (1, 2)), ("1", (5, 9))):
            tab.reach(f'[data-label="{name}"]')
            check_focus(tab)
            tab.press("Space")
            assert drawn(tab, *place)[3] == 0
            tab.press("Space")
            assert drawn(tab, *place)[3] > 80
        tab.reach('.stills [data-time="2.0"]')
        check_focus(tab)
        tab.press("Enter")
        tab.wait("!media.seeking && media.currentTime === 2")


def check_focus(tab: Tab) -> None:
    """The focused element has an outline that nothing around it cuts off."""
    style, width, cut = tab.value(
        "(() => { const part = document.activeElement, style = getComputedStyle(part);"
        " return [style.outlineStyle, parseFloat(style.outlineWidth),"
        " part.closest('.stage') !== null && parseFloat(style.outlineOffset) >= 0]; })()"
    )
    assert style != "none"
    assert width >= 1
    assert not cut


def test_every_stop_of_the_keyboard_is_seen(browser: Browser, page: Path) -> None:
    with browser.tab(page) as tab:
        tab.wait("media.readyState >= 2")
        stops = []
        for _ in range(40):
            tab.press("Tab")
            if tab.value("document.activeElement === document.body"):
                break
            # The video's own buttons show their focus by themselves.
            if "media" not in stops or not tab.value("document.activeElement === media"):
                check_focus(tab)
            stops.append(tab.value("document.activeElement.id || document.activeElement.tagName"))
        assert {"strength", "boxes", "contours", "names", "full", "media", "INPUT", "A"} <= {*stops}


def test_without_a_script_the_rest_is_shown(browser: Browser, page: Path) -> None:
    with browser.tab(page, script=False) as tab:
        check_unscripted(tab)
        tab.wait("document.querySelector('video').readyState >= 1")
        assert tab.value("[...document.images].map((one) => one.naturalWidth > 0)") == [True] * 4


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_can_be_read(browser: Browser, page: Path, dark: bool) -> None:
    with browser.tab(page, dark=dark) as tab:
        assert tab.value("matchMedia('(prefers-color-scheme: dark)').matches") is dark
        check_contrast(tab)


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_wider_than_the_window(
    browser: Browser, clip: LocalizedClip, tmp_path: Path, width: int
) -> None:
    found = [
        replace(one, sources=tuple(replace(part, label=LONG) for part in one.sources[:1]))
        for one in clip.moments
    ]
    told = {**content(found), "input": f"{LONG}.mp4", "warnings": [LONG]}
    stills = [(one, picture(*SIZE)) for one in found]
    path = tmp_path / "index.html"
    made = replace(clip, moments=found, content=told, stills=stills)
    path.write_text(localization_page(made), encoding="utf-8")
    with browser.tab(path, width=width) as tab:
        assert LONG in tab.value("document.getElementById('timeline').textContent")
        check_width(tab)


def test_a_picture_with_a_sound(browser: Browser, clip: LocalizedClip, tmp_path: Path) -> None:
    (tmp_path / "dog.wav").write_bytes(wav_bytes(to_int16(sound(2.0)), 48_000))
    one = moments(SIZE)[1]
    made = replace(
        clip,
        moments=[one],
        content=content([one], None),
        stills=[(one, picture(*SIZE))],
        video=None,
        length=0.0,
        sound=(tmp_path / "dog.wav", (0.0, 2.0)),
    )
    path = tmp_path / "index.html"
    path.write_text(localization_page(made), encoding="utf-8")
    with browser.tab(path, width=390) as tab:
        assert is_orange(drawn(tab, 1, 2))
        assert is_blue(drawn(tab, 5, 9))
        check_width(tab)
        tab.value("sound.play().then(() => 0)")
        tab.wait("sound.currentTime > .3")
        line = json.loads(
            tab.value(
                "(() => { const { left, visibility } = document.querySelector('.playhead').style;"
                " return JSON.stringify([parseFloat(left), visibility]); })()"
            )
        )
        assert line[0] > 5
        assert line[1] == "visible"
