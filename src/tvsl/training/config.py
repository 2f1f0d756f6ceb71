"""Recipes of training: everything that decides the result, and nothing else.

``tvsl train`` and ``tvsl pretrain`` have an option for each field with a description, which is its
help; they read them before torch is imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator

from tvsl.encoder import MOST_SOURCES
from tvsl.errors import OutputError, UsageError, first_problem
from tvsl.utils.atomic import writable, write_text
from tvsl.utils.devices import Precision
from tvsl.utils.run_folder import RECIPE_FILE, describe_changes, read_record
from tvsl.utils.strict_model import StrictModel

if TYPE_CHECKING:
    from tvsl.data import DataSet
    from tvsl.encoder import Encoder, FlipAverage
    from tvsl.methods import Method, MethodConfig

Schedule = Literal["constant", "cosine"]
C = TypeVar("C", bound=StrictModel)

_PRESETS: dict[str, dict[str, Any]] = {
    # Sec. 4.1: Adam, 1e-4, batches of 256; random projectors need more than two epochs.
    "paper": {"learning_rate": 1e-4, "batch": 256, "epochs": 10.0, "schedule": "constant"},
    "released": {"learning_rate": 1e-4, "batch": 256, "epochs": 10.0, "schedule": "constant"},
}


class TrainConfig(StrictModel):
    """The recipe of a head; the defaults are those of the preset ``tvsl``: few and gentle steps.

    Attributes:
        data_options: Further options of the data set.
        hyperparameters: Hyperparameters of the method that are set otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: str = Field(
        "synthetic", description="Data set: a name of `tvsl data list`, or FILE.py:CLASS."
    )
    data_options: dict[str, JsonValue] = Field({})
    clips: int | None = Field(
        None,
        gt=0,
        le=10_000_000,
        description="Number of clips [all; of the synthetic world 8000].",
    )
    method: str = Field(
        "tvsl", description="Method: tvsl, ez-vsl, dsol, …, or FILE.py:CLASS of one's own."
    )
    preset: str | None = Field(
        None, description="Hyperparameters of T-VSL: tvsl, paper or released [tvsl]."
    )
    hyperparameters: dict[str, JsonValue] = Field({})
    most_sources: int = Field(
        4,
        ge=1,
        le=MOST_SOURCES,
        description="Mixtures have 1 to so many sources; all of a batch have equally many.",
    )
    mixtures: int = Field(
        1,
        ge=1,
        le=10_000,
        description="How often each clip is mixed, for each number of sources over 1.",
    )
    epochs: float = Field(2.0, gt=0, le=1_000_000, description="How often all mixtures are seen.")
    steps: int | None = Field(
        None, gt=0, le=1_000_000_000, description="Optimiser steps, in place of epochs."
    )
    batch: int = Field(
        128, gt=0, le=1_000_000, description="Mixtures of a step; 256 in the preset paper."
    )
    learning_rate: float = Field(1e-4, gt=0, le=1000, description="Highest rate of Adam.")
    schedule: Schedule = Field("cosine", description="A constant rate, or a cosine down to 0.")
    clip_norm: float | None = Field(
        None, gt=0, description="Longest gradient; a longer one is shortened [no limit]."
    )
    validate_every: int = Field(
        50, gt=0, description="Steps between two validations, each with a checkpoint."
    )
    validation_scenes: int = Field(
        200,
        gt=0,
        le=1_000_000,
        description="Scenes to validate on, of each number of sources from 1 to 4.",
    )
    stored_as: Precision = Field("bfloat16", description="Type of the tokens on disk.")
    seed: int = Field(0, ge=0, lt=2**63, description="Decides everything that is drawn.")


class Terms(StrictModel):
    """Weights of the five terms; 0 leaves a term out.

    Attributes:
        image_text: Pooled pictures and captions; a caption of any visible object is a match.
        audio_text: Pooled mixtures and captions of what sounds in them.
        image_audio: Pooled pictures and mixtures; only the mixtures that hold the picture's own
            sound match, and not those of its class: so that size is learned.
        text_cells: Captions and the best few cells of a picture, which makes tokens localize.
        audio_cells: Mixtures and the best few cells of a picture, the picture's own sound again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image_text: float = Field(1.0, ge=0)
    audio_text: float = Field(1.0, ge=0)
    image_audio: float = Field(0.5, ge=0)
    text_cells: float = Field(0.5, ge=0)
    audio_cells: float = Field(1.0, ge=0)

    @model_validator(mode="after")
    def _one_is_left(self) -> Terms:
        if not any(self.model_dump().values()):
            raise ValueError("a term must be left")
        return self


CELLS: Final = 14 * 14
"""Cells of a picture in the mini AudioCLIP."""


class PretrainConfig(StrictModel):
    """The recipe of the mini AudioCLIP; see the descriptions for the fields that are options.

    Attributes:
        classes: Most classes of a batch of kept clips, few so that clips of one class differ in
            other ways. New clips (``clips`` 0) are of any class.
        twins: Share of the clips with a silent twin; more than in the tests, since twins are
            what teaches size.
        learning_rate: Highest rate of AdamW.
        weight_decay: Of all matrices.
        warm_up: Steps until the highest rate.
        clip_norm: Longest gradient.
        least_cells: Fewest cells that are pooled.
        most_cells: Most cells that are pooled, of the 196 of a picture; how many is drawn in each
            step.
        terms: Weights of the five terms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(1200, gt=0, le=1_000_000_000, description="Optimiser steps.")
    batch: int = Field(96, gt=1, le=10_000_000, description="Clips of a step.")
    classes: int = Field(9, gt=1)
    clips: int = Field(
        24_000,
        ge=0,
        le=10_000_000,
        description="Clips made once and kept in memory; 0: always new ones, of any class.",
    )
    twins: float = Field(0.35, ge=0, le=1)
    learning_rate: float = Field(2e-3, gt=0, le=1000)
    weight_decay: float = Field(0.05, ge=0)
    warm_up: int = Field(60, ge=0)
    clip_norm: float = Field(2.0, gt=0)
    least_cells: int = Field(4, gt=0)
    most_cells: int = Field(20, gt=0, le=CELLS)
    seed: int = Field(0, ge=0, lt=2**63, description="Decides everything that is drawn.")
    terms: Terms = Terms()

    @model_validator(mode="after")
    def _least_before_most(self) -> PretrainConfig:
        if self.least_cells > self.most_cells:
            raise ValueError("least_cells must not exceed most_cells")
        return self


