"""Under which conditions methods are evaluated: everything that decides numbers but the model."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import ConfigDict, Field, ValidationError, field_validator

from tvsl.errors import UsageError, first_problem
from tvsl.methods.base import Method
from tvsl.metrics import PAPER, LabelSource, Protocol, find_protocol
from tvsl.strict_model import StrictModel

LabelChoice = Literal["given", "detected"]
Counting = Literal["true", "threshold"]

LABEL_CHOICES: tuple[LabelChoice, ...] = get_args(LabelChoice)


class Conditions(StrictModel):
    """Conditions of an evaluation.

    Attributes:
        protocols: Names of the protocols that maps are scored by.
        labels: Where class names come from; all that method and data set allow when None.
        counting: How many classes are detected: ``true``, as many as the item has; ``threshold``,
            those that reach the threshold that was calibrated on validation data, at least one.
        vocabulary: Class names among which to detect; those of the data set when None.
        batch: Items that are encoded together. Another number gives other last digits.
        seed: Of the random maps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    protocols: tuple[str, ...] = Field((PAPER.name,), min_length=1)
    labels: tuple[LabelChoice, ...] | None = Field(None, min_length=1)
    counting: Counting = "true"
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


def conditions(**fields: Any) -> Conditions:
    """Conditions of an evaluation, checked.

    Args:
        fields: Fields of ``Conditions``.

    Returns:
        The conditions.

    Raises:
        UsageError: There is no such protocol, or a value that a field cannot have.
    """
    try:
        checked = Conditions.model_validate(fields)
    except ValidationError as error:
        raise UsageError(
            f"The conditions of the evaluation are wrong: {first_problem(error)}.",
            "Correct this option.",
        ) from error
    if not checked.chosen:
        raise UsageError("No protocol was named.", "Name at least one.")
    return checked


def label_sources(
    method: Method | type[Method],
    labelled: bool,
    labels: tuple[LabelChoice, ...] | None,
    complete: bool = True,
) -> tuple[LabelSource, ...]:
    """Which labels a method is evaluated with.

    Args:
        method: The method.
        labelled: Whether the items of the data set have classes.
        labels: As in ``Conditions``.
        complete: Whether all sources have one, also those that are nowhere. One without is asked
            for by what the method detects, so that a method that cannot detect needs them all.

    Returns:
        ``given``, ``detected`` or both; ``none`` for a method that asks for no class, and last for
        one that finds sources without names but can be asked for them too.

    Raises:
        UsageError: What was asked for cannot be, or nothing can.
    """
    if not method.class_aware:
        return ("none",)
    detects = method.can_detect()
    can = {"given": labelled and (complete or detects), "detected": detects}
    if labels is not None and "given" in labels and not labelled:
        raise UsageError(
            "The items of this data set have no class labels that could be given.",
            "Evaluate with `--label-source detected`.",
        )
    sources: tuple[LabelSource, ...] = tuple(
        source for source in labels or LABEL_CHOICES if can[source]
    )
    if method.permutation_invariant:
        return (*sources, "none")
    if not sources:
        raise UsageError(
            f"The method '{method.name}' cannot detect classes, and not all are given.",
            "Evaluate it with `--label-source given` on a data set with class labels.",
        )
    return sources
