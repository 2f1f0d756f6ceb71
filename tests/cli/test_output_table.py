from __future__ import annotations

import contextlib
import io

import pytest

from tvsl.cli.output import plain_table, print_table

HEADS = ("name", "score")
ROWS = [("red star", "0.5"), ("[bold]x", "-12.25")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(stream: io.StringIO) -> list[str]:
    with contextlib.redirect_stdout(stream):
        print_table(HEADS, ROWS, ("score",))
    return stream.getvalue().splitlines()


def test_plain_text_is_aligned() -> None:
    wanted = ["name       score", "red star     0.5", "[bold]x   -12.25"]
    assert printed(io.StringIO()) == wanted == plain_table(HEADS, ROWS, ("score",))


def test_no_line_ends_in_spaces() -> None:
    assert plain_table(("a", "b"), [("x", ""), ("longer", "y")]) == ["a       b", "x", "longer  y"]


def test_a_terminal_gets_the_same_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    lines = printed(Terminal())
    cells = [line.split() for line in lines if any(letter.isalnum() for letter in line)]
    assert cells == [["name", "score"], ["red", "star", "0.5"], ["[bold]x", "-12.25"]]


def test_a_table_without_rows() -> None:
    assert plain_table(("a", "b"), []) == ["a  b"]
