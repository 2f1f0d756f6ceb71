"""Where this package keeps what it fetched."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """``TVSL_HOME`` if set, else the platform's cache folder for this package."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("TVSL_HOME")
    return Path(chosen).expanduser() if chosen else user_cache_path("tvsl", appauthor=False)


def weights_folder() -> Path:
    """Folder of the public weight files."""
    return home() / "weights"


def lists_folder() -> Path:
    """Folder of the benchmarks' lists and annotations."""
    return home() / "lists"
