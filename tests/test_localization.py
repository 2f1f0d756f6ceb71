from __future__ import annotations

import json
import os
import tracemalloc
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from tvsl.boxes import Box, box_around_peak, min_max, upscale
from tvsl.detecting import Classes
from tvsl.encoded import Encoded
from tvsl.errors import OutputError, ShapeError, TvslError
from tvsl.localization import Localization, Request, SoundSource, answer, write_json
from tvsl.methods.base import Method, MethodConfig, Supervision
from tvsl.tokens import Queries, Tokens, Vocabulary

Map = NDArray[np.float32]


def noise(height: int, width: int, seed: int = 0) -> Map:
    return np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)


def bilinear(grid: Map, size: tuple[int, int]) -> NDArray[np.float64]:
    """Cell centres on pixel centres, the outermost cells repeated outwards; pixel by pixel."""
    h, w = grid.shape
    result = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            v = min(max((y + 0.5) * h / size[0] - 0.5, 0.0), h - 1.0)
            u = min(max((x + 0.5) * w / size[1] - 0.5, 0.0), w - 1.0)
            top, left = int(v), int(u)
            for row, a in ((top, 1 - (v - top)), (min(top + 1, h - 1), v - top)):
                for column, b in ((left, 1 - (u - left)), (min(left + 1, w - 1), u - left)):
                    result[y, x] += a * b * float(grid[row, column])
    return result


def flood(heatmap: Map, cut: float) -> Box:
    """The box by a flood fill from the peak, neighbours sharing an edge."""
    start = divmod(int(heatmap.argmax()), heatmap.shape[1])
    seen, waiting = {start}, deque([start])
    while waiting:
        row, column = waiting.popleft()
        for y, x in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            inside = 0 <= y < heatmap.shape[0] and 0 <= x < heatmap.shape[1]
            if inside and (y, x) not in seen and heatmap[y, x] >= cut:
                seen.add((y, x))
                waiting.append((y, x))
    rows, columns = zip(*seen, strict=True)
    return Box(min(columns), min(rows), max(columns) + 1, max(rows) + 1)


@pytest.mark.parametrize("size", [(7, 12), (21, 37), (30, 24), (5, 9), (1, 1)])
def test_upscale_equals_pixel_by_pixel(size: tuple[int, int]) -> None:
    grid = noise(7, 12)
    scaled = upscale(grid, size)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, bilinear(grid, size), atol=1e-5)


def test_upscale_takes_views_and_other_types() -> None:
    grid = noise(4, 6)
    expected = upscale(grid, (8, 8))
    np.testing.assert_array_equal(upscale(grid.astype(np.float64)[:, :], (8, 8)), expected)
    turned = upscale(grid[::-1, ::-1], (8, 8))
    np.testing.assert_allclose(turned, expected[::-1, ::-1], atol=1e-6)


def test_min_max_stretches() -> None:
    values = np.array([[-2.0, 0.0], [2.0, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(min_max(values), [[0.0, 0.5], [1.0, 0.75]])
    assert min_max(values).dtype == np.float32
    assert min_max(values.astype(np.float64)).dtype == np.float32


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e30])
def test_map_without_contrast_becomes_zero(value: float) -> None:
    values = np.full((3, 4), value, dtype=np.float32)
    np.testing.assert_array_equal(min_max(values), np.zeros((3, 4)))


def test_min_max_keeps_its_argument() -> None:
    values = noise(3, 3)
    before = values.copy()
    min_max(values)
    np.testing.assert_array_equal(values, before)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 0.8]))
def test_box_equals_flood_fill(seed: int, cut: float) -> None:
    heatmap = min_max(noise(9, 11, seed))
    assert box_around_peak(heatmap, cut) == flood(heatmap, cut)


def test_box_holds_only_the_region_of_the_peak() -> None:
    heatmap = np.zeros((6, 9), dtype=np.float32)
    heatmap[1:3, 1:4] = 0.9
    heatmap[1, 2] = 1.0
    heatmap[4:6, 6:9] = 0.95  # another region
    heatmap[3, 4] = 0.9  # touches with a corner alone
    heatmap[0, 2] = 0.49  # under the cut
    assert box_around_peak(heatmap) == Box(left=1, top=1, right=4, bottom=3)


