"""Everything that decides the numbers of a reproduction, but the model and the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from tvsl.audioclip.config import FlipAverage
from tvsl.data.token_store import StoredType
from tvsl.errors import UsageError, first_problem
from tvsl.strict_model import StrictModel
from tvsl.training.recipe import Schedule


class ReproduceConfig(StrictModel):
    """The recipe of all tables; the same for every row of a table.

    Attributes:
        clips: Training clips; all there are when None.
        validation_scenes: Validation scenes of each number of sources, at most.
        test_scenes: Test scenes of each kind, at most; all there are when None.
        steps: Optimiser steps of every head.
        batch: Mixtures of a step.
        learning_rates: The short list, of which validation chooses for every method.
        schedule: Of the learning rate.
        seeds: Heads of every learned row.
        switches: Sizes and the like of methods that suit encoder and steps, by method.
        flip_average: Averaging with the flipped picture, for all methods.
        stored_as: Type of the training tokens on disk.
        pictures: Test scenes that the figures show.
        seed: Decides clips, scenes and pictures; heads have their own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    clips: int | None = Field(None, gt=1, le=10_000_000)
    validation_scenes: int = Field(200, gt=0, le=1_000_000)
    test_scenes: int | None = Field(None, gt=0, le=10_000_000)
    steps: int = Field(2000, gt=0, le=1_000_000_000)
    batch: int = Field(256, gt=0, le=1_000_000)
    learning_rates: tuple[float, ...] = Field((1e-4, 3e-4, 1e-3), min_length=1)
    schedule: Schedule = "cosine"
    seeds: int = Field(3, ge=1, le=10_000)
    switches: dict[str, dict[str, JsonValue]] = Field({})
    flip_average: FlipAverage = "none"
    stored_as: StoredType = "bfloat16"
    pictures: int = Field(4, gt=0, le=1000)
    seed: int = Field(0, ge=0, lt=2**63)


# No projection is wider than the space that it starts from: that costs much and adds nothing.
# AVGN learns to detect in so few steps only with one block and without a mean over the classes.
_MINI_SWITCHES: dict[str, dict[str, JsonValue]] = {
    "ez-vsl": {"dimension": 128},
    "margin-nce": {"dimension": 128},
    "fnac": {"dimension": 128},
    "alignment": {"dimension": 128},
    "wav2clip": {"hidden": 128},
    "avgn": {"dimension": 64, "depth": 1, "sum_presences": True},
}

_PRESETS: Mapping[tuple[bool, str], dict[str, Any]] = {
    (False, "full"): {
        "clips": 4000,
        "validation_scenes": 150,
        "test_scenes": 300,
        "steps": 150,
        "batch": 64,
        "learning_rates": (1e-4, 1e-3, 3e-3),
        "switches": _MINI_SWITCHES,
        "flip_average": "turn",
    },
    (False, "quick"): {
        "clips": 64,
        "validation_scenes": 8,
        "test_scenes": 8,
        "steps": 3,
        "batch": 8,
        "learning_rates": (1e-4, 1e-3),
        "seeds": 2,
        "switches": _MINI_SWITCHES,
        "pictures": 1,
    },
    (True, "full"): {},
    (True, "quick"): {
        "validation_scenes": 4,
        "test_scenes": 4,
        "steps": 2,
        "batch": 4,
        "learning_rates": (1e-4,),
        "seeds": 1,
        "switches": {"avgn": {"dimension": 64}},
        "pictures": 1,
    },
}
PRESETS = ("full", "quick")
"""``full`` gives numbers that mean something; ``quick`` only shows that everything runs."""


def reproduce_config(real: bool, preset: str = "full", **fields: Any) -> ReproduceConfig:
    """A recipe with the defaults of its preset.

    Args:
        real: Whether the data are files, and no made-up world.
        preset: One of ``PRESETS``.
        fields: Fields that are set otherwise.

    Returns:
        The recipe.

    Raises:
        UsageError: There is no such preset or field, or a value that it cannot have.
    """
    if preset not in PRESETS:
        raise UsageError(f"There is no scale '{preset}'.", f"Scales: {', '.join(PRESETS)}.")
    try:
        return ReproduceConfig.model_validate({**_PRESETS[real, preset], **fields})
    except ValidationError as error:
        raise UsageError(
            f"The recipe is wrong: {first_problem(error)}.",
            f"Fields: {', '.join(ReproduceConfig.model_fields)}.",
        ) from error
