"""Testbeds by the names of their data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvsl.data import find_data
from tvsl.data.files import FileDataSet
from tvsl.data.synthetic import SyntheticData
from tvsl.errors import UsageError
from tvsl.evaluation.reproduction.config import ReproduceConfig
from tvsl.evaluation.reproduction.files_bed import FilesBed
from tvsl.evaluation.reproduction.testbed import Testbed
from tvsl.evaluation.reproduction.world_bed import WorldBed


def is_real(data: str) -> bool:
    """Whether a data set is made of files, and no made-up world."""
    return data != SyntheticData.name


def open_testbed(data: str, options: Mapping[str, Any], config: ReproduceConfig) -> Testbed:
    """What tables are measured on.

    Args:
        data: Name of the data set: ``synthetic``, or one of files whose items have one source.
        options: Its options.
        config: The recipe.

    Returns:
        The testbed.

    Raises:
        UsageError: There is no such data set or option, or tables cannot be measured on it.
        DataError: A list of it cannot be used.
    """
    if not is_real(data):
        if options:
            raise UsageError(
                f"The world has no such options here: {', '.join(options)}.",
                "Each table has scenes of its own; leave them out.",
            )
        return WorldBed(config)
    found = find_data(data, **options)
    if not isinstance(found, FileDataSet):
        raise UsageError(
            f"The data set '{data}' is not made of files.", "Choose synthetic, or one of files."
        )
    return FilesBed(found, options, config)
