from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.mini_bundle import write_mini_bundle
from tests.small_model import write_bundle
from tvsl import Localizer
from tvsl.demo.run import PROTOCOL, Demo, MapScore, run_demo, score_sources
from tvsl.demo.scenes import DemoScene
from tvsl.errors import UsageError, VocabularyError
from tvsl.evaluation.batch import encode_scenes
from tvsl.evaluation.score import score_maps
from tvsl.localization import SoundSource
from tvsl.synthetic.export import describe


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
        truth = describe(result.case.world, result.case.scene, {})
        size = (truth["height"], truth["width"])
        for source in result.sources:
            target = filled(truth["boxes"][source.label][0], size)
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


def test_scores_equal_those_of_the_tables(demo: Demo, localizer: Localizer) -> None:
    for result in demo.results:
        scene = result.case.scene
        encoded = encode_scenes(
            localizer.encoder, result.case.world, len(scene.panels), scene.index + 1
        )
        maps = localizer.method.maps(encoded.tokens, encoded.queries, encoded.vocabulary)
        scores = score_maps(localizer.method.postprocess(maps), encoded).columns
        for place, source in enumerate(result.sources, start=scene.index * len(scene.panels)):
            assert encoded.vocabulary.names[int(scores["labels"][place])] == source.label
            assert float(scores["ciou"][place]) == pytest.approx(source.given_score.ciou, abs=5e-3)
            right = float(scores["right twin"][place])
            assert source.given_score.right_twin == (None if np.isnan(right) else right == 1)


def test_maps_are_what_a_user_gets(demo: Demo, localizer: Localizer) -> None:
    for result in demo.results:
        scene = result.case.scene
        sound, count = (scene.waveform, 16_000), len(scene.panels)
        names = result.case.world.names
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
        assert found <= set(result.case.world.names)
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
    folder = write_mini_bundle(
        tmp_path_factory.mktemp("calibrated") / "tiny", detection_threshold=threshold
    )
    demo = run_demo(Localizer.from_pretrained(folder, device="cpu"))
    assert f"{threshold:.3f}" in demo.detection_rule
    if found is None:  # nothing reaches it, yet at least one class must sound
        assert all(len(result.detected.sources) == 1 for result in demo.results)
    else:
        assert (demo.summary["detected"], demo.summary["false"]) == (found, false)


def test_the_summary_counts(demo: Demo) -> None:
    content = demo.to_dict()
    sources = [source for scene in content["scenes"] for source in scene["sources"]]
    summary = content["summary"]
    assert summary["scenes"] == 7
    assert summary["sources"] == len(sources) == 14
    assert summary["given_hits"] == sum(source["given"]["hit"] for source in sources)
    found = [source["with_detection"] for source in sources if source["detected"]]
    assert summary["detected"] == len(found)
    assert summary["detected_hits"] == sum(score["hit"] for score in found)
    assert summary["false"] == sum(len(scene["false"]) for scene in content["scenes"])


def test_results_say_how_they_came_about(demo: Demo, localizer: Localizer) -> None:
    content = json.loads(json.dumps(demo.to_dict(), allow_nan=False))
    assert content["model"] == localizer.name == "tiny/tvsl (own head)"
    assert content["encoder_sha256"] == localizer.encoder.fingerprint
    assert content["protocol"] == PROTOCOL
    assert content["detection"] == demo.detection_rule
    assert "no threshold was calibrated" in demo.detection_rule
    assert [scene["hit_from"] for scene in content["scenes"]] == [0.5, 0.3, 0.3, 0.3, 0.5, 0.5, 0.3]
    for scene in content["scenes"]:
        assert scene["truth"]["world"]["split"] == "test"
        assert scene["given"]["label_source"] == "given"
        assert scene["detected"]["label_source"] == "detected"


def scored(found: list[SoundSource], case: DemoScene, localizer: Localizer) -> list[MapScore]:
    names = case.scene.labels
    encoded = localizer.encode(case.scene.picture, (case.scene.waveform, 16_000), len(names))
    scores = score_sources(found, case, encoded.tokens, localizer.encoder.vocabulary(names))
    assert None not in scores
    return [score for score in scores if score is not None]


def test_a_perfect_map_is_a_hit_and_finds_the_right_twin(demo: Demo, localizer: Localizer) -> None:
    for result in demo.results:
        scene = result.case.scene
        size = (scene.picture.shape[0], scene.picture.shape[1])
        targets = [filled(list(box), size).astype(np.float32) for box in result.case.boxes]
        found = [SoundSource("any", 1.0, target, size) for target in targets]
        for panel, score in zip(scene.panels, scored(found, result.case, localizer), strict=True):
            assert (score.ciou, score.box_iou, score.hit) == (1.0, 1.0, True)
            assert score.right_twin is (None if panel.twin is None else True)


def test_a_map_of_the_twin_is_a_miss(demo: Demo, localizer: Localizer) -> None:
    (result,) = [result for result in demo.results if result.case.kind.twin]
    (box,) = result.case.twins
    assert box is not None
    size = (112, 112)
    found = SoundSource("any", 1.0, filled(list(box), size).astype(np.float32), size)
    (score,) = scored([found], result.case, localizer)
    assert (score.hit, score.right_twin) == (False, False)


def test_a_map_without_contrast_is_all_of_the_picture(demo: Demo, localizer: Localizer) -> None:
    case = demo.results[0].case
    found = SoundSource("any", 1.0, np.ones((14, 14), dtype=np.float32), (112, 112))
    (score,) = scored([found], case, localizer)
    left, top, right, bottom = case.boxes[0]
    assert score.ciou == pytest.approx((right - left) * (bottom - top) / 112**2)
    assert (score.box_iou, score.hit) == (0.0, False)


def test_progress_is_reported(localizer: Localizer) -> None:
    calls: list[tuple[int, Any]] = []
    run_demo(localizer, 5, lambda done, total: calls.append((done, total)))
    assert calls == [(number, 7) for number in range(1, 8)]


def test_a_model_without_the_words_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write_bundle(tmp_path_factory.mktemp("other") / "world")
    with pytest.raises(VocabularyError, match="striped"):
        run_demo(Localizer.from_pretrained(folder, device="cpu"))


def test_a_negative_seed_is_refused(localizer: Localizer) -> None:
    with pytest.raises(UsageError, match="seed"):
        run_demo(localizer, -1)
