"""What a head is trained with: everything that decides the result, and nothing else."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from tvsl.data import find_data
from tvsl.data.dataset import DataSet
from tvsl.data.mixing import MOST_SOURCES
from tvsl.data.token_store import StoredType
from tvsl.errors import UsageError, first_problem
from tvsl.methods import find_method
from tvsl.methods.base import Method
from tvsl.methods.config import MethodConfig, switched
from tvsl.methods.tvsl import TVSL, method_of
from tvsl.methods.tvsl import preset as find_preset
from tvsl.strict_model import StrictModel

Schedule = Literal["constant", "cosine"]

_PRESETS: dict[str, dict[str, Any]] = {
    # Sec. 4.1: Adam, 1e-4, batches of 256; random projectors need more than two epochs.
    "paper": {"learning_rate": 1e-4, "batch": 256, "epochs": 10.0, "schedule": "constant"},
    "released": {"learning_rate": 1e-4, "batch": 256, "epochs": 10.0, "schedule": "constant"},
}


class TrainConfig(StrictModel):
    """The recipe of a head; the defaults are those of the preset ``tvsl``: few and gentle steps.

    Attributes:
        data: Name of the data set.
        data_options: Further options of the data set.
        clips: How many clips of it; all there are when None, of the world 8000.
        method: Name of the method.
        preset: Preset of its switches, for T-VSL.
        switches: Switches that are set otherwise.
        most_sources: Mixtures have 1 to so many sources; each batch has one number of them.
        mixtures: How often each clip is used for each number of sources over 1.
        epochs: How often all mixtures are seen.
        steps: Optimiser steps in place of epochs.
        batch: Mixtures of a step.
        learning_rate: Highest rate of Adam.
        schedule: ``constant``, or ``cosine`` down to 0.
        clip_norm: Longest gradient; None leaves gradients alone.
        validate_every: Steps between two validations, each with a checkpoint.
        validation_scenes: Validation scenes of one source, and as many of two.
        stored_as: Type of the tokens on disk.
        seed: Decides everything that is drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: str = "synthetic"
    data_options: dict[str, JsonValue] = Field({})
    clips: int | None = Field(None, gt=0, le=10_000_000)
    method: str = TVSL.name
    preset: str | None = None
    switches: dict[str, JsonValue] = Field({})
    most_sources: int = Field(4, ge=1, le=MOST_SOURCES)
    mixtures: int = Field(1, ge=1, le=10_000)
    epochs: float = Field(2.0, gt=0, le=1e6)
    steps: int | None = Field(None, gt=0, le=1_000_000_000)
    batch: int = Field(128, gt=0, le=1_000_000)
    learning_rate: float = Field(1e-4, gt=0, le=1000)
    schedule: Schedule = "cosine"
    clip_norm: float | None = Field(None, gt=0)
    validate_every: int = Field(50, gt=0)
    validation_scenes: int = Field(200, gt=0, le=1_000_000)
    stored_as: StoredType = "bfloat16"
    seed: int = Field(0, ge=0, lt=2**63)


def recipe(**fields: Any) -> TrainConfig:
    """A recipe with the defaults of its preset.

    Args:
        fields: Fields of ``TrainConfig``; the default where one is None.

    Returns:
        The recipe.

    Raises:
        UsageError: There is no such field, or a value that it cannot have.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    defaults = _PRESETS.get(str(given.get("preset")), {})
    try:
        return TrainConfig.model_validate({**defaults, **given})
    except ValidationError as error:
        raise UsageError(
            f"The recipe is wrong: {first_problem(error)}.", "Correct this setting."
        ) from error


def training_data(config: TrainConfig) -> DataSet:
    """The data set that a recipe trains on.

    Raises:
        UsageError: There is no such data set or option, or a value that it cannot have.
    """
    return find_data(config.data, **{**config.data_options, "split": "train"})


def find_head(config: TrainConfig) -> tuple[type[Method], MethodConfig]:
    """The method of a recipe with its switches.

    Raises:
        UsageError: There is no such method, preset or switch, or a value that it cannot have.
    """
    method = find_method(config.method)
    if method is not TVSL:
        if config.preset is not None:
            raise UsageError(
                f"The method '{config.method}' has no presets.",
                f"Presets are for '{TVSL.name}'; set single switches.",
            )
        return method, switched(method.config_type(), **config.switches)
    chosen = find_preset(config.preset or TVSL.name, **config.switches)
    return method_of(chosen), chosen
