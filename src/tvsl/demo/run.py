"""The demo: scenes of the test split localized with given and with detected labels, and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from tvsl.demo.scenes import DemoScene, demo_scenes
from tvsl.evaluation.batch import EncodedBatch, scene_truth
from tvsl.evaluation.predict import NO_MAP, Predictions
from tvsl.evaluation.score import score
from tvsl.localization import BOX_PROTOCOL, Box, Localization, SoundSource, shared_area
from tvsl.localizer import Localizer
from tvsl.metrics import PAPER
from tvsl.scenes import PixelBox
from tvsl.synthetic.export import describe
from tvsl.synthetic.sounds import SAMPLE_RATE
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.utils.progress import Progress

SINGLE_THRESHOLD = 0.5
SEVERAL_THRESHOLD = 0.3
PROTOCOL = (
    f"{PAPER.name}: the map, bilinear to the picture's size, min-max, cut at {PAPER.level}, must "
    f"reach a cIoU of {SINGLE_THRESHOLD} with the true box, or of {SEVERAL_THRESHOLD} where "
    "several sources sound; with detected labels a source that is not detected is a miss"
)


@dataclass(frozen=True)
class MapScore:
    """Scores of one map for its source.

    Attributes:
        ciou: Of the cut map with the true box.
        box_iou: Of the box that the user gets with the true box.
        hit: Whether ``ciou`` reaches the scene's threshold.
        right_twin: Whether the map is higher on the source than on its silent twin; None without
            a twin.
    """

    ciou: float
    box_iou: float
    hit: bool
    right_twin: bool | None


@dataclass(frozen=True, eq=False)
class DemoSource:
    """A true source, and what was found of it.

    Attributes:
        label: Its class.
        box: Where it is.
        given: What was localized with the label given.
        detected: The same with detected labels; None where the class was not detected.
        given_score: How good that is.
        detected_score: How good that is; None where the class was not detected: a miss.
    """

    label: str
    box: PixelBox
    given: SoundSource
    detected: SoundSource | None
    given_score: MapScore
    detected_score: MapScore | None

    @property
    def hit_detected(self) -> bool:
        """Tell whether it was detected and hit."""
        return self.detected_score is not None and self.detected_score.hit


@dataclass(frozen=True, eq=False)
class DemoResult:
    """Results of one scene.

    Attributes:
        case: The scene.
        given: All true labels given.
        detected: Classes detected among those of the split; their number is not given.
        sources: The true sources, panel by panel.
    """

    case: DemoScene
    given: Localization
    detected: Localization
    sources: tuple[DemoSource, ...]

    @property
    def false(self) -> tuple[SoundSource, ...]:
        """Detected sources that are not in the picture or do not sound."""
        labels = self.case.scene.labels
        return tuple(found for found in self.detected.sources if found.label not in labels)


@dataclass(frozen=True, eq=False)
class Demo:
    """All scenes, and what they were localized with.

    Attributes:
        model: Name of the model and its head.
        encoder_sha256: Fingerprint of the encoder.
        seed: Of the world.
        detection_threshold: Score from which on a class counts as detected, decided on validation
            data; None: it was not calibrated.
        results: Scene by scene.
    """

    model: str
    encoder_sha256: str
    seed: int
    detection_threshold: float | None
    results: tuple[DemoResult, ...]

    @property
    def detection_rule(self) -> str:
        """Rule by which classes were detected, in words."""
        if self.detection_threshold is None:
            return "the classes whose scores stand out (no threshold was calibrated), at least one"
        return (
            f"every class with a score of {self.detection_threshold:.3f} or more (calibrated on "
            "validation data), at least one"
        )

    @property
    def summary(self) -> dict[str, int]:
        """Counts over all scenes; ``false`` ones are detected without being seen and heard."""
        sources = [source for result in self.results for source in result.sources]
        return {
            "scenes": len(self.results),
            "sources": len(sources),
            "given_hits": sum(source.given_score.hit for source in sources),
            "detected": sum(source.detected is not None for source in sources),
            "detected_hits": sum(source.hit_detected for source in sources),
            "false": sum(len(result.false) for result in self.results),
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON types, raw maps included."""
        return {
            "model": self.model,
            "encoder_sha256": self.encoder_sha256,
            "seed": self.seed,
            "protocol": PROTOCOL,
            "box_protocol": BOX_PROTOCOL,
            "detection": self.detection_rule,
            "summary": self.summary,
            "scenes": [_scene_dict(result) for result in self.results],
        }


