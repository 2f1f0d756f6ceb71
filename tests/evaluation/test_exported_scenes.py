"""A scene localizes the same, whichever way it comes: in memory, from files, in the tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import run
from tvsl import Localization, Localizer
from tvsl.evaluation.batch import encode_scenes
from tvsl.synthetic.export import export_world, scene_id
from tvsl.synthetic.world import World, WorldScene

COUNT = 3
WORLD = World("test", "all", seed=2)


def localized(localizer: Localizer, scene: WorldScene) -> Localization:
    sound = (scene.waveform, 16_000)
    return localizer.localize(scene.picture, sound, scene.labels, panels=len(scene.panels))


@pytest.fixture(scope="module", params=[1, 2, 4])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, Path]:
    folder = tmp_path_factory.mktemp("exported") / "world"
    export_world(WORLD, folder, COUNT, request.param, videos=True)
    return request.param, folder


@pytest.mark.parametrize("sources", [1, 2, 3, 4])
def test_the_tables_score_the_same_maps(sources: int, localizer: Localizer) -> None:
    scenes = encode_scenes(localizer.encoder, WORLD, sources, COUNT)
    method = localizer.method
    raw = method.maps(scenes.tokens, scenes.queries, scenes.vocabulary)
    maps = method.postprocess(raw).detach().numpy()
    scores = method.detect(scenes.tokens, scenes.vocabulary)
    assert scores is not None
    for index in range(COUNT):
        found = localized(localizer, WORLD.scene(index, sources))
        for place, source in enumerate(found.sources):
            np.testing.assert_allclose(source.grid, maps[index * sources + place], atol=1e-5)
            column = scenes.vocabulary.names.index(source.label)
            assert source.score == pytest.approx(float(scores[index, column]), abs=1e-5)


def test_files_without_loss_give_the_same(exported: tuple[int, Path], localizer: Localizer) -> None:
    sources, folder = exported
    for index in range(COUNT):
        scene = WORLD.scene(index, sources)
        name = scene_id(WORLD, scene)
        picture, sound = folder / "frames" / f"{name}.png", folder / "audio" / f"{name}.wav"
        found = localizer.localize(picture, sound, scene.labels, panels=sources)
        for one, other in zip(found.sources, localized(localizer, scene).sources, strict=True):
            np.testing.assert_array_equal(one.grid, other.grid)
            assert (one.label, one.score, one.box) == (other.label, other.score, other.box)


def test_a_video_gives_nearly_the_same(exported: tuple[int, Path], localizer: Localizer) -> None:
    sources, folder = exported
    for index in range(COUNT):
        scene = WORLD.scene(index, sources)
        video = folder / "videos" / f"{scene_id(WORLD, scene)}.mp4"
        (found,) = localizer.localize_video(video, scene.labels, at=0.5, panels=sources)
        for one, other in zip(found.sources, localized(localizer, scene).sources, strict=True):
            assert one.grid.shape == other.grid.shape
            assert np.corrcoef(one.grid.ravel(), other.grid.ravel())[0, 1] > 0.98
            assert one.score == pytest.approx(other.score, abs=0.02)


def test_the_command_line_gives_the_same(
    exported: tuple[int, Path], bundle: Path, localizer: Localizer, tmp_path: Path
) -> None:
    sources, folder = exported
    scene = WORLD.scene(0, sources)
    name = scene_id(WORLD, scene)
    ran = run(
        "localize", folder / "frames" / f"{name}.png",
        "--audio", folder / "audio" / f"{name}.wav",
        "--panels", str(sources), "--labels", ",".join(scene.labels),
        "--model", bundle, "--device", "cpu", "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    written = localized(localizer, scene).to_dict()
    content = json.loads((tmp_path / "out" / "localization.json").read_text())
    assert content["settings"]["panels"] == sources
    found = content["moments"][0]["sources"]
    for one, other in zip(found, written["sources"], strict=True):
        # Not to the last bit: texts embedded in another batch are rounded otherwise.
        np.testing.assert_allclose(one["map"], other["map"], atol=3e-6)
        assert one["score"] == pytest.approx(other["score"], abs=3e-6)
        assert (one["label"], one["time_range"]) == (other["label"], other["time_range"])
