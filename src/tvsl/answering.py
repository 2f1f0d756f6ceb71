"""From an encoded clip and a request to what a user gets."""

from __future__ import annotations

import torch

from tvsl.encoded import Encoded
from tvsl.errors import UsageError
from tvsl.localization import LabelSource, Localization, SoundSource
from tvsl.methods.base import Method
from tvsl.methods.tvsl.detection import select
from tvsl.request import Request
from tvsl.tokens import Queries, Vocabulary


@torch.inference_mode()
def answer(
    method: Method,
    encoded: Encoded,
    request: Request,
    classes: Vocabulary,
    model: str,
    at_least_one: bool = True,
) -> Localization:
    """Localize the given classes, or those that are detected.

    Args:
        method: The head.
        encoded: A picture and its sound.
        request: What is asked.
        classes: The classes that the request means, among others where labels are given.
        model: What the result calls encoder and head.
        at_least_one: Whether one class is detected also where none reaches the calibrated cut.

    Returns:
        The sources with their maps.

    Raises:
        UsageError: Nothing is given, and the method cannot detect.
    """
    tokens = encoded.tokens
    scores = method.detect(tokens, classes)
    if request.labels is not None:
        asked = classes.indices(request.labels)
        queries = Queries.from_lists([asked]).to(tokens.visual.device)
    elif scores is None:
        raise cannot_detect(method)
    else:
        threshold = method.config.detection_threshold
        queries = select(scores, request.sources, threshold, at_least_one)
    if queries.label.numel() == 0:
        return outcome((), request, model, encoded.size, encoded.time, encoded.time_range)
    maps = method.shown(method.maps(tokens, queries, classes))
    # Given labels keep the spelling that they were given in.
    spelled = request.labels or [classes.names[label] for label in queries.label.tolist()]
    sources = tuple(
        SoundSource(
            label=spelling,
            score=0.0 if scores is None else float(scores[0, label]),
            grid=grid,
            size=encoded.size,
            time_range=encoded.time_range,
        )
        for spelling, label, grid in zip(
            spelled, queries.label.tolist(), maps.float().cpu().numpy(), strict=True
        )
    )
    return outcome(sources, request, model, encoded.size, encoded.time, encoded.time_range)


def cannot_detect(method: Method | type[Method]) -> UsageError:
    """The error for a method that is asked what sounds, and only knows where."""
    return UsageError(
        f"The method '{method.name}' cannot detect what sounds.",
        "Give labels: by `--labels`, or as the argument `labels`.",
    )


def outcome(
    sources: tuple[SoundSource, ...],
    request: Request,
    model: str,
    size: tuple[int, int],
    time: float | None,
    heard: tuple[float, float] | None = None,
) -> Localization:
    """Sources as the result of a request; none where nothing sounds, or nothing that is known."""
    label_source: LabelSource = "detected" if request.labels is None else "given"
    return Localization(sources, label_source, model, size, time, heard)
