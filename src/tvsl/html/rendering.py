"""Pages from templates, each one self-contained file, and the page of ``tvsl serve``.

Needs neither torch nor NumPy.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from markupsafe import Markup

from tvsl.errors import printable

if TYPE_CHECKING:
    from jinja2 import Environment

Values = dict[str, object]
"""Plain data for a template, by the names that it knows them by."""

_LINES = re.compile(r"[^\n\t]+")


def visible(value: object) -> object:
    """Show control characters of a text, but line breaks and tabs, as messages show them.

    Browsers leave some of them out, and others turn the direction of all that follows.

    Args:
        value: Any value that a template prints.

    Returns:
        The same value, if it is no text or is HTML already.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _LINES.sub(lambda found: printable(found[0]), value)


@cache
def environment() -> Environment:
    """The environment of all templates: every value is escaped, and a missing one is an error."""
    # Here, so that who writes no page, or writes it beside other work, need not wait for it.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("tvsl.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(
    name: str,
    values: Mapping[str, object],
    *,
    styles: Sequence[str],
    colors: int,
    script: str = "",
    has_files: bool = False,
    has_service: bool = False,
) -> str:
    """Render a page that needs no other file.

    Args:
        name: File name of the template.
        values: Its values.
        styles: File names of the style sheets, the later ones going before the earlier ones.
        colors: Number of colours that the page asks for, as classes ``c0``, ``c1`` and so on: the
            policy forbids style attributes.
        script: File name of the script; empty for none.
        has_files: Whether it plays a video that lies beside it.
        has_service: Whether it talks to the server that it comes from, and plays videos of it.

    Returns:
        The HTML. Its content security policy lets no other style, script, picture or sound in than
        those that it holds.
    """
    style = "\n".join([*map(_template_text, styles), *_color_rules(colors), ""])
    code = _template_text(script) if script else ""
    beside = " 'self' file:" if has_files else " 'self'" if has_service else ""
    service = "connect-src 'self'; " if has_service else ""
    policy = (
        f"default-src 'none'; img-src data:; media-src data:{beside}; "
        f"{service}base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(style)}; script-src {_hash(code)}"
    )
    template = environment().get_template(name)
    return template.render(values, policy=policy, style=Markup(style), script=Markup(code))


def _template_text(name: str) -> str:
    return (resources.files("tvsl.html") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The name of an inline style or script in a policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _color_rules(colors: int) -> list[str]:
    if not colors:
        return []
    from tvsl.render.colors import (
        source_color,
    )  # with torch, which a page without maps can do without

    return [f".c{number} {{ --color: rgb{source_color(number)}; }}" for number in range(colors)]


def service_page() -> str:
    """Write the page, on which one uploads a video and gets its result.

    It holds no secret and names no user's file; its script talks to the service.
    """
    return render_page(
        "serve.html",
        {},
        styles=["page.css", "serve.css"],
        colors=0,
        script="serve.js",
        has_service=True,
    )
