"""The command line: a command is an option parser around a function of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.cli.main import app as app
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
