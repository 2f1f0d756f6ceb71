from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from tvsl.data.file_index import licence_family
from tvsl.demo.scenes import FOLDER, KINDS, LIST, DemoScene, real_scenes
from tvsl.media.image import load_object_map
from tvsl.vocabularies import check_names, everyday_sounds

MOST_BYTES = 600_000


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / LIST).read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def scenes() -> tuple[DemoScene, ...]:
    return real_scenes()


def test_the_files_are_small_and_those_that_were_made(content: dict[str, Any]) -> None:
    files = {path.name: path for path in FOLDER.iterdir()}
    assert sum(path.stat().st_size for path in files.values()) < MOST_BYTES
    sums = content["sha256"]
    assert set(files) == {*sums, LIST}
    for name, digest in sums.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest, name


def test_all_that_is_shown_and_heard_is_credited(content: dict[str, Any]) -> None:
    notice = (FOLDER / "NOTICE").read_text(encoding="utf-8")
    assert 1 <= len(content["scenes"]) <= 8
    for scene in content["scenes"]:
        of_kind = {
            kind: [one for one in scene["credits"] if one["kind"] == kind]
            for kind in ("photo", "sound")
        }
        things = sum(len(panel["things"]) for panel in scene["panels"])
        assert len(of_kind["photo"]) >= things
        assert len(of_kind["sound"]) == len(scene["panels"]) + (scene["off_screen"] is not None)
        for credit in scene["credits"]:
            assert licence_family(credit["licence"]) in ("CC-BY", "CC0")
            assert credit["licence_page"].startswith("https://creativecommons.org/")
            for name in ("attribution", "licence", "licence_page", "changes"):
                assert credit[name]
                assert credit[name] in notice


def test_none_is_of_a_test_split(content: dict[str, Any]) -> None:
    assert content["split"] in ("train", "validation")


def test_the_scenes_are_as_their_files_say(
    content: dict[str, Any], scenes: tuple[DemoScene, ...]
) -> None:
    for line, case in zip(content["scenes"], scenes, strict=True):
        assert case.kind.name == line["name"]
        assert 1 <= len(case.scene.panels) <= 3
        for number, (panel, files) in enumerate(
            zip(case.scene.panels, line["panels"], strict=True)
        ):
            (source,) = [place for place, thing in enumerate(files["things"]) if thing["sounds"]]
            rows, columns = np.nonzero(load_object_map(FOLDER / files["objects"]) == source + 1)
            left, top, right, bottom = case.boxes[number]
            shift = 224 * number
            assert (left - shift, right - shift) == (columns.min(), columns.max() + 1)
            assert (top, bottom) == (rows.min(), rows.max() + 1)
            assert panel.label == files["things"][source]["label"]
            assert panel.picture.shape == (224, 224, 3)
            assert len(panel.waveform) == 5 * case.scene.sample_rate


def test_the_mixture_is_the_sum_of_its_sounds(scenes: tuple[DemoScene, ...]) -> None:
    off_screen = []
    for case in scenes:
        seen = np.sum([panel.waveform for panel in case.scene.panels], axis=0)
        rest = case.scene.waveform - seen
        assert np.abs(case.scene.waveform).max() <= 1
        if case.scene.off_screen is None:
            assert case.off_screen_sound is None
            np.testing.assert_allclose(rest, 0, atol=1e-6)
        else:
            off_screen.append(case.scene.off_screen)
            assert np.abs(rest).max() > 0.01
    assert len(off_screen) == 1
    assert off_screen[0] not in next(s for s in scenes if s.scene.off_screen).scene.labels


def test_there_are_silent_objects_and_a_twin(scenes: tuple[DemoScene, ...]) -> None:
    silent = [
        thing.label
        for case in scenes
        for panel in case.scene.panels
        for thing in panel.objects
        if not thing.sounds
    ]
    assert "person" in silent
    assert sum(any(case.twins) for case in scenes) == 1


def test_what_sounds_is_among_the_names_that_are_looked_for(scenes: tuple[DemoScene, ...]) -> None:
    names = scenes[0].names
    check_names(names)
    assert set(everyday_sounds()) <= set(names)
    for case in scenes:
        assert case.names == names
        assert set(case.scene.labels) <= set(names)


def test_no_two_kinds_share_a_name(scenes: tuple[DemoScene, ...]) -> None:
    names = [case.kind.name for case in scenes] + [kind.name for kind in KINDS]
    assert len(set(names)) == len(names)
