"""Imports that wait: names of a package until they are used, packages that only an extra brings."""

from __future__ import annotations

import ast
import gc
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tvsl.errors import UsageError


def lazy_names(
    package: str, own: Iterable[str] = (), hidden: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package with lazy imports.

    The package imports its names under ``if TYPE_CHECKING``, each ``as`` itself, for readers and
    type checkers; its source tells where each of them is.

    Args:
        package: Its ``__name__``.
        own: Names that the package itself defines.
        hidden: Names that can be imported but are not listed.
    """
    homes = _homes(package)
    names = sorted({*own, *homes} - set(hidden))

    def attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        if homes[name] == package:
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(homes[name]), name)

    return attribute, lambda: names, names


def _homes(package: str) -> dict[str, str]:
    """Module from which each name is imported."""
    spec: Any = sys.modules[package].__spec__
    branches = [
        node
        for node in ast.parse(spec.loader.get_source(package)).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {
        alias.asname: str(node.module)
        for branch in branches
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is not None
    }


@contextmanager
def importing() -> Iterator[None]:
    """Import without searching for unused cycles, a fifth of the time that importing torch takes.

    What is there at the end counts as in use from then on: no later search looks at it. So only the
    commands call it, never library code.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
