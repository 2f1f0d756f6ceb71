"""Which classes of the synthetic world are taken for which others."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tvsl.evaluation.scenes import EncodedScenes
from tvsl.synthetic.vocabulary import parts


@dataclass(frozen=True)
class Mistakes:
    """What is wrong with the classes that a detector takes.

    Attributes:
        wrong: Taken classes that do not sound, in percent.
        surface: Of these, those that share their surface with a class that sounds, in percent;
            None if nothing is wrong.
        shape: The same of the shape. A class may share one with one source and one with another.
    """

    wrong: float
    surface: float | None
    shape: float | None


def mistakes(detection: Tensor, scenes: EncodedScenes) -> Mistakes:
    """Look at the classes that are taken: of each scene as many as sound in it.

    Args:
        detection: Detection scores, (B, N).
        scenes: The scenes, of the synthetic world's classes.

    Returns:
        Their mistakes.

    Raises:
        VocabularyError: The classes are those of another world.
    """
    names = [parts(name) for name in scenes.vocabulary.names]
    taken, shared = 0, []
    for scores, labels in zip(detection.cpu(), scenes.labels.cpu(), strict=True):
        sounding = set(labels.nonzero()[:, 0].tolist())
        best = scores.sort(descending=True, stable=True).indices[: len(sounding)].tolist()
        taken += len(best)
        shared += [
            [names[label][part] in {names[true][part] for true in sounding} for part in (0, 1)]
            for label in best
            if label not in sounding
        ]
    if not shared:
        return Mistakes(0.0, None, None)
    surface, shape = (100 * sum(column) / len(shared) for column in zip(*shared, strict=True))
    return Mistakes(100 * len(shared) / taken, surface, shape)
