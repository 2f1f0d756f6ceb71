"""HTML that is escaped by the way it is built."""

from __future__ import annotations

from html import escape

_VOID = frozenset({"img", "input"})


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


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
        parts.append(written if value is True else f'{written}="{escape(value)}"')
    opening = f"<{' '.join(parts)}>"
    return Markup(opening if name in _VOID else f"{opening}{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Pieces one after the other; what is no ``Markup`` is escaped."""
    return Markup("".join(c if isinstance(c, Markup) else escape(c) for c in children))
