"""Build the documents as a site: `make docs`.

The site's pages are the files of `docs/` and a few documents outside of it (README, model cards,
changes, notebooks, examples) as they are; none is kept twice. They are laid into one folder with
their links turned, so that a link that works on GitHub works on the site as well. The page of all
commands is written from their own help. Zensical builds the site in its strict mode; afterwards
every link, anchor and resource of the made pages is looked up, and what would need a network is
refused.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
RENAMED = {
    "README.md": "index.md",
    "CHANGELOG.md": "project/changes.md",
    "CITATION.cff": "project/CITATION.cff",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "src/tvsl/pretrained/everyday/README.md": "models/everyday.md",
    "src/tvsl/pretrained/mini/README.md": "models/mini.md",
    "src/tvsl/pretrained/mini-pooled/README.md": "models/mini-pooled.md",
}
"""Documents outside `docs/`, by their path, with their places on the site."""
COMMANDS = "command-line.md"
"""The page of all commands, made of their help."""

WIDTH = 84
"""Columns of a command's help on its page."""

_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^()\s]+)(\))")
_FENCE = re.compile(r"^\s*(```+|~~~+)")
_CODE = re.compile(r"(`+)(?:(?!\1).)+?\1", re.DOTALL)


class SiteError(Exception):
    """A document with a link to nothing, or a page that is not as it should be."""


def read(path: Path) -> str:
    """The text of a document."""
    return path.read_text(encoding="utf-8")


def place_of(path: str) -> str:
    """Place on the site of a file of the repository.

    Args:
        path: Its path in the repository.

    Returns:
        The place, a path within the site's pages.
    """
    if path in RENAMED:
        return RENAMED[path]
    folder, _, rest = path.partition("/")
    if folder == "docs":
        return rest
    if folder in ("examples", "notebooks"):
        return str(Path(path).with_suffix(".md"))
    return f"files/{path}" if Path(path).suffix else f"files/{path}.txt"


def prose(text: str) -> Iterator[tuple[str, bool]]:
    """Lines of a Markdown text, each with whether it is prose and no block of code."""
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
            yield line, False
        elif mark and mark[1].startswith(fence) and fence:
            fence = ""
            yield line, False
        else:
            yield line, not fence


def turned_links(text: str, source: str, root: Path = ROOT) -> tuple[str, set[str]]:
    """A document with its links turned to the places of the site.

    Args:
        text: The document, in Markdown.
        source: Its path in the repository.
        root: The repository.

    Returns:
        The text, and the paths of all files that it links to.

    Raises:
        SiteError: A link leads to no file of the repository.
    """
    here = Path(place_of(source)).parent
    linked: set[str] = set()

    def turn(match: re.Match[str]) -> str:
        target, mark, anchor = match[2].partition("#")
        if urlsplit(match[2]).scheme:
            return match[0]
        if not target:
            if anchor not in slugs(text):
                raise SiteError(f"{source}: '{match[2]}' leads to no heading")
            return match[0]
        path = os.path.normpath(Path(source).parent / unquote(target))
        if path.startswith("..") or not (root / path).is_file():
            raise SiteError(f"{source}: '{match[2]}' leads to no file")
        linked.add(path)
        if anchor and path.endswith(".md") and anchor not in slugs(read(root / path)):
            raise SiteError(f"{source}: '{match[2]}' leads to no heading")
        return f"{match[1]}{os.path.relpath(place_of(path), here)}{mark}{anchor}{match[3]}"

    def turn_outside_code(line: str) -> str:
        parts, at = [], 0
        for code in _CODE.finditer(line):
            parts += [_LINK.sub(turn, line[at : code.start()]), code[0]]
            at = code.end()
        return "".join([*parts, _LINK.sub(turn, line[at:])])

    # A link may run over two lines: blocks of prose are turned as a whole.
    made, block = [], ""
    for line, is_prose in prose(text):
        if is_prose:
            block += line
            continue
        made += [turn_outside_code(block), line]
        block = ""
    return "".join([*made, turn_outside_code(block)]), linked


def slugs(text: str) -> set[str]:
    """Anchors of a document's headings, as GitHub and the site name them."""
    found: set[str] = set()
    for line, is_prose in prose(text):
        heading = re.match(r"#+\s+(.*)", line) if is_prose else None
        if heading:
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1].strip()).lower()
            slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            again = f"{slug}-1" if slug in found else slug
            found.add(again)
    return found