def test_box_of_an_empty_map_is_none() -> None:
    assert box_around_peak(np.zeros((4, 4), dtype=np.float32)) is None


def test_box_of_the_whole_picture() -> None:
    box = box_around_peak(np.ones((4, 6), dtype=np.float32))
    assert box is not None
    assert box.to_list() == [0, 0, 6, 4]


def source(grid: Map | None = None, **changes: object) -> SoundSource:
    parts: dict[str, object] = {
        "label": "dog",
        "score": 0.75,
        "grid": noise(3, 4) if grid is None else grid,
        "size": (30, 40),
        **changes,
    }
    return SoundSource(**parts)  # type: ignore[arg-type]


def test_heatmap_is_the_stretched_map_at_full_size() -> None:
    found = source(time_range=(0.0, 1.5))
    scaled = bilinear(found.grid, (30, 40))
    expected = (scaled - scaled.min()) / (scaled.max() - scaled.min())
    np.testing.assert_allclose(found.heatmap, expected, atol=1e-5)
    assert found.heatmap.min() == 0.0
    assert found.heatmap.max() == 1.0
    assert found.box == flood(found.heatmap, 0.5)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 0.7, -0.2])
@pytest.mark.parametrize("size", [(224, 397), (720, 1280)])
def test_map_without_contrast_has_no_box_at_any_size(value: float, size: tuple[int, int]) -> None:
    flat = source(np.full((7, 12), value, dtype=np.float32), size=size)
    assert flat.box is None
    assert flat.heatmap.max() == 0.0


@pytest.mark.parametrize(
    "grid",
    [
        np.zeros(4, dtype=np.float32),
        np.zeros((1, 3, 4), dtype=np.float32),
        np.zeros((0, 4), dtype=np.float32),
        np.array([[0.0, np.nan]], dtype=np.float32),
        np.array([[0.0, np.inf]], dtype=np.float32),
    ],
    ids=["one axis", "three axes", "empty", "nan", "inf"],
)
def test_map_that_is_none_is_refused(grid: Map) -> None:
    with pytest.raises(ShapeError):
        source(grid)


def localization(*sources: SoundSource) -> Localization:
    return Localization(sources, "detected", "mini/tvsl", (30, 40), 1.23456)


def test_to_dict_survives_json() -> None:
    result = localization(
        source(time_range=(0.12345, 2.0)), source(np.zeros((3, 4), np.float32), label="Hüpfburg")
    ).to_dict()
    read = json.loads(json.dumps(result, allow_nan=False))
    assert read == result
    assert (read["width"], read["height"], read["time"]) == (40, 30, 1.235)
    assert read["label_source"] == "detected"
    assert "0.5" in read["box_protocol"]
    first, second = read["sources"]
    assert first["time_range"] == [0.123, 2.0]
    np.testing.assert_allclose(first["map"], noise(3, 4), atol=1e-6)
    assert first["box"] == source().box.to_list()  # type: ignore[union-attr]
    assert (second["box"], second["time_range"], second["label"]) == (None, None, "Hüpfburg")


def test_nothing_sounds() -> None:
    result = Localization((), "given", "mini", (3, 4)).to_dict()
    assert result["sources"] == []
    assert result["time"] is None


def test_save_writes_what_to_dict_gives(tmp_path: Path) -> None:
    result = localization(source())
    path = result.save(tmp_path / "out.json")
    assert path == tmp_path / "out.json"
    assert json.loads(path.read_text(encoding="utf-8")) == result.to_dict()
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_save_overwrites_only_when_forced(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("mine")
    with pytest.raises(OutputError) as caught:
        localization(source()).save(path)
    assert caught.value.path == path
    assert path.read_text() == "mine"
    localization(source()).save(path, force=True)
    assert json.loads(path.read_text())["width"] == 40


def test_failed_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json"
    path.write_text("mine")

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="No space left"):
        localization(source()).save(path, force=True)
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize(
    "name",
    ["missing/out.json", "file/out.json", "x" * 252 + ".json", "x" * 300],
    ids=["no folder", "folder is a file", "long name", "longer name"],
)
def test_impossible_place_is_an_output_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError):
        localization(source()).save(tmp_path / name)


