"""The page of a clip: its structure is read, and its script runs in node.

In a browser it is opened by test_localization_page_browser.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.html.html_page import Page, check_policy, check_self_contained
from tests.render.inputs import picture, source, write_video
from tvsl.html import localization as page_module
from tvsl.html.localization import LocalizedClip, localization_page
from tvsl.localization import Localization
from tvsl.segments import find_segments

SIZE = (60, 80)
NASTY = '<script>alert(1)<b>"&'


def moments(size: tuple[int, int] = SIZE) -> list[Localization]:
    dog, cat = source("dog", 1, 2, size), source(NASTY, 5, 9, size)
    parts = [(dog,), (dog, cat), (cat,), ()]
    return [
        Localization(tuple(part), "given", "m/t", size, float(time), (0.0, 1.0), threshold=1.0)
        for time, part in enumerate(parts)
    ]


def content(found: list[Localization], every: float | None = 1.0) -> dict[str, Any]:
    return {
        "input": f"a/{NASTY}.mp4",
        "model": "m/t",
        "label_source": "given",
        "tvsl": "0.1.0",
        "encoder_sha256": "0" * 64,
        "resolution": {"step": every, "window": 2.0, "span": 0.5},
        "settings": {"start": None, "end": None, "every": every},
        "warnings": ["A warning of the file."],
        "notices": ["A notice of the model."],
        "segments": [one.to_dict() for one in find_segments(found, every)],
        "moments": [one.to_dict() for one in found],
    }


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("page") / "clip.mp4", size=SIZE)


def clip(video: Path | None, found: list[Localization] | None = None) -> LocalizedClip:
    found = moments() if found is None else found
    stills = [(one, picture(*SIZE)) for one in found]
    every = None if video is None else 1.0
    command = "tvsl localize 'a b.mp4'"
    return LocalizedClip(found, content(found, every), command, stills, video, 4.0)


def test_the_page_needs_nothing_else(video: Path) -> None:
    text = localization_page(clip(video))
    page = Page(text)
    check_self_contained(page, text)
    check_policy(page)
    (shown,) = page.all("video")
    assert shown["src"].startswith("data:video/mp4;base64,")
    assert "controls" in shown
    assert page.texts["h1"] == [f"{NASTY}.mp4"]
    assert "alert" not in "".join(page.texts["script"])
    assert page.texts["pre"] == ["tvsl localize 'a b.mp4'"]
    for said in ("A warning of the file.", "A notice of the model."):
        assert said in page.texts["p"]


def test_still_pictures_say_what_they_show(video: Path) -> None:
    page = Page(localization_page(clip(video)))
    stills = [one for one in page.all("img") if one["src"].startswith("data:image/jpeg")]
    assert [one["alt"] for one in stills] == [
        "At 0:00.0: dog",
        f"At 0:01.0: dog, {NASTY}",
        f"At 0:02.0: {NASTY}",
        "At 0:03.0: nothing found",
    ]
    places = [one["data-time"] for one in page.all("a")]
    assert places[-4:] == ["0.0", "1.0", "2.0", "3.0"]
    # The script makes links of them.
    assert not [one for one in page.all("a") if "href" in one]


def test_the_timeline_has_a_column_for_each_moment(video: Path) -> None:
    page = Page(localization_page(clip(video)))
    columns = page.all("rect", **{"class": "score"})
    assert len(columns) == 4
    assert [float(one["x"]) for one in columns] == [
        0,
        125,
        125,
        375,
    ]  # half a step before 0, 1, 1 and 2 of 4 s
    assert {one["fill-opacity"] for one in columns} == {"0.75"}
    names = [one["aria-label"] for one in page.all("svg")]
    assert names[0].startswith("dog sounds for 1.5 s")
    assert len(page.all("input", type="checkbox")) == 2 + 3


def test_thousands_of_moments_share_columns_and_maps(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dog = source("dog", 1, 2, SIZE)
    found = [Localization((dog,), "given", "m", SIZE, n / 100, (0.0, 1.0)) for n in range(2000)]
    made = LocalizedClip(found, content(found, 0.01), "", [(found[0], picture(*SIZE))], video, 20.0)
    monkeypatch.setattr(page_module, "MOST_MOMENTS", 500)
    page = Page(localization_page(made))
    assert 300 < len(page.all("rect", **{"class": "score"})) <= 402
    (main,) = page.all("main")
    assert len(json.loads(main["data-result"])["moments"]) == 500


def test_a_large_video_lies_beside_the_page(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "LARGEST_VIDEO", 100)
    page = Page(localization_page(clip(video)))
    assert page.all("video")[0]["src"] == "clip.mp4"
    policy = next(one["content"] for one in page.all("meta") if "http-equiv" in one)
    assert "media-src data: 'self' file:;" in policy


def test_a_picture_with_a_sound() -> None:
    found = [moments()[1]]
    page = Page(localization_page(clip(None, found)))
    assert not page.all("video")
    (shown,) = page.all("img", id="media")
    assert shown["src"].startswith("data:image/jpeg")
    assert not page.all("a")


def test_nothing_found_is_said(video: Path) -> None:
    found = [moments()[3]]
    text = localization_page(clip(video, found))
    assert "Nothing that the model knows was found." in text


# The script

NODE = shutil.which("node")
HERE = Path(__file__).parent


def ran(made: LocalizedClip, times: list[float], hidden: tuple[int, ...] = ()) -> dict[str, Any]:
    if NODE is None:
        pytest.skip("node is not installed: the page's script is not run")
    main = Page(localization_page(made)).all("main")[0]
    given = {
        "result": json.loads(main["data-result"]),
        "times": times,
        "hidden": hidden,
        "video": made.video is not None,
    }
    script = resources.files("tvsl.html") / "templates" / "localization.js"
    command = [NODE, str(HERE / "localization_page.js"), str(script), json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def drawn(seen: dict[str, Any], name: str) -> list[list[Any]]:
    return [values for kind, *values in seen["drawn"] if kind == name]


def test_boxes_follow_the_moments(video: Path) -> None:
    found = moments()
    seen = ran(clip(video), [0.0, 1.0, 1.4, 3.0])["seen"]
    dog = found[0].sources[0].box
    assert dog is not None
    scale = 400 / SIZE[1]
    (left, top, width, height), *_ = drawn(seen[0], "strokeRect")
    assert [left - 1, top - 1] == pytest.approx([scale * dog.left, scale * dog.top], abs=1e-6)
    assert width + 2 == pytest.approx(scale * (dog.right - dog.left))
    assert height + 2 == pytest.approx(scale * (dog.bottom - dog.top))
    assert [text for text, *_ in drawn(seen[1], "fillText")] == ["dog", NASTY]
    assert seen[1]["now"] == f"1.0 s: dog 0.75, {NASTY} 0.75"
    # Between two moments a label that the later one lacks fades, and is named no more.
    assert [text for text, *_ in drawn(seen[2], "fillText")] == [NASTY]
    assert seen[3]["now"].endswith("nothing")
    assert not seen[3]["drawn"]
    assert seen[1]["line"] == 250  # of 1000, at 1 s of 4


def test_a_video_that_begins_with_sound_alone_has_its_maps_in_step(video: Path) -> None:
    made = replace(clip(video), start=-0.4, length=4.4)
    page = Page(localization_page(made))
    first, *_ = page.all("rect", **{"class": "score"})
    # The column of the moment at 0 s: half a step to either side of 0.4 s of 4.4.
    assert float(first["x"]) == 0
    assert float(first["width"]) == pytest.approx(1000 * 0.9 / 4.4, abs=0.1)
    assert {"-0:00.4", "0:04.0"} <= set(page.texts["span"])
    told = ran(made, [1.0])
    assert told["seen"][0]["now"] == f"1.0 s: dog 0.75, {NASTY} 0.75"
    assert told["seen"][0]["line"] == pytest.approx(1000 * 1.4 / 4.4)
    assert told["sought"] == pytest.approx(3.9)  # of the video, for 3.5 s
    assert ran(replace(made, start=-0.02), [-0.02])["seen"][0]["now"].startswith("0.0 s")


def test_the_playhead_stays_in_the_timeline_where_the_sound_goes_on(video: Path) -> None:
    assert ran(clip(video), [4.5])["seen"][0]["line"] == 1000


def test_a_source_is_switched_off(video: Path) -> None:
    (seen,) = ran(clip(video), [1.0], hidden=(0,))["seen"]
    assert [text for text, *_ in drawn(seen, "fillText")] == [NASTY]


def test_the_line_at_half_height_is_drawn(video: Path) -> None:
    (seen,) = ran(clip(video), [0.0])["seen"]
    lengths = [count for (count,) in drawn(seen, "stroke")]
    assert lengths[0] == lengths[1] > 20  # once as casing, once in colour
    heat = drawn(seen, "heat")
    # The hottest place at 80 % of full strength, and the map at three quarters of that.
    assert heat[0][0] == pytest.approx(255 * 0.72 * 0.8 * 0.75, abs=2)


def test_a_link_seeks(video: Path) -> None:
    assert ran(clip(video), [0.0])["sought"] == 3.5


def test_a_picture_is_drawn_when_it_is_loaded() -> None:
    (seen,) = ran(clip(None, [moments()[1]]), [1.0])["seen"]
    assert seen["now"] == f"dog 0.75, {NASTY} 0.75"
    assert len(drawn(seen, "fillText")) == 2


def test_maps_are_stored_in_256_levels(video: Path) -> None:
    import base64

    made = clip(video)
    stored = json.loads(Page(localization_page(made)).all("main")[0]["data-result"])
    one = stored["moments"][0]["sources"][0]
    values = np.frombuffer(base64.b64decode(one["map"]), np.uint8).reshape(one["rows"], -1) / 255
    grid = made.moments[0].sources[0].grid
    expected = (grid - grid.min()) / (grid.max() - grid.min())
    np.testing.assert_allclose(values, expected, atol=1 / 255)