def notebook_page(path: Path) -> str:
    """A notebook as a page: its texts, and its code in blocks."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = []
    for cell in cells:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def example_page(path: Path) -> str:
    """An example as a page: what its docstring says, and the file below it."""
    text = read(path)
    tree = ast.parse(text)
    said = ast.get_docstring(tree) or ""
    title, _, rest = said.partition("\n")
    code = "".join(text.splitlines(keepends=True)[tree.body[0].end_lineno :]).lstrip("\n")
    return f"# {title.rstrip('.')}\n\n{rest.strip()}\n\n```python\n{code}```\n"


def commands_page() -> str:
    """The help of every command, in the order of `tvsl --help`."""
    import typer.main

    from tvsl.cli.main import app

    def told(command: Any, path: str) -> Iterator[str]:
        context = command.context_class(command, info_name=path)
        context.terminal_width = context.max_content_width = WIDTH
        yield f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"
        for name, part in getattr(command, "commands", {}).items():
            yield from told(part, f"{path} {name}")

    head = "# Command line\n\nThe help of every command, as `tvsl COMMAND --help` prints it.\n\n"
    return head + "\n".join(told(typer.main.get_command(app), "tvsl"))


_READERS: dict[str, Callable[[Path], str]] = {
    ".ipynb": notebook_page,
    ".py": example_page,
    ".md": read,
}


def documents(root: Path = ROOT) -> list[str]:
    """Paths of the documents that become pages, and of the files that lie beside them."""
    found = [path for path in RENAMED if (root / path).is_file()]
    for pattern in ("docs/**/*", "notebooks/*.ipynb", "examples/*.py"):
        found += [str(path.relative_to(root)) for path in root.glob(pattern) if path.is_file()]
    return sorted(found)


def lay_out(folder: Path, root: Path = ROOT) -> list[str]:
    """Lay all pages into a folder.

    Args:
        folder: The folder; what it held is removed.
        root: The repository.

    Returns:
        The places of the pages.

    Raises:
        SiteError: A link leads to nothing.
    """
    shutil.rmtree(folder, ignore_errors=True)
    waiting, done = documents(root), set[str]()
    pages = []
    while waiting:
        source = waiting.pop()
        if source in done:
            continue
        done.add(source)
        place = folder / place_of(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        is_page = place.suffix == ".md"
        if not is_page:
            shutil.copyfile(root / source, place)
            continue
        text, linked = turned_links(_READERS[Path(source).suffix](root / source), source, root)
        place.write_text(text, encoding="utf-8")
        pages.append(place_of(source))
        waiting += linked
    return sorted(pages)


class _Page(HTMLParser):
    """Links, resources and anchors of a made page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.resources: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev", "alternate"):
            self.resources.append(given.get("href", ""))
        elif tag in ("img", "script", "iframe", "source", "video", "audio"):
            self.resources += [given["src"]] if given.get("src") else []


def faults(site: Path) -> list[str]:
    """Problems of the pages of a site: dead links and anchors, resources of a network.

    Args:
        site: Its folder.

    Returns:
        A line for each fault.
    """
    parsed: dict[Path, _Page] = {}

    def page_of(path: Path) -> _Page:
        if path not in parsed:
            parsed[path] = _Page()
            parsed[path].feed(path.read_text(encoding="utf-8"))
        return parsed[path]

    # Pages that tvsl itself wrote, such as the tables', are tested where they are made.
    found = [path for path in sorted(site.rglob("*.html")) if "generator" in _head(path)]
    lines = []
    for path in found:
        page, name = page_of(path), path.relative_to(site)
        if path.name == "404.html":  # its links begin at the root of a server
            continue
        for link in page.resources:
            if urlsplit(link).netloc or urlsplit(link).scheme not in ("", "data"):
                lines.append(f"{name}: {link} needs a network")
        for link in (*page.links, *page.resources):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                lines.append(f"{name}: {link} leads to nothing")
            elif parts.fragment and target.suffix == ".html":
                anchor = unquote(parts.fragment)
                if anchor not in page_of(target).anchors | {"__top"}:
                    lines.append(f"{name}: {link} has no such place")
    for path in sorted(site.rglob("*.css")):
        for address in re.findall(r"url\(\s*['\"]?((?:https?:)?//[^'\")]+)", path.read_text()):
            lines.append(f"{path.relative_to(site)}: {address} needs a network")
    return lines


def _head(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(2000)


def missing_in_nav(pages: Iterable[str], config: str) -> list[str]:
    """Pages that the navigation of the site does not lead to.

    Args:
        pages: The places of all pages.
        config: Text of `mkdocs.yml`.

    Returns:
        Those that its `nav` does not name.
    """
    named = set(re.findall(r"[\w./-]+\.md", config.partition("\nnav:")[2]))
    return [page for page in pages if page not in named]


def main() -> None:
    """Build the site, or end with what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=Path, default=ROOT / "build" / "docs" / "pages")
    parser.add_argument("--site", type=Path, default=ROOT / "build" / "docs" / "site")
    given = parser.parse_args()
    try:
        pages = lay_out(given.pages)
    except SiteError as error:
        sys.exit(str(error))
    (given.pages / COMMANDS).write_text(commands_page(), encoding="utf-8")
    lost = missing_in_nav([*pages, COMMANDS], (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    if lost:
        sys.exit(f"Not in the nav of mkdocs.yml: {', '.join(lost)}")
    shutil.rmtree(given.site, ignore_errors=True)
    zensical = str(Path(sys.executable).with_name("zensical"))
    command = [zensical, "build", "--strict", "--clean", "--config-file", "mkdocs.yml"]
    done = subprocess.run(command, cwd=ROOT, timeout=600, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    wrong = faults(given.site)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(pages) + 1} pages in {given.site}; to search in them, serve them:")
    print(f"python -m http.server --bind 127.0.0.1 --directory {given.site}")


if __name__ == "__main__":
    main()
