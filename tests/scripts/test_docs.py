from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "docs.py"


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_script"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in {
        "README.md": "# A\n\n[steps](docs/steps.md#go), ![x](docs/x.svg)\n",
        "docs/steps.md": "# Steps\n\n## Go\n\n[home](../README.md), [card](../src/NOTICE)\n",
        "docs/x.svg": "<svg/>",
        "src/NOTICE": "names",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def test_pages_are_laid_out_with_their_links(docs: ModuleType, root: Path) -> None:
    assert docs.lay_out(root / "pages", root) == ["index.md", "steps.md"]
    pages = root / "pages"
    assert "[steps](steps.md#go), ![x](x.svg)" in (pages / "index.md").read_text()
    assert "[home](index.md), [card](files/src/NOTICE.txt)" in (pages / "steps.md").read_text()
    assert (pages / "files" / "src" / "NOTICE.txt").read_text() == "names"
    assert (pages / "x.svg").is_file()


def test_anchors_are_those_of_github(docs: ModuleType) -> None:
    text = "# A `b` (c), d: e\n\n## Two of [a](b.md)\n\n```\n# no\n```\n\n## Again\n\n## Again\n"
    assert docs.slugs(text) == {"a-b-c-d-e", "two-of-a", "again", "again-1"}


@pytest.mark.parametrize("link", ["../README.md#no", "#no"])
def test_a_link_to_no_heading_is_an_error(docs: ModuleType, root: Path, link: str) -> None:
    (root / "docs" / "steps.md").write_text(f"# Steps\n\n## Yes\n\n[there]({link})\n")
    with pytest.raises(docs.SiteError, match=r"docs/steps\.md: .* leads to no heading"):
        docs.lay_out(root / "pages", root)


@pytest.mark.parametrize("target", ["gone.md", "../src", "../../outside.md"])
def test_a_link_to_nothing_is_an_error(docs: ModuleType, root: Path, target: str) -> None:
    (root / "docs" / "steps.md").write_text(f"# Steps\n\n[there]({target})\n")
    with pytest.raises(docs.SiteError, match=r"docs/steps\.md: .* leads to no file"):
        docs.lay_out(root / "pages", root)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx[0](gone.md)\n```\n",
        "````text\n```\n[a](gone.md)\n````\n",
        "`[a](gone.md)`\n",
        "[a](https://example.org/gone.md)\n",
        "# Here\n\n[a](#here)\n",
    ],
)
def test_what_is_no_link_to_a_file_stays(docs: ModuleType, text: str) -> None:
    assert docs.turned_links(text, "docs/steps.md") == (text, set())


def test_a_link_over_two_lines_is_turned(docs: ModuleType, root: Path) -> None:
    text, linked = docs.turned_links("[home\npage](../README.md)", "docs/steps.md", root)
    assert text == "[home\npage](index.md)"
    assert linked == {"README.md"}


def test_dead_links_and_resources_of_a_network_are_found(docs: ModuleType, tmp_path: Path) -> None:
    head = '<meta name="generator" content="x">'
    (tmp_path / "a.html").write_text(
        f'{head}<h1 id="top">A</h1><a href="b.html#there">b</a><a href="b.html#no">b</a>'
        '<a href="#top">a</a><a href="c.html">c</a><a href="https://example.org">out</a>'
        '<script src="https://cdn.example.org/x.js"></script><img src="data:image/png;base64,A">'
    )
    (tmp_path / "b.html").write_text(f'{head}<p id="there">B</p>')
    (tmp_path / "x.css").write_text("@font-face { src: url('//fonts.example.org/f.woff2') }")
    assert docs.faults(tmp_path) == [
        "a.html: https://cdn.example.org/x.js needs a network",
        "a.html: b.html#no has no such place",
        "a.html: c.html leads to nothing",
        "x.css: //fonts.example.org/f.woff2 needs a network",
    ]


def test_every_page_of_this_repository_is_in_the_navigation(
    docs: ModuleType, tmp_path: Path
) -> None:
    pages = docs.lay_out(tmp_path)
    assert {"index.md", "faq.md", "project/changes.md", "models/mini.md"} <= set(pages)
    config = (docs.ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert docs.missing_in_nav([*pages, docs.COMMANDS], config) == []
    assert docs.missing_in_nav(["new.md"], config) == ["new.md"]


def test_the_page_of_commands_has_every_command(docs: ModuleType) -> None:
    page = docs.commands_page()
    for name in ("tvsl", "tvsl localize", "tvsl data fetch-lists", "tvsl weights verify"):
        assert f"\n## {name}\n" in page
    assert "--labels" in page


def test_notebooks_and_examples_become_pages(docs: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(
        '{"cells": [{"cell_type": "markdown", "source": ["# A\\n", "text"]},'
        ' {"cell_type": "code", "source": ["x = 1"]}]}'
    )
    assert docs.notebook_page(tmp_path / "a.ipynb") == "# A\ntext\n\n```python\nx = 1\n```\n"
    (tmp_path / "b.py").write_text('"""Do a thing.\n\nBy this.\n"""\n\nx = 1\n')
    page = docs.example_page(tmp_path / "b.py")
    assert page == "# Do a thing\n\nBy this.\n\n```python\nx = 1\n```\n"
