"""The demo: real and made-up scenes that nobody chose by their results, localized and scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.demo.run import Demo as Demo
    from tvsl.demo.run import run_demo as run_demo
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
