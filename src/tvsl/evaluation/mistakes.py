"""Which classes of the synthetic world are taken for which others."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tvsl.evaluation.scenes import EncodedScenes
from tvsl.evaluation.score import taken_classes
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
    labels = scenes.labels.cpu()
    taken = taken_classes(detection, labels.sum(dim=1))
    shared = []
    for scene, wrong in (taken & ~labels).nonzero().tolist():
        sounding = [names[label] for label in labels[scene].nonzero()[:, 0].tolist()]
        heard = zip(*sounding, strict=True)  # all surfaces, all shapes
        shared.append([part in true for part, true in zip(names[wrong], heard, strict=True)])
    if not shared:
        return Mistakes(0.0, None, None)
    surface, shape = (100 * sum(column) / len(shared) for column in zip(*shared, strict=True))
    return Mistakes(100 * len(shared) / int(taken.sum()), surface, shape)
