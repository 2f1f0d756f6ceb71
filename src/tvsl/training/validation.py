"""What heads are validated on: scenes of a data set, never of its test split."""

from __future__ import annotations

from collections.abc import Callable

from tvsl.data.dataset import DataSet
from tvsl.encoder import Encoder
from tvsl.errors import UsageError
from tvsl.evaluation.item_scenes import encode_items
from tvsl.evaluation.scenes import EncodedScenes

MAP_SOURCES = (1, 2)
"""Maps are validated on scenes of so many sources, as in the paper's tables."""
DETECTION_SOURCES = (1, 2, 3, 4)
"""Detection is validated on all of these."""


def validation_scenes(
    encoder: Encoder, data: DataSet, count: int, report: Callable[[int, int | None], None]
) -> list[EncodedScenes]:
    """Scenes of one to four sources, as far as the data set has classes for them.

    Args:
        encoder: The frozen encoder.
        data: The data set.
        count: How many of each number of sources, at most.
        report: Called with scenes so far and in all.

    Returns:
        The scenes, encoded, those of one source first.

    Raises:
        UsageError: Nothing is left to validate on.
        MediaError: A file cannot be used.
    """
    vocabulary = encoder.vocabulary(data.names)
    wanted = [data.decision_items(sources, count) for sources in DETECTION_SOURCES]
    wanted = [part for part in wanted if part.items]
    if not wanted:
        raise too_few_to_validate(data)
    total = sum(len(part.items) for part in wanted)
    scenes: list[EncodedScenes] = []
    for part in wanted:
        scenes.append(encode_items(part, encoder, vocabulary))
        report(sum(len(made.labels) for made in scenes), total)
    return scenes


def too_few_to_validate(data: DataSet) -> UsageError:
    """What there is to say of a data set with nothing to validate on."""
    return UsageError(
        f"The data set '{data.name}' has too few clips to keep some for validation.",
        "Give more clips, or keep some in a split 'validation'.",
    )


def located(scenes: EncodedScenes) -> bool:
    """Whether it is known where every source is; if not, maps cannot be validated."""
    return bool(scenes.boxes.flatten(1).any(dim=1).all())