def recipe(**fields: Any) -> TrainConfig:
    """A recipe with the defaults of its preset.

    Args:
        fields: Fields of ``TrainConfig``; the default where one is None.

    Raises:
        UsageError: There is no such field, or a value that it cannot have.
    """
    return _checked(TrainConfig, {**_PRESETS.get(str(fields.get("preset")), {}), **_given(fields)})


def pretrain_recipe(**fields: Any) -> PretrainConfig:
    """A recipe of the mini.

    Args:
        fields: Fields of ``PretrainConfig``; the default where one is None.

    Raises:
        UsageError: There is no such field, or a value that it cannot have.
    """
    return _checked(PretrainConfig, _given(fields))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _checked(kind: type[C], fields: dict[str, Any]) -> C:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise UsageError(
            f"The recipe is wrong: {first_problem(error)}.", "Correct this setting."
        ) from error


def training_data(config: TrainConfig) -> DataSet:
    """The data set that a recipe trains on.

    Raises:
        UsageError: There is no such data set or option, or a value that it cannot have.
    """
    from tvsl.data import find_data

    return find_data(config.data, **{**config.data_options, "split": "train"})


def find_head(config: TrainConfig) -> tuple[type[Method], MethodConfig]:
    """The method of a recipe with its hyperparameters.

    Raises:
        UsageError: There is no such method, preset or hyperparameter, or a wrong value.
    """
    from tvsl.methods import METHODS
    from tvsl.methods.base import with_overrides
    from tvsl.methods.tvsl import TVSL, method_of
    from tvsl.methods.tvsl import preset as find_preset

    method = METHODS.find(config.method)
    if method is not TVSL:
        if config.preset is not None:
            raise UsageError(
                f"The method '{config.method}' has no presets.",
                f"Presets are for '{TVSL.name}'; set single hyperparameters.",
            )
        return method, with_overrides(method.config_type(), **config.hyperparameters)
    chosen = find_preset(config.preset or TVSL.name, **config.hyperparameters)
    return method_of(chosen), chosen


def write_recipe(config: TrainConfig, encoder: Encoder, folder: Path, resume: bool) -> None:
    """Note what a run is, or check that the run to resume is the same.

    Args:
        config: The recipe.
        encoder: The encoder.
        folder: Folder of the run.
        resume: Whether there is a run that shall go on.

    Raises:
        UsageError: The run to resume is another one.
        OutputError: The folder cannot be written, or the note is damaged.
    """
    path = folder / RECIPE_FILE
    record: dict[str, Any] = {
        **config.model_dump(mode="json"),
        "encoder": encoder.fingerprint,
        "image_tokens": encoder.image_tokens,
        "flip_average": encoder.flip_average,
        "precision": encoder.precision,
    }
    if resume:
        if changes := describe_changes(_read_run_record(folder), record):
            raise UsageError(
                f"The run to resume is another one: {changes}.",
                "Resume it as it was started.",
                path,
            )
        return
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(record, indent=2) + "\n")


def read_recipe(folder: Path) -> tuple[dict[str, Any], FlipAverage | None]:
    """Recipe that a run was started with.

    Returns:
        Fields of its ``TrainConfig``, and the encoder's averaging with flipped pictures.

    Raises:
        OutputError: The note is missing or damaged.
    """
    record = _read_run_record(folder)
    fields = {name: record[name] for name in TrainConfig.model_fields if name in record}
    return fields, record.get("flip_average")


def _read_run_record(folder: Path) -> dict[str, Any]:
    path = folder / RECIPE_FILE
    record = read_record(path, frozenset())
    if record is None:
        raise OutputError(
            "The recipe of the run is missing.", "Start anew in another folder.", path
        )
    return record
