from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from tests.methods.tvsl.inputs import head
from tvsl.methods.tvsl import TVSL
from tvsl.methods.tvsl.detection import EVIDENCE
from tvsl.training.calibrate import Calibration, Trial


@pytest.fixture(name="script")
def _script() -> ModuleType:
    return import_module("head")


@pytest.mark.parametrize(
    ("scores", "anchor"),
    [
        ({0.0: 60.0, 0.25: 59.5, 0.5: 59.1, 0.75: 58.0}, 0.5),
        ({0.0: 60.0, 0.25: 58.9, 0.5: 58.0, 0.75: 57.0}, 0.0),
        ({0.0: 50.0, 0.25: 60.0, 0.5: 58.9, 0.75: 59.0}, 0.75),
    ],
)
def test_the_head_stays_near_the_encoder(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, scores: dict[float, float], anchor: float
) -> None:
    """Of all shares within a point of the best the largest; the spreading is that of the maps."""
    built = head("tvsl", token_projectors="trained")

    def calibrate(method: TVSL, *scenes: Any) -> Calibration:
        found = [Trial({"detector": "evidence"}, 2 * scores[method.config.token_anchor])]
        return Calibration({"detector": "evidence", "detection_threshold": 0.5}, None, [], found)

    def map_score(method: TVSL, *scenes: Any) -> float:
        return -abs(method.config.affinity - 6.0)

    monkeypatch.setattr(script, "calibrate", calibrate)
    monkeypatch.setattr(script, "map_score", map_score)
    chosen, tried = script.choose(built, [])
    assert [one.score for one in tried] == [scores[share] for share in script.ANCHORS]
    assert chosen.anchor == anchor
    config = built.config
    assert (config.token_anchor, config.affinity, config.detector) == (anchor, 6.0, "evidence")
    assert config.detection_threshold == 0.5


def test_detectors_that_know_some_classes_alone_are_left_out(script: ModuleType) -> None:
    built = script.OpenTVSL(head("tvsl").config)
    assert [one["detector"] for one in built.detectors()] == list(EVIDENCE)
