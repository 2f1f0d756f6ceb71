"""HTML that is escaped by the way it is built."""

from __future__ import annotations

import re
from html import escape

from tvsl.errors import printable

_LINES = re.compile(r"[^\n\t]+")
_VOID = frozenset({"img", "input"})


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def escaped(text: str) -> str:
    """A text for a page; control characters but line breaks and tabs are shown as in messages.

    Browsers leave some of them out, and turn the direction of all that follows by others.
    """
    return escape(_LINES.sub(lambda found: printable(found[0]), text))


def tag(name: str, /, *children: str, **attributes: str | bool | None) -> Markup:
    """An element.

    Args:
        name: Its name.
        children: Its content, one after the other; what is no ``Markup`` is escaped.
        attributes: Values are escaped; a trailing underscore of a name is left out, others become
            hyphens. True stands for an attribute without a value; None and False for none.

    Returns:
        The element.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written = key.rstrip("_").replace("_", "-")
        parts.append(written if value is True else f'{written}="{escaped(value)}"')
    opening = f"<{' '.join(parts)}>"
    return Markup(opening if name in _VOID else f"{opening}{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Pieces one after the other; what is no ``Markup`` is escaped."""
    return Markup("".join(c if isinstance(c, Markup) else escaped(c) for c in children))