def test_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    for force in (False, True):
        with pytest.raises(OutputError):
            localization(source()).save(tmp_path, force=force)
    assert tmp_path.is_dir()


@pytest.mark.parametrize("content", [{"score": float("nan")}, [float("inf")]], ids=str)
def test_what_json_cannot_say_leaves_no_file(tmp_path: Path, content: object) -> None:
    with pytest.raises((TvslError, ValueError)):
        write_json(content, tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(3000, 8000), (8192, 20), (1, 60_000)])
def test_boxes_of_large_pictures_are_those_of_their_own_size(size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[:7, :12]
    hill = np.exp(-((rows - 2) ** 2 + (columns - 7) ** 2) / 4.0).astype(np.float32)
    exact = box_around_peak(min_max(upscale(hill, size)))
    found = SoundSource("dog", 0.5, hill, size).box
    step = np.ceil(max(size) / 4096)
    assert exact is not None
    assert found is not None
    assert np.abs(np.subtract(found.to_list(), exact.to_list())).max() <= step


def test_a_box_of_the_largest_picture_takes_little_memory() -> None:
    source = SoundSource("dog", 0.5, noise(7, 7), (10_000, 10_000))
    tracemalloc.start()
    assert source.box is not None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * 4096**2  # bytes: a few numbers for each pixel of the map


# Detected among names that are one to the model, and nothing that is known


NAMES = ("man", "woman", "dog", "train")


class Scripted(Method):
    """Has a score for each name, which falls by what others of its letter share with it."""

    name: ClassVar[str] = "scripted"
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = True

    def __init__(
        self,
        scores: Mapping[str, float],
        heard: Mapping[str, float] | None = None,
        seen: Mapping[str, float] | None = None,
        **config: float,
    ) -> None:
        super().__init__(MethodConfig(embedding=4, **config))  # type: ignore[arg-type]
        self.scores, self.sides = scores, (heard, seen)
        self.asked: list[tuple[str, ...]] = []

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        return {}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        return queries.label[:, None, None].float().expand(-1, 2, 2) + torch.eye(2)

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        self.asked.append(vocabulary.names)
        shared = 0.1 * ({"man", "woman"} <= set(vocabulary.names))
        return torch.tensor([[self.scores[name] - shared for name in vocabulary.names]])

    def evidence(self, tokens: Tokens, vocabulary: Vocabulary) -> tuple[Tensor, Tensor] | None:
        heard, seen = (
            None if side is None else torch.tensor([[side[name] for name in vocabulary.names]])
            for side in self.sides
        )
        return None if heard is None or seen is None else (heard, seen)


def answered(method: Method, merging: bool = False, **request: object) -> Localization:
    tokens = Tokens(
        torch.zeros(1, 4, 4), torch.zeros(1, 1, 4), torch.zeros(1, 4), torch.zeros(1, 4), (2, 2)
    )
    vocabulary = Vocabulary(NAMES, torch.eye(4))
    groups = torch.tensor([0, 0, 2, 3]) if merging else None
    encoded = Encoded(tokens, (20, 20), None, (0.0, 1.0))
    asked = Request(**request)  # type: ignore[arg-type]
    return answer(method, encoded, asked, Classes(vocabulary, groups), "made up")


SCORES = {"man": 0.5, "woman": 0.7, "dog": 0.4, "train": 0.2}


def told(found: Localization) -> list[tuple[str, float, tuple[str, ...]]]:
    return [(one.label, pytest.approx(one.score), one.also) for one in found.sources]


def test_names_that_are_one_to_the_model_are_detected_once() -> None:
    found = answered(Scripted(SCORES, detection_threshold=0.3), merging=True)
    # Without the man nothing is shared any more: the others are scored anew.
    assert told(found) == [("woman", 0.7, ("man",)), ("dog", 0.4, ())]
    assert [one["also"] for one in found.to_dict()["sources"]] == [["man"], []]
    assert found.sources[0].grid[0, 0] == 1  # row of the woman among the three that are left


def test_they_count_as_one_of_the_sources_that_are_asked_for() -> None:
    found = answered(Scripted(SCORES), merging=True, sources=3)
    assert [one.label for one in found.sources] == ["woman", "dog", "train"]


def test_unless_names_are_merged_each_is_told() -> None:
    method = Scripted(SCORES, detection_threshold=0.35)
    assert told(answered(method)) == [("woman", 0.6, ()), ("man", 0.4, ())]
    assert method.asked == [NAMES]


def test_given_labels_are_never_merged() -> None:
    found = answered(Scripted(SCORES), merging=True, labels=["woman", "man"])
    assert told(found) == [("woman", 0.6, ()), ("man", 0.4, ())]


@pytest.mark.parametrize("merging", [False, True])
def test_nothing_that_is_known_is_an_answer(merging: bool) -> None:
    found = answered(Scripted(SCORES, detection_threshold=0.9), merging)
    assert found.sources == ()
    assert found.heard == (0.0, 1.0)
    assert found.candidate is not None
    assert found.candidate.label == "woman"
    (notice,) = found.to_dict()["notices"]
    for part in ("nothing that the model knows", "'woman'", "0.90", "0.70" if merging else "0.60"):
        assert part in notice


def test_a_class_has_to_be_heard_and_seen() -> None:
    heard = {"man": 0.5, "woman": 0.1, "dog": 0.3, "train": 0.9}
    seen = {"man": 0.2, "woman": 0.9, "dog": 0.4, "train": 0.9}
    method = Scripted(SCORES, heard, seen, detection_threshold=0.25)
    assert [one.label for one in answered(method).sources] == ["woman", "man", "dog"]
    method.set_tuned(heard_floor=0.2)
    assert [one.label for one in answered(method).sources] == ["man", "dog"]
    method.set_tuned(seen_floor=0.3)
    assert [one.label for one in answered(method).sources] == ["dog"]
    method.set_tuned(heard_floor=None)
    assert [one.label for one in answered(method).sources] == ["woman", "dog"]
    method.set_tuned(seen_floor=0.95)
    found = answered(method)
    assert found.sources == ()
    assert found.notices[0].startswith("nothing that the model knows")
    assert "hardly heard or seen" in found.notices[0]
    # What is asked for by number or by name is given, whatever the evidence.
    assert len(answered(method, sources=2).sources) == 2
    assert len(answered(method, labels=["woman"]).sources) == 1


def test_without_a_calibrated_threshold_something_is_always_told() -> None:
    low = dict.fromkeys(NAMES, -1.0)
    found = answered(Scripted(low, low, low, heard_floor=0.5))
    assert len(found.sources) == 1
    assert found.notices == ()


def test_notices_of_the_request_stand_on_every_result() -> None:
    found = answered(Scripted(SCORES, detection_threshold=0.9), notices=("first",))
    assert found.notices[0] == "first"
    assert len(found.notices) == 2
    assert answered(Scripted(SCORES), notices=("first",), labels=["dog"]).notices == ("first",)


def test_boxes_are_those_of_labelled_regions() -> None:
    from scipy import ndimage

    from tvsl.boxes import box_around_peak

    random = np.random.default_rng(0)
    for smoothing in (0, 1, 3):
        for height, width in ((1, 1), (1, 40), (40, 1), (37, 53), (90, 160)):
            values = ndimage.gaussian_filter(random.random((height, width)), smoothing)
            heat = (values / values.max()).astype(np.float32)
            for cut in (0.3, 0.5, 0.8, 0.99):
                regions, _ = ndimage.label(heat >= cut)
                peak = np.unravel_index(int(heat.argmax()), heat.shape)
                rows, columns = ndimage.find_objects(regions)[regions[peak] - 1]
                box = box_around_peak(heat, cut)
                assert box is not None
                assert box.to_list() == [columns.start, rows.start, columns.stop, rows.stop]
