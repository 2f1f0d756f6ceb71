"""Docstrings of what is public: how they open, and that arguments are told."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from tests.test_package import MODULES

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


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_arguments_are_told_and_nothing_opens_with_a_question(name: str) -> None:
    module = importlib.import_module(name)
    assert not QUESTIONS.match(text(module))
    for owner, inner, function in public(module):
        told = text(function)
        assert told, f"{inner} says nothing of itself"
        assert not QUESTIONS.match(told), f"{inner} opens with a question: {told.splitlines()[0]}"
        assert owner is None or not QUESTIONS.match(text(owner)), owner
        arguments = [one for one in inspect.signature(function).parameters if one != "self"]
        arguments = arguments[1:] if arguments[:1] == ["cls"] else arguments
        if len(arguments) > 1 and not is_command(module, inner, function):
            assert tells_arguments(owner, inner, function), f"{inner} tells nothing of {arguments}"
