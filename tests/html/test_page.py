from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib import resources

import jinja2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from tvsl.errors import printable
from tvsl.evaluation.results import TextTable
from tvsl.html.page import distinct_maps, table_values
from tvsl.html.rendering import environment, render_page
from tvsl.localization import SoundSource

TEXTS = st.text()
TEMPLATES = {
    file.name: file.read_text(encoding="utf-8")
    for file in (resources.files("tvsl.html") / "templates").iterdir()
    if file.name.endswith(".html")
}
PARAGRAPH = environment().from_string('<p title="{{ title }}">{{ text }}</p>')


def shown(text: str) -> str:
    """Text as it is seen: control characters as in messages, line breaks and tabs as they are."""
    return "".join(letter if letter in "\n\t" else printable(letter) for letter in text)


class Reader(HTMLParser):
    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(text=TEXTS, title=TEXTS)
def test_nothing_gets_out_of_its_place(text: str, title: str) -> None:
    read = Reader(PARAGRAPH.render(text=text, title=title))
    assert read.seen == [("p", {"title": shown(title)})]
    assert read.text == shown(text)
    read.text.encode()


def test_control_characters_are_seen() -> None:
    name = "a\u202egnp.\x1b[2J\ud800"
    assert PARAGRAPH.render(text=name, title="") == '<p title="">a\\u202egnp.\\x1b[2J\\ud800</p>'
    assert PARAGRAPH.render(text="a\n\tb", title="") == '<p title="">a\n\tb</p>'


def test_markup_is_not_escaped_again() -> None:
    written = PARAGRAPH.render(text=Markup("<b>&lt;</b>"), title="<b>")
    assert written == '<p title="&lt;b&gt;"><b>&lt;</b></p>'


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        PARAGRAPH.render(text="a")
    with pytest.raises(jinja2.UndefinedError):
        render_page("demo.html", {}, styles=[], colors=0)


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_leave_escaping_on(name: str) -> None:
    text = TEMPLATES[name]
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", text)
    # A value in an attribute without quotation marks could end it with a space.
    assert not re.search(r"=\s*\{\{", text.replace('="{{', ""))


def test_classes_and_best_cells_of_a_table() -> None:
    table = TextTable("Title", ("method", "AP", "paper"), (("a", "1", "2"), ("b", "3", "")), 1)
    values = table_values(table, {(1, "AP")})
    assert values["title"] == "Title"
    assert values["columns"] == [("method", ""), ("AP", "number"), ("paper", "number of-paper")]
    (first, second) = values["rows"]  # type: ignore[misc]
    assert [cell["text"] for cell in first] == ["a", "1", "2"]
    assert [cell["best"] for cell in first] == [False, False, False]
    assert [cell["best"] for cell in second] == [False, True, False]


def test_equal_maps_are_shown_once() -> None:
    one, other = (
        SoundSource("dog", 1.0, np.full((2, 2), value, dtype=np.float32), (4, 4))
        for value in (0.0, 1.0)
    )
    found = distinct_maps({"given": one, "none": other, "detected": one})
    assert found == [("given detected", one), ("none", other)]
