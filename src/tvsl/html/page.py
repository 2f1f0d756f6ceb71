"""Self-contained pages: templates, and HTML that is escaped by the way it is built."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from html import escape
from importlib import resources
from string import Template

from tvsl.errors import printable
from tvsl.render.colors import source_color


def template(name: str) -> str:
    """The text of a template."""
    return (resources.files("tvsl.html") / "templates" / name).read_text(encoding="utf-8")


def fill_page(name: str, style: str, script: str, values: Mapping[str, str]) -> str:
    """Fill a page's template.

    Args:
        name: Of the template.
        style: Its style sheet.
        script: Its script.
        values: What else it asks for, as HTML.

    Returns:
        The HTML. Its content security policy lets no other style, script, picture or sound in than
        those that it holds.
    """
    policy = (
        "default-src 'none'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(style)}; script-src {_hash(script)}"
    )
    return Template(template(name)).substitute(values, policy=policy, style=style, script=script)


def color_rules(count: int) -> str:
    """A class for each of so many colours: the policy forbids style attributes."""
    return "".join(
        f".c{number} {{ --color: rgb{source_color(number)}; }}\n" for number in range(count)
    )


def _hash(text: str) -> str:
    """How a policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


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
