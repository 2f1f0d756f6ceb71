"""The localization methods, by name."""

from collections.abc import Callable

from tvsl.methods.base import Method
from tvsl.methods.tvsl import build

METHODS: dict[str, Callable[..., Method]] = {"tvsl": build}
"""Each entry builds an untrained head for ``embedding=D``."""
