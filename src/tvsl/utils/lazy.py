"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any


def lazy_names(
    package: str, places: Iterable[str], own: Iterable[str] = (), hidden: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package with lazy imports.

    Args:
        package: Its ``__name__``.
        places: ``module:name`` of each name, or the dotted name of a submodule.
        own: Names that the package itself defines.
        hidden: Further places whose names can be imported but are not listed.

    Returns:
        The three objects.
    """
    places, hidden = tuple(places), tuple(hidden)
    homes = {_last(place): place for place in (*places, *hidden)}
    names = sorted({*own, *homes} - set(map(_last, hidden)))

    def attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, colon, _ = homes[name].partition(":")
        found = importlib.import_module(module)
        return getattr(found, name) if colon else found

    return attribute, lambda: names, names


def _last(place: str) -> str:
    return place.replace(":", ".").rpartition(".")[2]