def run_demo(localizer: Localizer, seed: int = 0, report: Progress | None = None) -> Demo:
    """Localize and score the demo's scenes.

    Args:
        localizer: The model; it is asked as a user would ask it.
        seed: Of the world.
        report: Called with scenes so far and in all.

    Returns:
        The scenes and what was found.

    Raises:
        VocabularyError: The model has no words for the world's classes.
        UsageError: The method cannot detect, or a negative seed.
    """
    results = []
    scenes = demo_scenes(seed)
    for number, case in enumerate(scenes, start=1):
        results.append(_localize(localizer, case))
        if report is not None:
            report(number, len(scenes))
    return Demo(
        results[0].given.model,
        localizer.encoder.fingerprint,
        seed,
        localizer.method.config.detection_threshold,
        tuple(results),
    )


def _localize(localizer: Localizer, case: DemoScene) -> DemoResult:
    scene = case.scene
    sound = (scene.waveform, SAMPLE_RATE)
    encoded = localizer.encode(scene.picture, sound, panels=len(scene.panels))
    given = localizer.localize_encoded(encoded, labels=scene.labels)
    detected = localizer.localize_encoded(encoded, vocabulary=case.world.names)
    by_label = {source.label: source for source in detected.sources}
    again = [by_label.get(label) for label in scene.labels]
    vocabulary = localizer.encoder.vocabulary(scene.labels)
    scores = [
        score_sources(found, case, encoded.tokens, vocabulary) for found in (given.sources, again)
    ]
    columns = zip(scene.labels, case.boxes, given.sources, again, *scores, strict=True)
    return DemoResult(case, given, detected, tuple(DemoSource(*column) for column in columns))


def threshold(case: DemoScene) -> float:
    """The cIoU of a hit in a scene: less is asked where several sources sound."""
    return SINGLE_THRESHOLD if len(case.scene.panels) == 1 else SEVERAL_THRESHOLD


def score_sources(
    found: Sequence[SoundSource | None], case: DemoScene, tokens: Tokens, vocabulary: Vocabulary
) -> list[MapScore | None]:
    """Score the maps of a scene's true sources by the protocol ``paper``.

    Args:
        found: Localization of each true source; None where its class was not detected.
        case: The scene.
        tokens: Its tokens.
        vocabulary: Its classes.

    Returns:
        The scores of each source.
    """
    boxes, masks, twins = map(torch.from_numpy, scene_truth(case.scene))
    queries = Queries.from_lists([vocabulary.indices(case.scene.labels)])
    batch = EncodedBatch(tokens, vocabulary, queries, boxes, masks, twins)
    pairs = [place for place, source in enumerate(found) if source is not None]
    if not pairs:
        return [None] * len(found)
    maps = torch.from_numpy(np.stack([source.grid for source in found if source is not None]))
    rows = torch.full((len(found),), NO_MAP)
    rows[pairs] = torch.arange(len(pairs))
    predictions = Predictions(maps, torch.tensor(pairs), {"given": rows})
    columns = score(predictions, batch)["given"].columns
    scores = []
    for place, source in enumerate(found):
        overlap, twin = float(columns["ciou"][place]), float(columns["right twin"][place])
        truth = Box(*case.boxes[place])
        scores.append(
            None
            if source is None
            else MapScore(
                overlap,
                0.0 if source.box is None else _box_iou(truth, source.box),
                overlap >= threshold(case),
                None if np.isnan(twin) else twin == 1,
            )
        )
    return scores


def _box_iou(first: Box, second: Box) -> float:
    shared = shared_area(first, second)
    return shared / (shared_area(first, first) + shared_area(second, second) - shared)


def _scene_dict(result: DemoResult) -> dict[str, Any]:
    case = result.case
    return {
        "id": case.id,
        "kind": case.kind.name,
        "title": case.kind.title,
        "hit_from": threshold(case),
        "sources": [_source_dict(source) for source in result.sources],
        "false": [found.label for found in result.false],
        "truth": describe(case.world, case.scene, {}),
        "given": result.given.to_dict(),
        "detected": result.detected.to_dict(),
    }


def _source_dict(source: DemoSource) -> dict[str, Any]:
    score = source.detected_score
    return {
        "label": source.label,
        "true_box": list(source.box),
        "score": round(source.given.score, 6),
        "detected": source.detected is not None,
        "given": _score_dict(source.given_score),
        "with_detection": None if score is None else _score_dict(score),
    }


def _score_dict(score: MapScore) -> dict[str, Any]:
    return {
        **asdict(score),
        "ciou": round(score.ciou, 6),
        "box_iou": round(score.box_iou, 6),
    }
