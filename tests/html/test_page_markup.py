from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvsl.errors import printable
from tvsl.html.page import Markup, joined, tag

TEXTS = st.text()


def shown(text: str) -> str:
    """What a reader sees: control characters as in messages, line breaks and tabs as they are."""
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


@given(text=TEXTS, value=TEXTS)
def test_nothing_gets_out_of_its_place(text: str, value: str) -> None:
    read = Reader(tag("p", text, title=value))
    assert read.seen == [("p", {"title": shown(value)})]
    assert read.text == shown(text)
    read.text.encode()


def test_control_characters_are_seen() -> None:
    name = "a\u202egnp.\x1b[2J\ud800"
    assert tag("p", name) == "<p>a\\u202egnp.\\x1b[2J\\ud800</p>"
    assert tag("p", "a\n\tb") == "<p>a\n\tb</p>"


def test_markup_is_not_escaped_again() -> None:
    assert tag("p", tag("b", "<&>"), "<&>") == "<p><b>&lt;&amp;&gt;</b>&lt;&amp;&gt;</p>"
    assert joined("a<", Markup("<br>")) == "a&lt;<br>"
    assert isinstance(joined(), Markup)


@pytest.mark.parametrize(
    ("attributes", "written"),
    [
        ({"class_": "a b"}, '<i class="a b"></i>'),
        ({"data_row": "x"}, '<i data-row="x"></i>'),
        ({"hidden": True, "title": None, "lang": False}, "<i hidden></i>"),
    ],
)
def test_attributes(attributes: dict[str, str | bool | None], written: str) -> None:
    assert tag("i", **attributes) == written


def test_elements_without_content_are_not_closed() -> None:
    assert tag("img", src="#") == '<img src="#">'
