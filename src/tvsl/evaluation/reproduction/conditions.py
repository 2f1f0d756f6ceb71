"""What a reproduction was measured on, and how: what a page must say beside its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tvsl.audioclip.weights import PUBLIC_FILES, find_entry, model_folder, sha256_of
from tvsl.errors import WeightsError
from tvsl.evaluation.reproduction.bench import Bench
from tvsl.evaluation.reproduction.config import ReproduceConfig
from tvsl.evaluation.reproduction.kinds import KINDS
from tvsl.evaluation.reproduction.paper import PAPER_SETS
from tvsl.training.validation import located


@dataclass(frozen=True)
class Conditions:
    """What numbers depend on.

    Attributes:
        title: What the tables are measured on.
        real: Whether it is made of files.
        model: Name or path of the encoder.
        encoder: Its fingerprint.
        config: The recipe.
        clips: How many clips heads are trained on.
        classes: How many classes they have.
        scenes: How many test scenes there are, by the title of their kind.
        located: Whether it is known where the sources of validation scenes are.
        beside: The paper's benchmarks beside it.
        warnings: What keeps the numbers from meaning what they seem to mean.
    """

    title: str
    real: bool
    model: str
    encoder: str
    config: ReproduceConfig
    clips: int
    classes: int
    scenes: dict[str, int]
    located: bool
    beside: str
    warnings: tuple[str, ...]


def conditions_of(bench: Bench) -> Conditions:
    """The conditions of a reproduction."""
    testbed = bench.testbed
    there = [kind for kind in KINDS.values() if testbed.lacks(kind, "test") is None]
    return Conditions(
        testbed.title,
        testbed.real,
        bench.setup.model,
        bench.encoder.fingerprint,
        bench.config,
        testbed.clips.count,
        len(testbed.clips.names),
        {kind.title: testbed.count(kind, "test") for kind in there},
        _located(bench),
        PAPER_SETS[testbed.paper].title,
        tuple(_warnings(bench)),
    )


def _warnings(bench: Bench) -> list[str]:
    found = list(bench.testbed.warnings())
    config = bench.config
    if bench.testbed.real and not has_public_weights(bench.setup.model):
        found.append(
            "By their checksum these weights are not the public AudioCLIP's. If nobody has trained "
            "them, no number on this page means anything."
        )
    if config.seeds < 3:
        found.append(f"Learned rows have {config.seeds} seed(s): spreads say little or nothing.")
    if not _located(bench):
        found.append(
            "Nobody knows where the sources of the validation scenes are. Every method keeps its "
            "default readout, and what it is trained on and how fast is chosen by its loss on them."
        )
    return found


def _located(bench: Bench) -> bool:
    return all(located(scenes) for scenes in bench.validation())


def has_public_weights(model: str) -> bool:
    """Whether a model is one of the public files, by its checksum.

    Args:
        model: Name or path of the model.
    """
    if model_folder(model) is not None:
        return False
    try:
        path = find_entry(model)[1]
    except WeightsError:
        path = Path(model)
    known = {entry.sha256 for entry in PUBLIC_FILES.values() if entry.is_model}
    return sha256_of(path) in known
