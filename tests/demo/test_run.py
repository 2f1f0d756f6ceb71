from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.demo_models import Models
from tests.small_model import write_bundle
from tvsl import Localizer
from tvsl.demo.run import PROTOCOL, Demo, MapScore, run_demo, score_sources
from tvsl.demo.scenes import DemoScene
from tvsl.errors import UsageError, VocabularyError
from tvsl.evaluation.batch import encode_scenes
from tvsl.evaluation.score import score_maps
from tvsl.localization import SoundSource
from tvsl.synthetic.world import World


def region(grid: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A map scaled up by hand, pixel by pixel, and cut at half of its range."""
    height, width = size
    rows = (np.arange(height) + 0.5) * grid.shape[0] / height - 0.5
    columns = (np.arange(width) + 0.5) * grid.shape[1] / width - 0.5
    down = np.stack([np.interp(rows, np.arange(len(line)), line) for line in grid.T.astype(float)])
    full = np.stack([np.interp(columns, np.arange(len(line)), line) for line in down.T])
    return (full - full.min()) >= 0.5 * (full.max() - full.min())


def overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / (first | second).sum())


def filled(box: list[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    left, top, right, bottom = box
    mask = np.zeros(size, dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def test_scores_equal_an_independent_computation(demo: Demo) -> None:
    for result in demo.results:
        size = result.case.scene.picture.shape[:2]
        for number, source in enumerate(result.sources):
            rows, columns = np.nonzero(result.case.scene.mask(number))
            bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            target = filled(bounds, size)
            pairs = ((source.given, source.given_score), (source.detected, source.detected_score))
            for found, score in pairs:
                if found is None or score is None:
                    assert found is score is None
                    continue
                wanted = overlap(region(found.grid, size), target)
                assert score.ciou == pytest.approx(wanted, abs=5e-3)  # a pixel at the cut
                assert found.box is not None
                box = filled(found.box.to_list(), size)
                assert score.box_iou == pytest.approx(overlap(box, target), abs=1e-9)
                assert score.hit == (score.ciou >= (0.5 if len(result.sources) == 1 else 0.3))


def test_scores_equal_those_of_the_tables(demo: Demo, models: Models) -> None:
    localizer = models.laboratory
    for result in demo.laboratory.results:
        scene, world = result.case.scene, result.case.truth["world"]
        maker = World("test", world["classes"])
        encoded = encode_scenes(localizer.encoder, maker, len(scene.panels), scene.index + 1)
        maps = localizer.method.maps(encoded.tokens, encoded.queries, encoded.vocabulary)
        scores = score_maps(localizer.method.postprocess(maps), encoded).columns
        for place, source in enumerate(result.sources, start=scene.index * len(scene.panels)):
            assert encoded.vocabulary.names[int(scores["labels"][place])] == source.label
            assert float(scores["ciou"][place]) == pytest.approx(source.given_score.ciou, abs=5e-3)
            right = float(scores["right twin"][place])
            assert source.given_score.right_twin == (None if np.isnan(right) else right == 1)


def test_maps_are_what_a_user_gets(demo: Demo, models: Models) -> None:
    for number, result in enumerate(demo.results):
        localizer, scene = models.localizer(demo, number), result.case.scene
        sound, count = (scene.waveform, 16_000), len(scene.panels)
        names = result.case.names
        pairs = (
            (result.given, localizer.localize(scene.picture, sound, scene.labels, panels=count)),
            (result.detected, localizer.localize(scene.picture, sound, None, names, panels=count)),
        )
        for first, found in pairs:
            assert [s.label for s in first.sources] == [s.label for s in found.sources]
            for one, other in zip(first.sources, found.sources, strict=True):
                np.testing.assert_array_equal(one.grid, other.grid)
                assert one.score == other.score


def test_detection_is_told_neither_labels_nor_how_many(demo: Demo) -> None:
    for result in demo.results:
        labels = result.case.scene.labels
        found = {source.label for source in result.detected.sources}
        assert result.detected.label_source == "detected"
        assert found <= set(result.case.names)
        assert {s.label for s in result.sources if s.detected is not None} == found & set(labels)
        assert {source.label for source in result.false} == found - set(labels)
        for source in result.sources:
            if source.detected is None:
                assert not source.hit_detected


@pytest.mark.parametrize(
    ("threshold", "found", "false"), [(-10.0, 14, 7 * 18 - 14), (10.0, None, None)]
)
def test_the_calibrated_threshold_decides(
    threshold: float,
    found: int | None,
    false: int | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("calibrated")
    part = Models(folder, detection_threshold=threshold).run().laboratory
    assert f"{threshold:.3f}" in part.detection_rule
    if found is None:  # nothing reaches it
        assert all(result.detected.sources == () for result in part.results)
        assert (part.summary["detected"], part.summary["false"]) == (0, 0)
    else:
        assert (part.summary["detected"], part.summary["false"]) == (found, false)


def test_a_class_counts_as_detected_under_a_name_that_is_the_same_to_the_model(
    demo: Demo,
) -> None:
    result = demo.results[0]
    (label,) = result.case.scene.labels
    other = replace(result.given.sources[0], label="another name", also=(label,))
    changed = replace(result, detected=replace(result.detected, sources=(other,)))
    assert changed.false == ()
    alone = replace(other, also=())
    wrong = replace(result, detected=replace(result.detected, sources=(alone,)))
    assert wrong.false == (alone,)


def test_the_summaries_count(demo: Demo) -> None:
    parts = demo.to_dict()["parts"]
    assert [part["name"] for part in parts] == ["real", "laboratory"]
    for part, scenes, count in zip(parts, (8, 7), (13, 14), strict=True):
        sources = [source for scene in part["scenes"] for source in scene["sources"]]
        summary = part["summary"]
        assert summary["scenes"] == scenes
        assert summary["sources"] == len(sources) == count
        assert summary["given_hits"] == sum(source["given"]["hit"] for source in sources)
        found = [source["with_detection"] for source in sources if source["detected"]]
        assert summary["detected"] == len(found)
        assert summary["detected_hits"] == sum(score["hit"] for score in found)
        assert summary["false"] == sum(len(scene["false"]) for scene in part["scenes"])


def test_results_say_how_they_came_about(demo: Demo, models: Models) -> None:
    content = json.loads(json.dumps(demo.to_dict(), allow_nan=False))
    assert content["protocol"] == PROTOCOL
    splits = {"real": "validation", "laboratory": "test"}
    worlds = {"real": "real", "laboratory": "world"}
    for part, localizer in zip(content["parts"], (models.real, models.laboratory), strict=True):
        assert part["model"] == localizer.name
        assert part["encoder_sha256"] == localizer.encoder.fingerprint
        assert "no threshold was calibrated" in part["detection"]
        for scene in part["scenes"]:
            assert scene["hit_from"] == (0.5 if len(scene["sources"]) == 1 else 0.3)
            assert scene["truth"][worlds[part["name"]]]["split"] == splits[part["name"]]
            assert scene["given"]["label_source"] == "given"
            assert scene["detected"]["label_source"] == "detected"


def scored(found: list[SoundSource], case: DemoScene, models: Models) -> list[MapScore]:
    names, localizer = case.scene.labels, models.real
    scores = score_sources(found, case, localizer.encoder.vocabulary(names))
    assert None not in scores
    return [score for score in scores if score is not None]


def test_a_perfect_map_is_a_hit_and_finds_the_right_twin(demo: Demo, models: Models) -> None:
    for result in demo.results:
        scene = result.case.scene
        size = (scene.picture.shape[0], scene.picture.shape[1])
        targets = [filled(list(box), size).astype(np.float32) for box in result.case.boxes]
        found = [SoundSource("any", 1.0, target, size) for target in targets]
        for panel, score in zip(scene.panels, scored(found, result.case, models), strict=True):
            assert (score.ciou, score.box_iou, score.hit) == (1.0, 1.0, True)
            assert score.right_twin is (None if panel.twin is None else True)


def test_a_map_of_the_twin_is_a_miss(demo: Demo, models: Models) -> None:
    found = [result.case for result in demo.results if any(result.case.twins)]
    assert len(found) == 2  # a real and a made-up one
    for case in found:
        (box,) = case.twins
        assert box is not None
        height, width, _ = case.scene.picture.shape
        grid = filled(list(box), (height, width)).astype(np.float32)
        (score,) = scored([SoundSource("any", 1.0, grid, (height, width))], case, models)
        assert (score.hit, score.right_twin) == (False, False)


def test_a_map_without_contrast_is_all_of_the_picture(demo: Demo, models: Models) -> None:
    case = demo.laboratory.results[0].case
    found = SoundSource("any", 1.0, np.ones((14, 14), dtype=np.float32), (112, 112))
    (score,) = scored([found], case, models)
    left, top, right, bottom = case.boxes[0]
    assert score.ciou == pytest.approx((right - left) * (bottom - top) / 112**2)
    assert (score.box_iou, score.hit) == (0.0, False)


def test_progress_is_reported(models: Models) -> None:
    calls: list[tuple[int, Any]] = []
    report = lambda done, total: calls.append((done, total))  # noqa: E731
    run_demo(models.real, models.laboratory, 5, report)
    assert calls == [(number, 15) for number in range(1, 16)]


def test_a_model_without_the_words_says_so(
    models: Models, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_bundle(tmp_path_factory.mktemp("other") / "world")
    other = Localizer.from_pretrained(folder, device="cpu")
    with pytest.raises(VocabularyError, match="striped"):
        run_demo(models.real, other)
    with pytest.raises(VocabularyError, match="guitar"):
        run_demo(other, models.laboratory)


def test_a_negative_seed_is_refused(models: Models) -> None:
    with pytest.raises(UsageError, match="seed"):
        run_demo(models.real, models.laboratory, -1)
