"""Validation: the scenes, and the hyperparameters of a head that are chosen on them.

The same rule for every method, else a comparison of methods would be one of these choices. Test
data are never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tvsl.data.base import DataSet
from tvsl.encoder import Encoder
from tvsl.errors import UsageError
from tvsl.evaluation.batch import EncodedBatch, encode_items
from tvsl.evaluation.score import Figures, ScoredPixels
from tvsl.methods.base import Method
from tvsl.metrics import detection_mean_average_precision
from tvsl.utils.processes import Progress, current

MAP_SOURCES = (1, 2)
"""Maps are validated on scenes of so many sources, as in the paper's tables."""
DETECTION_SOURCES = (1, 2, 3, 4)
"""Detection is validated on all of these."""


def validation_scenes(
    encoder: Encoder, data: DataSet, count: int, report: Progress
) -> list[EncodedBatch]:
    """Scenes of one to four sources, as far as the data set has classes for them.

    Args:
        encoder: The frozen encoder.
        data: The data set.
        count: Maximum number of scenes for each number of sources.
        report: Called with scenes so far and in all.

    Returns:
        The scenes, encoded, those of one source first.

    Raises:
        UsageError: Nothing is left to validate on.
        MediaError: A file cannot be used.
    """
    vocabulary = encoder.vocabulary(data.names)
    wanted = [data.validation_items(sources, count) for sources in DETECTION_SOURCES]
    wanted = [one for one in wanted if one.items]
    if not wanted:
        raise too_few_to_validate(data)
    total = sum(len(one.items) for one in wanted)
    scenes: list[EncodedBatch] = []
    for one in wanted:
        scenes.append(encode_items(one, encoder, vocabulary, current()))
        report(sum(len(made.labels) for made in scenes), total)
    return scenes


def too_few_to_validate(data: DataSet) -> UsageError:
    """Error of a data set with nothing to validate on."""
    return UsageError(
        f"The data set '{data.name}' has too few clips or recordings to keep some for validation.",
        "Give more clips, or keep some in a split 'validation'.",
    )


def located(scenes: EncodedBatch) -> bool:
    """Tell whether the place of every source is known; else maps cannot be validated."""
    return bool(scenes.foreground.all())


EXPONENTS = (0.5, 1.0, 1.5, 2.0, 3.0, 3.5, 4.0)
KEPT = 0.95
"""Share of the sources over the threshold that each floor of detection keeps."""
STEP = 2
"""Trials score every other row and column: which scenes there are decides more than the rest."""


@dataclass(frozen=True)
class Trial:
    """A choice that was tried on validation data.

    Attributes:
        hyperparameters: The choice.
        score: Its score, in percent.
    """

    hyperparameters: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Calibration:
    """Choices of validation, and the trials behind them.

    Attributes:
        hyperparameters: The decision, as ``Method.set_tuned`` takes it.
        score: Score of the maps on validation data, in percent, on every other row and column of
            pixels; None where there are no maps to decide on.
        trials: Best score of every readout, best first.
        detection: Mean average precision of every detector, best first.
    """

    hyperparameters: dict[str, Any]
    score: float | None
    trials: list[Trial]  # lists, since JSON, which they are stored as, knows no tuples
    detection: list[Trial]


@torch.inference_mode()
def calibrate(
    method: Method, scenes: Sequence[EncodedBatch], mixtures: Sequence[EncodedBatch]
) -> Calibration:
    """Decide a head's hyperparameters, and set them.

    Args:
        method: The head; it is left as decided.
        scenes: Validation scenes that maps are chosen on, with the true labels given; without any
            they stay as the head's config shows them.
        mixtures: Validation scenes of one to several sources that detection is chosen on.
    """
    method.eval()
    readouts = method.readouts() if scenes else []
    read = [
        method.maps_of_readouts(batch.tokens, batch.queries, batch.vocabulary, readouts)
        for batch in scenes
    ]
    pixels = [ScoredPixels(batch, STEP, twins=False) for batch in scenes]
    trials = [
        _best_of(method, hyperparameters, raw, scenes, pixels)
        for hyperparameters, raw in zip(readouts, zip(*read, strict=True), strict=True)
    ]
    best = _best(trials) if trials else None
    chosen = {} if best is None else best.hyperparameters
    method.set_tuned(**chosen)
    detection, scores = _decide_detector(method, mixtures)
    hyperparameters = dict(chosen)
    if detection:
        truth = torch.cat([batch.labels.flatten() for batch in mixtures])
        threshold = best_threshold(torch.cat([score.flatten() for score in scores]), truth)
        cuts = {"detection_threshold": threshold, **_floors(method, mixtures, scores, threshold)}
        hyperparameters |= {**detection[0].hyperparameters, **cuts}
        method.set_tuned(**cuts)
    ranked = sorted(trials, key=lambda trial: -trial.score)
    score = None if best is None else best.score
    return Calibration(hyperparameters, score, ranked, detection)


def map_score(
    method: Method,
    raw: Sequence[Tensor],
    scenes: Sequence[EncodedBatch],
    pixels: Sequence[ScoredPixels] | None = None,
) -> float:
    """One figure for a head's maps: the mean of AP and of the success rate over the scenes.

    Args:
        method: The head, whose hyperparameters say how raw maps are shown.
        raw: Raw maps of each set of scenes.
        scenes: The sets.
        pixels: The pixels of each set that are scored; all when None.
    """
    pixels = [ScoredPixels(batch) for batch in scenes] if pixels is None else pixels
    figures = [
        one_figure(truth.score(method.postprocess(maps)).summary(batch.sources > 1), batch.sources)
        for maps, batch, truth in zip(raw, scenes, pixels, strict=True)
    ]
    return sum(figures) / len(figures)


