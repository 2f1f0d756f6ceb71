"""The demo: scenes of the test split localized with given and with detected labels, and scored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tvsl.demo.scenes import DemoScene, demo_scenes
from tvsl.demo.scores import PROTOCOL, MapScore, score_sources, threshold
from tvsl.localization import BOX_PROTOCOL, Localization, SoundSource
from tvsl.localizer import Localizer
from tvsl.scenes import PixelBox
from tvsl.synthetic.export import describe
from tvsl.synthetic.sounds import SAMPLE_RATE
from tvsl.utils.progress import Progress


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
        shown: The scene.
        given: All true labels given.
        detected: Classes detected among the scene's class split, how many not told.
        sources: The true sources, panel by panel.
    """

    shown: DemoScene
    given: Localization
    detected: Localization
    sources: tuple[DemoSource, ...]

    @property
    def false(self) -> tuple[SoundSource, ...]:
        """Detected sources that are not in the picture or do not sound."""
        labels = self.shown.scene.labels
        return tuple(found for found in self.detected.sources if found.label not in labels)


@dataclass(frozen=True)
class Summary:
    """Counts over all scenes.

    Attributes:
        scenes: How many.
        sources: True sources in them.
        given_hits: Hits with given labels.
        detected: Sources whose class was detected.
        detected_hits: Hits with detected labels.
        false: Classes that were detected without being seen and heard.
    """

    scenes: int
    sources: int
    given_hits: int
    detected: int
    detected_hits: int
    false: int


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
    def summary(self) -> Summary:
        """Counts over all scenes."""
        sources = [source for result in self.results for source in result.sources]
        return Summary(
            scenes=len(self.results),
            sources=len(sources),
            given_hits=sum(source.given_score.hit for source in sources),
            detected=sum(source.detected is not None for source in sources),
            detected_hits=sum(source.hit_detected for source in sources),
            false=sum(len(result.false) for result in self.results),
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON types, raw maps included."""
        return {
            "model": self.model,
            "encoder_sha256": self.encoder_sha256,
            "seed": self.seed,
            "protocol": PROTOCOL,
            "box_protocol": BOX_PROTOCOL,
            "detection": self.detection_rule,
            "summary": asdict(self.summary),
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
    for number, shown in enumerate(scenes, start=1):
        results.append(_localize(localizer, shown))
        if report is not None:
            report(number, len(scenes))
    return Demo(
        results[0].given.model,
        localizer.encoder.fingerprint,
        seed,
        localizer.method.config.detection_threshold,
        tuple(results),
    )


def _localize(localizer: Localizer, shown: DemoScene) -> DemoResult:
    scene = shown.scene
    sound = (scene.waveform, SAMPLE_RATE)
    encoded = localizer.encode(scene.picture, sound, panels=len(scene.panels))
    given = localizer.localize_encoded(encoded, labels=scene.labels)
    detected = localizer.localize_encoded(encoded, vocabulary=shown.world.names)
    by_label = {source.label: source for source in detected.sources}
    again = [by_label.get(label) for label in scene.labels]
    vocabulary = localizer.encoder.vocabulary(scene.labels)
    scores = [
        score_sources(found, shown, encoded.tokens, vocabulary) for found in (given.sources, again)
    ]
    columns = zip(scene.labels, shown.boxes, given.sources, again, *scores, strict=True)
    return DemoResult(shown, given, detected, tuple(DemoSource(*column) for column in columns))


def _scene_dict(result: DemoResult) -> dict[str, Any]:
    shown = result.shown
    return {
        "id": shown.id,
        "kind": shown.kind.name,
        "title": shown.kind.title,
        "hit_from": threshold(shown),
        "sources": [_source_dict(source) for source in result.sources],
        "false": [found.label for found in result.false],
        "truth": describe(shown.world, shown.scene, {}),
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
