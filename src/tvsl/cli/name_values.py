"""NAME=VALUE arguments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tvsl.errors import UsageError


def name_values(name: str, given: Sequence[str] | None) -> dict[str, Any] | None:
    """Take NAME=VALUE arguments apart.

    Args:
        name: Name of the option, for messages.
        given: The arguments.

    Returns:
        The values by their names, JSON where they can be, else words; None if there is none.

    Raises:
        UsageError: One is of another form.
    """
    pairs: dict[str, Any] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{name} '{text}' is no NAME=VALUE.", f"Write {name} name=value.")
        try:
            pairs[key] = json.loads(value)
        except ValueError:
            pairs[key] = value
    return pairs or None
