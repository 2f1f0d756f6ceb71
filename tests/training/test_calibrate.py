from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch import Tensor

from tests.evaluation.made_scenes import made_scenes
from tvsl.evaluation.batch import EncodedBatch
from tvsl.evaluation.score import ScoredPixels
from tvsl.methods.base import Method, MethodConfig, Supervision
from tvsl.methods.tvsl import TVSLConfig
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.training import calibrate as module
from tvsl.training.calibrate import best_threshold, calibrate, map_score

SCENES = (made_scenes(6, 1, seed=1), made_scenes(5, 2, seed=2))


class Prompter(Method):
    """Knows the truth of some scenes, and says it in the way it is told to."""

    name: ClassVar[str] = "prompter"
    config_type: ClassVar[type[MethodConfig]] = TVSLConfig
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = True
    tunable: ClassVar[frozenset[str]] = Method.tunable | {"readout", "detector"}

    def __init__(self, scenes: Sequence[EncodedBatch], blurred: str = "signed") -> None:
        super().__init__(TVSLConfig())
        self.truth = {id(part.tokens): part for part in scenes}
        self.blurred = blurred
        self.layer = torch.nn.Linear(2, 2)
        self.asked = 0

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        return {}

    def readouts(self) -> list[dict[str, Any]]:
        return [{"readout": name} for name in ("signed", "text", "sum")]

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        assert not self.training
        assert (self.polarity, self.config.clamp_negative, self.config.exponent) == (1, False, 1)
        self.asked += 1
        noise = torch.rand(len(queries), *self.size(tokens), generator=seeded())
        if self.config.readout == self.blurred:  # type: ignore[attr-defined]
            return self.raw(self.truth[id(tokens)].targets.float(), 0.2 * noise)
        return noise

    def raw(self, truth: Tensor, noise: Tensor) -> Tensor:
        return truth + noise

    def size(self, tokens: Tokens) -> tuple[int, int]:
        return self.truth[id(tokens)].size


class Inverted(Prompter):
    """Lower on the source than around it."""

    def raw(self, truth: Tensor, noise: Tensor) -> Tensor:
        return 1 - truth - noise


class Stretched(Prompter):
    """A source at 1 among noise around 0, and another source at -5 that stretches the range."""

    def raw(self, truth: Tensor, noise: Tensor) -> Tensor:
        maps = truth + noise
        maps[:, :3, :3] = -5.0
        return maps


class Faint(Prompter):
    """Almost as high beside the source as on it."""

    def raw(self, truth: Tensor, noise: Tensor) -> Tensor:
        return truth + 0.68 * (1 - truth) * (noise > 0.02) + 0.02 * noise


class Peaked(Prompter):
    """One cell of a source far above its others."""

    def raw(self, truth: Tensor, noise: Tensor) -> Tensor:
        peak = truth.flatten(1).cumsum(dim=1).view_as(truth) == 1
        return truth * (1 + 2 * peak) + noise


class Deep(Prompter):
    """Around the source deeply negative: uncut, the best exponent would be another one."""

    def raw(self, truth: Tensor, noise: Tensor) -> Tensor:
        around = torch.where(noise > 0.02, 0.68, -9.0)
        return truth + around * (1 - truth) + 0.02 * noise


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Prompter, {"polarity": 1}),
        (Inverted, {"polarity": -1}),
        (Stretched, {"polarity": 1, "clamp_negative": True}),
        (Faint, {"polarity": 1, "exponent": 2.0}),
        (Peaked, {"polarity": 1, "exponent": 0.5}),
        (Deep, {"polarity": 1, "clamp_negative": True, "exponent": 2.0}),
    ],
)
def test_the_way_that_finds_the_sources_is_chosen(
    kind: type[Prompter], expected: dict[str, object]
) -> None:
    method = kind(SCENES).train()
    weights = {name: value.clone() for name, value in method.state_dict().items()}
    decided = calibrate(method, SCENES, SCENES)
    assert decided.hyperparameters.items() >= {**expected, "readout": "signed"}.items()
    assert vars(method.config).items() >= decided.hyperparameters.items()
    assert decided.score == decided.trials[0].score > 90
    assert decided.trials[0].hyperparameters["readout"] == "signed"
    scores = [trial.score for trial in decided.trials]
    assert scores == sorted(scores, reverse=True)
    assert len(decided.trials) == 3
    assert json.loads(json.dumps(asdict(decided))) == asdict(decided)  # stored with the head
    assert method.asked == 3 * len(SCENES)  # once for each readout and set of scenes
    assert all(torch.equal(value, weights[name]) for name, value in method.state_dict().items())


