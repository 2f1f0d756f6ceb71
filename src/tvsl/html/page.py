"""Self-contained pages: the templates' environment, and values that several pages show."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib import resources

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from tvsl.errors import printable
from tvsl.evaluation.tables import PAPER_HEAD, TextTable
from tvsl.html.data_uris import png_uri, sound_uri
from tvsl.localization import SoundSource
from tvsl.render.colors import source_color
from tvsl.render.spectrogram import LOWEST, spectrogram_image

Values = dict[str, object]
"""Plain data for a template, by the names that it knows them by."""

_LINES = re.compile(r"[^\n\t]+")
_SPECTROGRAM = (96, 360)


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

    Returns:
        The HTML. Its content security policy lets no other style, script, picture or sound in than
        those that it holds.
    """
    rules = [f".c{number} {{ --color: rgb{source_color(number)}; }}" for number in range(colors)]
    style = "\n".join([*map(_template_text, styles), *rules, ""])
    code = _template_text(script) if script else ""
    beside = " 'self' file:" if has_files else ""
    policy = (
        f"default-src 'none'; img-src data:; media-src data:{beside}; "
        "base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(style)}; script-src {_hash(code)}"
    )
    template = environment().get_template(name)
    return template.render(values, policy=policy, style=Markup(style), script=Markup(code))


def _template_text(name: str) -> str:
    return (resources.files("tvsl.html") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The name of an inline style or script in a policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def table_values(table: TextTable, best: Collection[tuple[int, str]] = ()) -> Values:
    """A table of texts, for the macro ``results``.

    Args:
        table: The table.
        best: Row, from 0, and column title of each cell that stands out.

    Returns:
        The title, and the heads and cells of the columns with their style classes.
    """
    classes = [
        "" if column < table.words else "number of-paper" if head == PAPER_HEAD else "number"
        for column, head in enumerate(table.heads)
    ]
    rows = [
        [
            {"text": text, "class": classes[column], "best": (row, table.heads[column]) in best}
            for column, text in enumerate(texts)
        ]
        for row, texts in enumerate(table.rows)
    ]
    columns = list(zip(table.heads, classes, strict=True))
    return {"title": table.title, "columns": columns, "rows": rows}


def sound_values(
    waveform: NDArray[np.float32], samples: NDArray[np.int16], rate: int, name: str
) -> Values:
    """A sound with its spectrogram, for the macro ``sound_figure``.

    Args:
        waveform: What is drawn, mono, (n,).
        samples: What is played, (n,).
        rate: Samples per second of both.
        name: What it is.

    Returns:
        Name, data URIs of sound and spectrogram, and the ranges of time and pitch in words.
    """
    return {
        "name": name,
        "uri": sound_uri(samples, rate),
        "spectrogram": png_uri(spectrogram_image(waveform, rate, _SPECTROGRAM)),
        "seconds": f"{len(waveform) / rate:.2f}",
        "pitch": f"{LOWEST:.0f} Hz to {rate / 2000:.0f} kHz",
    }


def distinct_maps(maps: Mapping[str, SoundSource]) -> list[tuple[str, SoundSource]]:
    """The different maps of one true source.

    Args:
        maps: By the source of labels.

    Returns:
        Each map once, under the sources of labels that it is for, with spaces between them.
    """
    found: list[tuple[str, SoundSource]] = []
    for labels, source in maps.items():
        for place, (others, other) in enumerate(found):
            if np.array_equal(other.grid, source.grid):
                found[place] = (f"{others} {labels}", other)
                break
        else:
            found.append((labels, source))
    return found
