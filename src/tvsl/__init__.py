"""Text-guided visual sound source localization in mixtures: where is what is heard?

The public names are imported when they are first used, so that ``import tvsl`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvsl.errors import TvslError
    from tvsl.localization import Localization, SoundSource
    from tvsl.localizer import Localizer

__version__ = "0.1.0"

__all__ = ["Localization", "Localizer", "SoundSource", "TvslError", "__version__"]

_HOMES = {
    "Localization": "tvsl.localization",
    "Localizer": "tvsl.localizer",
    "SoundSource": "tvsl.localization",
    "TvslError": "tvsl.errors",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tvsl' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
