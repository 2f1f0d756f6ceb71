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
        places: ``module:name other_name``, or the dotted name of a submodule.
        own: Names that the package itself defines.
        hidden: Further places whose names can be imported but are not listed.
    """
    listed = _homes(places)
    homes = {**_homes(hidden), **listed}
    names = sorted({*own, *listed})

    def attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, is_module = homes[name]
        found = importlib.import_module(module)
        return found if is_module else getattr(found, name)

    return attribute, lambda: names, names


def _homes(places: Iterable[str]) -> dict[str, tuple[str, bool]]:
    """Module of each name, and whether the name is the module itself."""
    homes = {}
    for place in places:
        module, colon, names = place.partition(":")
        for name in names.split() if colon else [module.rpartition(".")[2]]:
            homes[name] = module, not colon
    return homes