@pytest.mark.parametrize("readout", ["signed", "text", "sum"])
def test_the_best_readout_is_chosen(readout: str) -> None:
    method = Prompter(SCENES, readout)
    assert calibrate(method, SCENES, SCENES).hyperparameters["readout"] == readout
    assert method.config.readout == readout  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [Prompter, Inverted, Stretched, Faint, Peaked, Deep])
def test_nothing_is_scored_twice_and_nothing_is_missed(
    kind: type[Prompter], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[list[Tensor]] = []
    real = module.map_score

    def told(
        method: Method,
        raw: Sequence[Tensor],
        scenes: Sequence[EncodedBatch],
        pixels: Sequence[ScoredPixels],
    ) -> float:
        shown.append([method.postprocess(maps) for maps in raw])
        return real(method, raw, scenes, pixels)

    monkeypatch.setattr(module, "map_score", told)
    method = kind(SCENES)
    (best,) = [
        trial
        for trial in calibrate(method, SCENES, SCENES).trials
        if trial.hyperparameters["readout"] == "signed"
    ]
    for one, other in combinations(shown[: len(shown) // 3], 2):
        assert not all(map(torch.equal, one, other))
    method.set_tuned(readout="signed", polarity=1, clamp_negative=False, exponent=1.0)
    raw = [method.maps(part.tokens, part.queries, part.vocabulary) for part in SCENES]

    def score(polarity: int, clamp: bool, exponent: float) -> float:
        method.set_tuned(polarity=polarity, clamp_negative=clamp, exponent=exponent)
        return real(method, raw, SCENES, [ScoredPixels(part, module.STEP) for part in SCENES])

    polarity = best.hyperparameters["polarity"]
    assert score(polarity, False, 1.0) >= score(-polarity, False, 1.0)
    assert best.score == max(
        score(polarity, clamp, exponent) for clamp in (False, True) for exponent in module.EXPONENTS
    )


def test_a_method_without_detection_has_no_threshold() -> None:
    method = Prompter(SCENES)
    decided = calibrate(method, SCENES, SCENES)
    assert decided.detection == []
    assert "detection_threshold" not in decided.hyperparameters
    assert method.config.detection_threshold is None


class Detecting(Prompter):
    """Detects well by one of two detectors: classes that sound score 0.7, others up to 0.5."""

    def __init__(self, scenes: Sequence[EncodedBatch], good: str) -> None:
        super().__init__(scenes)
        self.good = good

    def detectors(self) -> list[dict[str, Any]]:
        return [{"detector": "evidence"}, {"detector": "fusion"}]

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        labels = self.truth[id(tokens)].labels
        noise = 0.5 * torch.rand(labels.shape, generator=seeded())
        good = self.config.detector == self.good  # type: ignore[attr-defined]
        return torch.where(labels, 0.7, noise) if good else noise


@pytest.mark.parametrize("good", ["evidence", "fusion"])
def test_the_best_detector_and_its_threshold_are_chosen(good: str) -> None:
    method = Detecting(SCENES, good)
    decided = calibrate(method, SCENES, SCENES)
    assert decided.hyperparameters["detector"] == method.config.detector == good  # type: ignore[attr-defined]
    assert decided.detection[0].hyperparameters["detector"] == good
    assert decided.detection[0].score == pytest.approx(100)
    assert decided.detection[1].score < 90
    threshold = method.config.detection_threshold
    assert threshold is not None
    assert 0.5 < threshold < 0.7
    assert decided.hyperparameters["detection_threshold"] == threshold
    assert decided.hyperparameters["readout"] == "signed"  # what maps are read by stays


class Weighing(Detecting):
    """Has evidence for the classes that sound, more in the picture, and less for the others."""

    def evidence(self, tokens: Tokens, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
        labels = self.truth[id(tokens)].labels
        heard = torch.full(labels.shape, -1.0)
        heard[labels] = torch.linspace(0.01, 0.49, int(labels.sum()))
        return heard, heard + 0.5 * labels


def test_each_floor_of_detection_keeps_most_sources() -> None:
    method = Weighing(SCENES, "evidence")
    decided = calibrate(method, SCENES, SCENES)
    sides = [method.evidence(part.tokens, part.vocabulary) for part in SCENES]
    floors = (method.config.heard_floor, method.config.seen_floor)
    assert floors == (
        decided.hyperparameters["heard_floor"],
        decided.hyperparameters["seen_floor"],
    )
    for number, floor in enumerate(floors):
        sounding = torch.cat(
            [side[number][part.labels] for side, part in zip(sides, SCENES, strict=True)]
        )
        assert floor == pytest.approx(np.quantile(sounding.numpy(), 1 - module.KEPT))
        assert float((sounding >= floor).float().mean()) == pytest.approx(module.KEPT, abs=0.07)


def test_without_two_sides_there_are_no_floors() -> None:
    method = Detecting(SCENES, "evidence")
    decided = calibrate(method, SCENES, SCENES)
    assert not {"heard_floor", "seen_floor"} & decided.hyperparameters.keys()
    assert method.config.heard_floor is None
    assert method.config.seen_floor is None


def test_maps_are_scored_as_the_paper_reports_them() -> None:
    method = Prompter(SCENES)
    single, duet = SCENES
    raw = [part.targets.float() for part in SCENES]
    assert map_score(method, raw, SCENES) == pytest.approx(100)
    half = raw[1].clone()
    half[::2] = torch.rand(half[::2].shape, generator=seeded())
    assert map_score(method, [raw[0], half], SCENES) == pytest.approx(
        (200 + map_score(method, [half], [duet]) * 2) / 4
    )
    # A box of 0.4 of the map: enough for one of several sources, not for a single one.
    for part, succeeds in ((single, False), (duet, True)):
        wide = part.targets.float()
        for number, box in enumerate(part.targets):
            rest = (~box).flatten().nonzero()[:, 0][: round(1.5 * int(box.sum()))]
            wide[number].view(-1)[rest] = 0.9
        assert map_score(method, [wide], [part]) == pytest.approx(100 if succeeds else 50)


SCORES = st.lists(
    st.tuples(st.integers(-8, 8).map(lambda n: n / 4), st.booleans()), min_size=1, max_size=25
)


@given(SCORES)
def test_the_threshold_has_the_highest_f1(pairs: list[tuple[float, bool]]) -> None:
    if not any(true for _, true in pairs):
        pairs = [*pairs, (0.25, True)]
    scores, truth = (np.array(column) for column in zip(*pairs, strict=True))
    threshold = best_threshold(torch.from_numpy(scores), torch.from_numpy(truth))
    reached = f1_score(truth, scores >= threshold)
    assert reached == pytest.approx(max(f1_score(truth, scores >= value) for value in set(scores)))
    lowest, others = scores[scores >= threshold].min(), scores[scores < threshold]
    if len(others):
        assert threshold == pytest.approx((lowest + others.max()) / 2)  # half way
    else:
        assert threshold == lowest
