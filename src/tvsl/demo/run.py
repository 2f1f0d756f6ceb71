"""The demo: real and made-up scenes localized with given and with detected labels, and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch

from tvsl.boxes import BOX_PROTOCOL, Box, box_iou
from tvsl.demo.scenes import DemoScene, made_up_scenes, real_scenes
from tvsl.evaluation.batch import Truth, scene_truth
from tvsl.evaluation.predict import NO_MAP, Predictions
from tvsl.evaluation.score import score
from tvsl.localization import Localization, SoundSource
from tvsl.localizer import Localizer
from tvsl.metrics import PAPER
from tvsl.scenes import PixelBox
from tvsl.tokens import Queries, Vocabulary
from tvsl.utils.processes import Progress, no_progress

PartName = Literal["real", "laboratory"]

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
        detected: Classes detected among the scene's names; their number is not given.
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
        return tuple(
            found for found in self.detected.sources if not _names(found).intersection(labels)
        )


@dataclass(frozen=True, eq=False)
class DemoPart:
    """Scenes of one kind of world, and what they were localized with.

    Attributes:
        name: ``real`` or ``laboratory``.
        model: Name of the model and its head.
        encoder_sha256: Fingerprint of the encoder.
        detection_threshold: Score from which on a class counts as detected, decided on validation
            data; None: it was not calibrated.
        results: Scene by scene.
    """

    name: PartName
    model: str
    encoder_sha256: str
    detection_threshold: float | None
    results: tuple[DemoResult, ...]

    @property
    def detection_rule(self) -> str:
        """Rule by which classes were detected, in words."""
        if self.detection_threshold is None:
            return "the classes whose scores stand out (no threshold was calibrated), at least one"
        return (
            f"every class with a score of {self.detection_threshold:.3f} or more (calibrated on "
            "validation data), if there is any; names that are one to the model count as one"
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
            "name": self.name,
            "model": self.model,
            "encoder_sha256": self.encoder_sha256,
            "detection": self.detection_rule,
            "summary": self.summary,
            "scenes": [_scene_dict(result) for result in self.results],
        }


@dataclass(frozen=True, eq=False)
class Demo:
    """The demo.

    Attributes:
        seed: Of the made-up world.
        real: Real mixtures, always the same ones.
        laboratory: Made-up scenes.
    """

    seed: int
    real: DemoPart
    laboratory: DemoPart

    @property
    def parts(self) -> tuple[DemoPart, ...]:
        """Both parts, in the order in which they are shown."""
        return self.real, self.laboratory

    @property
    def results(self) -> tuple[DemoResult, ...]:
        """Results of both parts."""
        return self.real.results + self.laboratory.results

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        return {
            "seed": self.seed,
            "protocol": PROTOCOL,
            "box_protocol": BOX_PROTOCOL,
            "parts": [part.to_dict() for part in self.parts],
        }


def run_demo(
    localizer: Localizer,
    laboratory: Localizer,
    seed: int = 0,
    report: Progress = no_progress,
) -> Demo:
    """Localize and score the demo's scenes.

    Args:
        localizer: The model of the real mixtures; it is asked as a user would ask it.
        laboratory: The model of the made-up scenes.
        seed: Of the made-up world.
        report: Called with scenes so far and in all.

    Raises:
        VocabularyError: A model has no words for its scenes' classes.
        UsageError: A method cannot detect, or a negative seed.
    """
    made_up, real = made_up_scenes(seed), real_scenes()
    wanted = [(localizer, case) for case in real] + [(laboratory, case) for case in made_up]
    results = []
    for number, (model, case) in enumerate(wanted, start=1):
        results.append(_localize(model, case))
        report(number, len(wanted))
    return Demo(
        seed,
        _part("real", localizer, results[: len(real)]),
        _part("laboratory", laboratory, results[len(real) :]),
    )


def _part(name: PartName, localizer: Localizer, results: Sequence[DemoResult]) -> DemoPart:
    return DemoPart(
        name,
        results[0].given.model,
        localizer.encoder.fingerprint,
        localizer.method.config.detection_threshold,
        tuple(results),
    )


def _localize(localizer: Localizer, case: DemoScene) -> DemoResult:
    scene = case.scene
    sound = (scene.waveform, scene.sample_rate)
    encoded = localizer.encode(scene.picture, sound, panels=len(scene.panels))
    given = localizer.localize_encoded(encoded, labels=scene.labels)
    detected = localizer.localize_encoded(encoded, vocabulary=case.names)
    by_label = {name: source for source in detected.sources for name in _names(source)}
    again = [by_label.get(label) for label in scene.labels]
    vocabulary = localizer.encoder.vocabulary(scene.labels)
    scores = [score_sources(found, case, vocabulary) for found in (given.sources, again)]
    columns = zip(scene.labels, case.boxes, given.sources, again, *scores, strict=True)
    return DemoResult(case, given, detected, tuple(DemoSource(*column) for column in columns))


def _names(source: SoundSource) -> set[str]:
    """The name of a source, and those that are the same to the model."""
    return {source.label, *source.also}


def threshold(case: DemoScene) -> float:
    """The cIoU of a hit in a scene: less is asked where several sources sound."""
    return SINGLE_THRESHOLD if len(case.scene.panels) == 1 else SEVERAL_THRESHOLD


def score_sources(
    found: Sequence[SoundSource | None], case: DemoScene, vocabulary: Vocabulary
) -> list[MapScore | None]:
    """Score the maps of a scene's true sources by the protocol ``paper``.

    Args:
        found: Localization of each true source; None where its class was not detected.
        case: The scene.
        vocabulary: Its classes.
    """
    boxes, masks, twins = map(torch.from_numpy, scene_truth(case.scene))
    queries = Queries.from_lists([vocabulary.indices(case.scene.labels)])
    known = Truth(queries, boxes, masks, twins)
    pairs = [place for place, source in enumerate(found) if source is not None]
    if not pairs:
        return [None] * len(found)
    maps = torch.from_numpy(np.stack([source.grid for source in found if source is not None]))
    rows = torch.full((len(found),), NO_MAP)
    rows[pairs] = torch.arange(len(pairs))
    predictions = Predictions(maps, torch.tensor(pairs), {"given": rows})
    columns = score(predictions, known)["given"].columns
    scores = []
    for place, source in enumerate(found):
        overlap, twin = float(columns["ciou"][place]), float(columns["right twin"][place])
        truth = Box(*case.boxes[place])
        scores.append(
            None
            if source is None
            else MapScore(
                overlap,
                0.0 if source.box is None else box_iou(truth, source.box),
                overlap >= threshold(case),
                None if np.isnan(twin) else twin == 1,
            )
        )
    return scores


def _scene_dict(result: DemoResult) -> dict[str, Any]:
    case = result.case
    return {
        "id": case.id,
        "kind": case.kind.name,
        "title": case.kind.title,
        "hit_from": threshold(case),
        "sources": [_source_dict(source) for source in result.sources],
        "false": [found.label for found in result.false],
        "truth": dict(case.truth),
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
