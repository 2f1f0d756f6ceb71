"""Docstrings: openings of all, arguments of public functions."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.test_package import MODULES

FOLDERS = ("benchmarks", "scripts", "src", "tests")
QUESTIONS = re.compile(r"(What|Which|How|Whether|From)\b")
SEE = re.compile(r"[Ss]ee ``([\w.]+)``")
FRAMEWORKS = re.compile(r"[Ss]ee (Lightning|Typer)\b")


def public(module: ModuleType) -> Iterator[tuple[type | None, str, Callable[..., Any]]]:
    """Public functions and methods that a module defines, with the class of each method."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing):
            yield None, name, thing
        elif inspect.isclass(thing):
            for inner, member in vars(thing).items():
                function = member.__func__ if isinstance(member, classmethod) else member
                ours = inspect.isfunction(function) and function.__module__ == module.__name__
                if ours and not inner.startswith("_"):
                    yield thing, inner, function


def is_command(module: ModuleType, name: str, function: Callable[..., Any]) -> bool:
    """Tell whether Typer makes a command of a function: its options have help texts."""
    if not module.__name__.startswith("tvsl.cli."):
        return False
    app = getattr(module, "app", None)
    callbacks = [one.callback for one in app.registered_commands] if app is not None else []
    return name == "command" or function in callbacks


@cache
def by_name() -> dict[str, Any]:
    """Public classes and functions of the package by their names."""
    modules = [importlib.import_module(name) for name in MODULES if not name.endswith("__main__")]
    return {
        name: thing
        for module in modules
        for name, thing in vars(module).items()
        if getattr(thing, "__module__", None) == module.__name__
    }


def text(thing: Any) -> str:
    return getattr(thing, "__doc__", None) or ""


def tells_arguments(owner: type | None, name: str, function: Callable[..., Any]) -> bool:
    """Tell whether a docstring has Args, or names one that has."""
    told = function.__doc__ or ""
    if "Args:" in told or FRAMEWORKS.search(told):
        return True
    if owner is not None and re.search(r"[Ss]ee the base class", told):
        bases = [vars(base).get(name) for base in owner.__mro__[1:]]
        return any("Args:" in text(getattr(one, "__func__", one)) for one in bases if one)
    referred = SEE.search(told)
    if referred is None:
        return False
    last = referred.group(1).rpartition(".")[2]
    other = getattr(owner, last, None) or by_name().get(last)
    same = getattr(other, name, other)
    return "Args:" in text(same) or (inspect.isclass(other) and "Args:" in text(other.__call__))


def test_no_docstring_opens_with_a_question() -> None:
    root = Path(__file__).parents[1]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    assert len(files) > len(MODULES)
    found = [
        f"{path.relative_to(root)}: {told.splitlines()[0]}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, documented) and QUESTIONS.match(told := ast.get_docstring(node) or "")
    ]
    assert not found


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_arguments_are_told(name: str) -> None:
    module = importlib.import_module(name)
    for owner, inner, function in public(module):
        assert text(function), f"{inner} says nothing of itself"
        arguments = [one for one in inspect.signature(function).parameters if one != "self"]
        arguments = arguments[1:] if arguments[:1] == ["cls"] else arguments
        if len(arguments) > 1 and not is_command(module, inner, function):
            assert tells_arguments(owner, inner, function), f"{inner} tells nothing of {arguments}"
