"""Where this package keeps what it fetched, and what is no path on this computer."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Two letters at least: one is a drive of Windows. ``Path`` makes one slash of two.
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/+(?=[^/])")


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


def address(path: str | Path) -> str | None:
    """The address on the network that was given in place of a path.

    Args:
        path: What a user gave.

    Returns:
        The address, with the slashes that a path loses; None for anything else, also where a file
        or folder of that name exists.
    """
    found = _SCHEME.match(str(path))
    if found is None or os.path.lexists(path):
        return None
    return f"{found[1]}://{str(path)[found.end() :]}"
