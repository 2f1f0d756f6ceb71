"""Packages that only an extra brings; they are imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from tvsl.errors import UsageError


def optional(module: str, extra: str) -> Any:
    """Import a module of a package that may be missing.

    Args:
        module: Its dotted name.
        extra: The extra of tvsl that brings it.

    Raises:
        UsageError: The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise  # something else is missing in it
        raise UsageError(
            f"{package} is not installed.", f"Install it: pip install 'tvsl[{extra}]'."
        ) from error
