"""Registries of methods, data sets, encoders and protocols, which other packages can add to.

A name is looked up among what tvsl brings, what was registered in this process, and what installed
packages announce as entry points. A reference, ``my_file.py:MyMethod`` or
``my_package.module:MyMethod``, names a class that is none of these.

To import somebody's Python code is to run it. It happens for a reference that a user gives and for
an entry point that a user installed, never because a file of a model or of a run names a class.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from tvsl.errors import UsageError, shown

T = TypeVar("T")

_REFERENCE = re.compile(r"(?P<place>.+\.py|[^\W\d][\w.]*):(?P<name>[^\W\d]\w*)")
_NAME = re.compile(r"[\w.-]+")
_FILE_PREFIX = "tvsl_file_"


@dataclass(frozen=True)
class Origin:
    """Origin of a class, for those who meet its heads without it.

    Attributes:
        name: Name of the class in its module.
        module: Its module; None for a class of a file that is no module of a package.
        distribution: The distribution on a package index that holds the module, where it is known.
        file: The file as it was given, else None.
    """

    name: str
    module: str | None = None
    distribution: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        return f"{self.file or self.module}:{self.name}"


def is_reference(text: str) -> bool:
    """Tell whether a text has the form of a reference, and is no name of a file that exists."""
    return _REFERENCE.fullmatch(text) is not None and not Path(text).exists()


class Registry(Mapping[str, T]):
    """Classes or objects of one kind by their names.

    A built-in name always means what tvsl brings. Two entry points of one name exclude each other
    until one is asked for by a reference; ``load_all`` reports both.

    Args:
        noun: What messages call one of them.
        group: Group of the entry points.
        builtin: What tvsl brings: the object, or its ``module:name``, imported at its first use.
        wanted: What messages call an object of the right kind.
        accepts: Tells whether an object is of the right kind.

    """

    def __init__(
        self,
        noun: str,
        group: str,
        builtin: Mapping[str, T | str],
        wanted: str,
        accepts: Callable[[Any], bool],
    ) -> None:
        self.noun = noun
        self.group = group
        self._builtin = dict(builtin)
        self._wanted = wanted
        self.accepts = accepts
        self._added: dict[str, T] = {}
        self._sources: dict[str, Origin] = {}
        self._installed: dict[str, list[EntryPoint]] | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._builtin, *self._added, *self._entries())))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._added or name in self._entries()

    def __getitem__(self, name: str) -> T:
        if name in self._builtin:
            found = self._builtin[name]
            if isinstance(found, str):
                module, _, attribute = found.partition(":")
                found = self._builtin[name] = getattr(importlib.import_module(module), attribute)
            return cast("T", found)
        if name in self._added:
            return self._added[name]
        entries = self._entries()[name]
        if len(entries) > 1:
            values = " and ".join(f"{entry.value} ({_distribution(entry)})" for entry in entries)
            raise UsageError(
                f"Two packages bring the {self.noun} '{name}': {values}.",
                "Uninstall one, or give the other's MODULE:NAME in place of the name.",
            )
        return self._load(entries[0])

    def find(self, name: str) -> T:
        """Look a name up.

        Args:
            name: A name, no reference.

        Raises:
            UsageError: There is nothing of that name, or the package that announces it is broken.
        """
        if not isinstance(name, str) or name not in self:
            plural = f"{self.noun}s"
            raise UsageError(
                f"There is no {self.noun} {shown(name)}.",
                f"{plural.capitalize()}: {', '.join(self)}.",
            )
        return self[name]

    def resolve(self, text: str) -> T:
        """Look up a name, or import what a reference names and register it under its own name.

        Args:
            text: A name, ``FILE.py:NAME`` or ``MODULE:NAME``, as the user gave it. It must not come
                from a file of a model or a run: a reference runs code.

        Raises:
            UsageError: There is nothing of that name, the file or module is missing or raises an
                error, what it names is of another kind, or its own name is taken.
        """
        found = _REFERENCE.fullmatch(text)
        if found is None:
            return self.find(text)
        place, name = found["place"], found["name"]
        is_file = place.endswith(".py")
        module = _import_file(place) if is_file else _import_module(place)
        if not hasattr(module, name):
            raise UsageError(f"{place} has no '{name}'.", f"Give the name of {self._wanted}.")
        source = Origin(name, file=place) if is_file else None
        return self.register(getattr(module, name), source=source)

    def register(self, thing: T, name: str | None = None, source: Origin | None = None) -> T:
        """Add a class or object for as long as this process runs.

        Args:
            thing: What to add.
            name: Its name; its own when None: its attribute ``name``, else its ``__name__``.
            source: Where it comes from; its module when None.

        Raises:
            UsageError: It is of another kind, its name is none, or means something else already.
        """
        name = self._checked(thing, name)
        if self._means_another(name, thing):
            raise UsageError(
                f"The name '{name}' means another {self.noun} already.",
                "Give it another `name`.",
            )
        if name not in self._builtin:
            self._added[name] = thing
            if source is not None:
                self._sources[name] = source
        return thing

    def load_all(self) -> tuple[dict[str, T], list[UsageError]]:
        """Load what can be loaded, by its name, and tell what is wrong with the rest."""
        found: dict[str, T] = {}
        problems = []
        for name in self:
            try:
                found[name] = self[name]
            except UsageError as error:
                problems.append(error)
        for name in self._entries().keys() & self._builtin.keys():
            entries = self._entries()[name]
            others = ", ".join(_distribution(entry) or entry.value for entry in entries)
            problems.append(
                UsageError(
                    f"The name '{name}' is that of a {self.noun} of tvsl, not of: {others}.",
                    "Give MODULE:NAME in place of the name.",
                )
            )
        return found, problems

    def source(self, name: str) -> Origin | None:
        """Origin of something that was registered; None for what tvsl brings."""
        if name in self._builtin:
            return None
        if name in self._sources:
            return self._sources[name]
        if name in self._added:
            module, attribute = _address(self._added[name])
            package = module.partition(".")[0]
            known = packages_distributions().get(package, [None])
            return Origin(attribute, module, known[0])
        entry = self._entries()[name][0]
        return Origin(entry.attr, entry.module, _distribution(entry))

    def _entries(self) -> dict[str, list[EntryPoint]]:
        """Entry points by name; one that is installed twice counts once."""
        if self._installed is None:
            self._installed = {}
            for entry in entry_points(group=self.group):
                known = self._installed.setdefault(entry.name, [])
                if entry.value not in [one.value for one in known]:
                    known.append(entry)
        return self._installed

    def _load(self, entry: EntryPoint) -> T:
        remedy = f"Update or uninstall {_distribution(entry) or entry.module}."
        problem = f"The {self.noun} '{entry.name}' ({entry.value}) cannot be used"
        try:
            thing = entry.load()
        except (Exception, SystemExit) as error:
            raise UsageError(f"{problem}: {_reason(error)}.", remedy) from error
        try:
            name = self._checked(thing, None if _own_name(thing) else entry.name)
        except UsageError as error:
            raise UsageError(f"{problem}: {error.problem}", remedy) from error
        if name != entry.name:
            raise UsageError(f"{problem}: it calls itself '{name}'.", remedy)
        self._added[name] = thing
        return cast("T", thing)

    def _checked(self, thing: Any, name: str | None) -> str:
        """The name of something, if it is of the right kind."""
        if not self.accepts(thing):
            raise UsageError(f"{shown(thing)} is no {self.noun}.", f"Give {self._wanted}.")
        name = name or _own_name(thing) or getattr(thing, "__name__", "")
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise UsageError(
                f"A {self.noun} cannot be called {shown(name)}.",
                "Give a `name` of letters, digits, dots, dashes and underscores.",
            )
        return name

    def _means_another(self, name: str, thing: T) -> bool:
        if name in self._builtin:
            return self[name] is not thing
        if name in self._added:  # a cell of a notebook may be run again
            known = self._added[name]
            return known != thing and _address(known) != _address(thing)
        entries = self._entries().get(name, [])
        return bool(entries) and ":".join(_address(thing)) not in [one.value for one in entries]


def _own_name(thing: Any) -> Any:
    return getattr(thing, "name", None)


def _address(thing: Any) -> tuple[str, str]:
    """Module and name of a class or a function; of an object, those of its class and its name."""
    kind = thing if hasattr(thing, "__qualname__") else type(thing)
    name = kind.__qualname__ if kind is thing else str(_own_name(thing))
    return kind.__module__, name


def _distribution(entry: EntryPoint) -> str | None:
    return None if entry.dist is None else entry.dist.name


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {shown(str(error).partition(chr(10))[0])}"


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"The module '{name}' cannot be imported ({_reason(error)}).",
            "Install it, or give its file as FILE.py:NAME.",
        ) from error


def _import_file(place: str) -> ModuleType:
    """Run a file as a module, once in a process."""
    path = Path(place).expanduser().resolve()
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    name = f"{_FILE_PREFIX}{digest}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise UsageError("There is no such file.", "Check the path before the colon.", path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the file is there, and its name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic and dataclasses look their classes' modules up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(
            f"The file cannot be imported ({_reason(error)}).", "Correct it.", path
        ) from error
    return module
