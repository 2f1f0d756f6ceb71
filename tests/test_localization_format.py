from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.localization_schema import SCHEMA, check_schema, problem_of
from tvsl.errors import UnreadableMediaError
from tvsl.localization import Localization, SoundSource
from tvsl.localization_format import LocalizationRecord, json_schema
from tvsl.segments import find_segments, mark_duplicates
from tvsl.utils.files import write_json

DOCS = Path(__file__).parents[1] / "docs"


def moment(time: float | None = 1.5, still: bool = False) -> Localization:
    maps = np.random.default_rng(3).normal(size=(2, 4, 6)).astype(np.float32)
    sources = (
        SoundSource("dog, big", 0.9, maps[0], (40, 60), (0.5, 2.5)),
        SoundSource("犬", -0.1234567, maps[0] + 1e-4 * maps[1], (40, 60), None),
        SoundSource("flat", 0.1, np.zeros((4, 6), np.float32), (40, 60)),
    )
    found = Localization(sources, "given", "m/t", (40, 60), time, (0.5, 2.5), 0.6, still)
    return mark_duplicates(found)


def whole() -> dict[str, Any]:
    moments = [moment(), moment(2.5, still=True)]
    return {
        "version": 1,
        "input": "clip.mp4",
        "audio": None,
        "tvsl": "0.1.0",
        "model": "m/t",
        "encoder_sha256": "0" * 64,
        "settings": {
            **dict.fromkeys(("head", "preset", "method", "flip_average", "at", "end"), None),
            **{"precision": "float32", "every": 1.0, "start": 0.0, "smooth": None},
            **{"window": 2.0, "panels": 1},
        },
        "label_source": "given",
        "resolution": {"step": 1.0, "window": 2.0, "span": 0.5},
        "stored": {"width": 60, "height": 40, "sample_aspect_ratio": "1:1", "rotation": 0},
        "warnings": [],
        "files": ["overlay.mp4"],
        "segments": [segment.to_dict() for segment in find_segments(moments, 1.0)],
        "moments": [found.to_dict() for found in moments],
    }


def test_the_schema_in_the_package_is_that_of_the_records() -> None:
    """`make schema` writes it anew."""
    assert json_schema() == SCHEMA


def test_records_and_schema_take_what_is_written() -> None:
    content = json.loads(json.dumps(whole()))
    check_schema(content)
    record = LocalizationRecord.from_dict(content)
    assert record.moments[1].time == 2.5
    check_schema({**content, "notices": ["merged"]})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 2),
        (("moments",), None),
        (("moments", 0, "sources", 0, "score"), "0.9"),
        (("moments", 0, "sources", 0, "box"), [1, 2, 3]),
        (("moments", 0, "sources", 0, "box"), [-1, 2, 3, 4]),
        (("moments", 0, "sources", 0, "map"), [[0.0], None]),
        (("moments", 0, "still"), 1),
        (("moments", 0, "label_source"), "guessed"),
        (("settings", "panels"), 0),
        (("segments", 0, "start"), None),
        (("surprise",), 1),
    ],
)
def test_records_and_schema_refuse_the_same(place: tuple[Any, ...], value: object) -> None:
    content = copy.deepcopy(whole())
    inner: Any = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert problem_of(content, SCHEMA) is not None
    with pytest.raises(UnreadableMediaError, match="no result of tvsl"):
        LocalizationRecord.from_dict(content)


def test_what_tests_write_is_checked(tmp_path: Path) -> None:
    moment().save(tmp_path / "moment.json")
    write_json(whole(), tmp_path / "whole.json")
    with pytest.raises(AssertionError, match="version"):
        write_json({**whole(), "version": 2}, tmp_path / "wrong.json")
    with pytest.raises(AssertionError, match="still"):
        write_json({**moment().to_dict(), "still": None}, tmp_path / "wrong.json")


def test_a_missing_field_is_refused() -> None:
    content = whole()
    del content["segments"]
    assert problem_of(content, SCHEMA) is not None
    with pytest.raises(UnreadableMediaError, match="'segments' is missing"):
        LocalizationRecord.from_dict(content)


def test_a_moment_survives_a_round_trip(tmp_path: Path) -> None:
    found = moment()
    (again,) = Localization.load(found.save(tmp_path / "one.json"))
    assert again.to_dict() == found.to_dict() == Localization.from_dict(found.to_dict()).to_dict()
    assert [one.box for one in again.sources] == [one.box for one in found.sources]
    assert again.sources[1].duplicate_of == "dog, big"
    assert (again.size, again.threshold) == ((40, 60), 0.6)
    np.testing.assert_allclose(again.sources[0].grid, found.sources[0].grid, atol=1e-6)


def test_the_moments_of_a_whole_file_are_loaded(tmp_path: Path) -> None:
    path = tmp_path / "localization.json"
    path.write_text(json.dumps(whole()))
    assert [found.time for found in Localization.load(path)] == [1.5, 2.5]
    assert LocalizationRecord.load(path).segments[0].moments == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"moments": []}', "1"])
def test_another_file_is_no_result(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UnreadableMediaError) as caught:
        Localization.load(path)
    assert caught.value.path == path


def test_a_ragged_map_is_refused() -> None:
    content = moment().to_dict()
    content["sources"][0]["map"] = [[0.0, 1.0], [0.0]]
    with pytest.raises(UnreadableMediaError, match="different lengths"):
        Localization.from_dict(content)


def test_the_page_explains_every_field() -> None:
    page = (DOCS / "localization-json.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    fields = set(SCHEMA["properties"])
    for record in SCHEMA["$defs"].values():
        fields |= set(record["properties"])
    assert explained == fields
