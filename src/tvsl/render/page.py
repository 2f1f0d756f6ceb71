"""Pages that are one file: they hold everything, and ask no network for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from string import Template

from tvsl.render.colormap import source_color


def template(name: str) -> str:
    """The text of a template."""
    return (resources.files("tvsl.render") / "templates" / name).read_text(encoding="utf-8")


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
