"""Settings of an evaluation: everything that decides its numbers but model and data."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import ConfigDict, Field, ValidationError, field_validator

from tvsl.errors import UsageError, first_problem
from tvsl.metrics import PAPER, Protocol, find_protocol
from tvsl.utils.strict_model import StrictModel

LabelChoice = Literal["given", "detected"]
Counting = Literal["oracle", "threshold"]

LABEL_CHOICES: tuple[LabelChoice, ...] = get_args(LabelChoice)


class EvaluationConfig(StrictModel):
    """Settings that decide the numbers of an evaluation, beside model and data.

    Attributes:
        protocols: Names of the protocols that maps are scored by.
        labels: Sources of class names; all that method and data set allow when None.
        counting: Number of detected classes: ``oracle``, as many as the item has; ``threshold``,
            those that reach the threshold that was calibrated on validation data, at least one.
        vocabulary: Class names among which to detect; those of the data set when None.
        batch: Items that are encoded together. Another number gives other last digits.
        seed: Of the random maps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    protocols: tuple[str, ...] = Field((PAPER.name,), min_length=1)
    labels: tuple[LabelChoice, ...] | None = Field(None, min_length=1)
    counting: Counting = "oracle"
    vocabulary: tuple[str, ...] | None = Field(None, min_length=1)
    batch: int = Field(32, gt=0)
    seed: int = Field(0, ge=0, lt=2**63)

    @field_validator("protocols", "labels")
    @classmethod
    def _each_once(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(dict.fromkeys(value))

    @property
    def chosen(self) -> tuple[Protocol, ...]:
        """The protocols themselves."""
        return tuple(find_protocol(name) for name in self.protocols)


def evaluation_config(**fields: Any) -> EvaluationConfig:
    """Settings of an evaluation, checked.

    Raises:
        UsageError: There is no such protocol, or a value that a field cannot have.
    """
    try:
        checked = EvaluationConfig.model_validate(fields)
    except ValidationError as error:
        raise UsageError(
            f"The conditions of the evaluation are wrong: {first_problem(error)}.",
            "Correct this option.",
        ) from error
    if not checked.chosen:
        raise UsageError("No protocol was named.", "Name at least one.")
    return checked
