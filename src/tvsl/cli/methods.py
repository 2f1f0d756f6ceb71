"""``tvsl methods``: the methods, what each needs, and what it gives."""

from __future__ import annotations

import inspect
import sys
from collections import Counter

from tvsl.cli.output import print_error, print_lines, print_table


def command() -> None:
    """List the methods, and what each needs."""
    from tvsl.methods import METHODS

    known, problems = METHODS.load_all()
    in_file = Counter(method.__module__ for method in known.values())
    rows = [
        (
            name,
            "no" if method.works_untrained else "yes",
            method.supervision,
            "name" if method.class_aware else "clip",
            _title(method, alone=in_file[method.__module__] == 1),
        )
        for name, method in known.items()
    ]
    print_table(("method", "needs training", "labels", "a map for each", "of"), rows)
    print_lines("", "Methods of your own: docs/add-a-method.md.")
    for problem in problems:
        print_error(problem)


def _title(method: type, alone: bool) -> str:
    """The first line of its file, or of the class where the file holds several methods."""
    for text in (sys.modules[method.__module__].__doc__ if alone else None, method.__doc__):
        if text:
            return inspect.cleandoc(text).partition("\n")[0].rstrip(".")
    return ""
