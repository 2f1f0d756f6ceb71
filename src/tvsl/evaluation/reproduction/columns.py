"""Columns that many tables have."""

from __future__ import annotations

from typing import Literal

from tvsl.evaluation.reproduction.kinds import DUET, SINGLE, Kind
from tvsl.evaluation.reproduction.specs import Column
from tvsl.evaluation.reproduction.trainings import Task
from tvsl.evaluation.scoring import SceneFigure


def both_tasks(
    single: Kind = SINGLE, several: Kind = DUET, paper: bool = True
) -> tuple[Column, ...]:
    """The four figures that most tables give.

    Args:
        single: The scenes of single sources.
        several: The scenes of several sources.
        paper: Whether the paper's table has them.

    Returns:
        AP and success rate of the one, CAP and success rate of the other.
    """
    wanted: tuple[tuple[str, Kind, SceneFigure | Literal["success"], Task, str], ...] = (
        ("single: AP", single, "AP", "single", "{single}: AP"),
        ("single: {success}", single, "success", "single", "{single}: {success}"),
        ("duet: CAP", several, "CAP", "several", "{several}: CAP"),
        ("duet: {success}", several, "success", "several", "{several}: {success}"),
    )
    return tuple(
        Column(title, kind, figure, head, known if paper else None)
        for title, kind, figure, head, known in wanted
    )