def one_figure(figures: Figures, sources: int) -> float:
    """The mean of AP and of the success rate.

    Args:
        figures: The figures of scenes.
        sources: Number of sources of each scene.

    Returns:
        Percent: AP and IoU@0.5 of single sources, CAP and CIoU@0.3 of several, as in the paper.
    """
    if sources == 1:
        return (figures["AP"] + figures["IoU@0.5"]) / 2
    return (figures["CAP"] + figures["CIoU@0.3"]) / 2


def _best_of(
    method: Method,
    hyperparameters: dict[str, Any],
    raw: Sequence[Tensor],
    scenes: Sequence[EncodedBatch],
    pixels: Sequence[ScoredPixels],
) -> Trial:
    """The best polarity of one readout, then the best exponent without the cut and with it.

    With the cut, exponents are looked for anew: what is best once negative values are cut off may
    be poor before, and some methods' maps need the cut.
    """
    known: dict[tuple[int, bool, float], float] = {}

    def tried(polarity: int, clamp: bool, exponent: float) -> Trial:
        chosen = {"polarity": polarity, "clamp_negative": clamp, "exponent": exponent}
        method.set_tuned(**hyperparameters, **chosen)
        # Scoring is all that takes time here: nothing is scored twice.
        applied = (polarity, clamp and _is_cut(raw, polarity), exponent)
        if applied not in known:
            known[applied] = map_score(method, raw, scenes, pixels)
        return Trial({**hyperparameters, **chosen}, known[applied])

    plain = [tried(sign, False, 1.0) for sign in (1, -1)]
    polarity = _best(plain).hyperparameters["polarity"]
    uncut = _climb(lambda exponent: tried(polarity, False, exponent), 1.0)
    cut = _climb(
        lambda exponent: tried(polarity, True, exponent), uncut.hyperparameters["exponent"]
    )
    return _best([*plain, uncut, cut])


def _climb(tried: Callable[[float], Trial], start: float) -> Trial:
    """The best exponent, step by step from the start as long as the next one is no worse."""
    place = EXPONENTS.index(start)
    best = first = tried(start)
    for following in (EXPONENTS[place + 1 :], EXPONENTS[:place][::-1]):
        last = first
        for exponent in following:
            trial = tried(exponent)
            if trial.score < last.score:
                break
            best, last = _best([best, trial]), trial
        if best.score > first.score:
            break
    return best


def _is_cut(raw: Sequence[Tensor], polarity: int) -> bool:
    """Tell whether cutting negative values changes any map: one with values of both signs."""
    lows = torch.cat([(polarity * maps).amin(dim=(1, 2)) for maps in raw])
    highs = torch.cat([(polarity * maps).amax(dim=(1, 2)) for maps in raw])
    return bool(((lows < 0) & (highs > 0)).any())


def _best(trials: Sequence[Trial]) -> Trial:
    return max(trials, key=lambda trial: trial.score)


def _decide_detector(
    method: Method, mixtures: Sequence[EncodedBatch]
) -> tuple[list[Trial], list[Tensor]]:
    """Detectors by their mean average precision, and the scores of the best, which is set.

    Scores are on the CPU, where the labels are; there are none of a method that cannot detect.
    """
    detectors = method.detectors()
    found: list[list[Tensor]] = [[] for _ in detectors]
    for batch in mixtures:
        scores = method.detect_by(batch.tokens, batch.vocabulary, detectors)
        for of_detector, score in zip(found, scores, strict=True):
            if score is None:
                return [], []
            of_detector.append(score.cpu())
    trials = []
    for hyperparameters, kept in zip(detectors, found, strict=True):
        precision = [
            100 * float(detection_mean_average_precision(score, batch.labels))
            for score, batch in zip(kept, mixtures, strict=True)
        ]
        trials.append(Trial(hyperparameters, sum(precision) / len(precision)))
    best = _best(trials)
    method.set_tuned(**best.hyperparameters)
    return sorted(trials, key=lambda trial: -trial.score), found[trials.index(best)]


def _floors(
    method: Method, mixtures: Sequence[EncodedBatch], scores: Sequence[Tensor], threshold: float
) -> dict[str, float]:
    """Evidence that nearly all sources over the threshold have, in the sound and in the picture.

    Validation scenes have no sounds without a source. So the floors are not weighed against what
    they are for, but are as high as the sources allow: each keeps ``KEPT`` of them.
    """
    heard, seen = [], []
    for batch, score in zip(mixtures, scores, strict=True):
        sides = method.evidence(batch.tokens, batch.vocabulary)
        if sides is None:
            return {}
        sources = batch.labels & (score >= threshold)
        heard.append(sides[0].cpu()[sources])
        seen.append(sides[1].cpu()[sources])
    found = {"heard_floor": torch.cat(heard).float(), "seen_floor": torch.cat(seen).float()}
    return {name: float(x.quantile(1 - KEPT)) for name, x in found.items() if len(x) > 0}


def best_threshold(scores: Tensor, truth: Tensor) -> float:
    """The threshold with the highest F1.

    Args:
        scores: Detection scores, (n,).
        truth: Flags of those that should be detected, (n,) bool.

    Returns:
        Half way between the lowest score that is taken and the highest that is not.
    """
    ordered, order = scores.sort(descending=True)
    hits = truth[order].cumsum(0)
    taken = torch.arange(1, len(scores) + 1)
    agreement = 2 * hits / (taken + truth.sum())
    agreement[:-1][ordered[:-1] == ordered[1:]] = -1  # equal scores are taken together
    best = int(agreement.argmax())
    following = ordered[min(best + 1, len(ordered) - 1)]
    return float((ordered[best] + following) / 2)
