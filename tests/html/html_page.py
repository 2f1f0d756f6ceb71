"""A page taken apart, and what every page of ours must be."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input"}
ADDRESSES = {"src", "href", "srcset", "action", "formaction", "poster", "data", "background"}


class Page(HTMLParser):
    """A page taken apart; what is opened and not closed is an error."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            found
            for name, found in self.elements
            if name == tag and all(found.get(key) == value for key, value in attributes.items())
        ]


def check_self_contained(page: Page, text: str) -> None:
    """The page asks for nothing that it does not hold."""
    addresses = [
        (name, value)
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name.split(":")[-1] in ADDRESSES
    ]
    assert addresses
    for name, value in addresses:
        assert value.startswith(("data:", "#")), (name, value[:60])
    assert not page.all("link", rel="stylesheet")
    assert "@import" not in text
    assert "url(" not in text
    code = "".join(page.texts.get("script", []) + page.texts["style"])
    assert not re.search(r"https?:|//[a-z]|fetch|XMLHttp|WebSocket|eval\(|innerHTML", code)


def check_policy(page: Page) -> None:
    """The policy lets in what the page holds, and nothing else."""
    (policy,) = [
        found["content"] for found in page.all("meta") if "http-equiv" in found and found["content"]
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == rules["media-src"] == "data:"
    for kind in ("style", "script"):
        code = "".join(page.texts.get(kind, []))
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    for _, attributes in page.elements:  # which the policy would refuse
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
