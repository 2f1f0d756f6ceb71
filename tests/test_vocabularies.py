from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tvsl.errors import VocabularyError
from tvsl.vocabularies import check_names, everyday_sounds, read_vocabulary


def test_default_list_is_long_clean_and_without_duplicates() -> None:
    names = everyday_sounds()
    assert 180 <= len(names) <= 260
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name == " ".join(name.split()) for name in names)
    assert not any(name.startswith("#") for name in names)
    assert all(len(name) <= 60 for name in names)
    check_names(names)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"dog\ncat\n", ("dog", "cat")),
        (b"dog\r\ncat\r\n", ("dog", "cat")),
        (b"dog\rcat", ("dog", "cat")),
        (b"\xef\xbb\xbfdog\ncat", ("dog", "cat")),
        (b"# animals\ndog\n\n  \n # more\n\tcat  \n", ("dog", "cat")),
        (b"\xef\xbb\xbf# animals\r\ndog", ("dog",)),
        (b"car #1\nC# minor", ("car #1", "C# minor")),
        ("Grüße\n犬".encode(), ("Grüße", "犬")),
        (b"woman speaking, singing", ("woman speaking, singing",)),
        ("dog\u00a0barking\ncat\u3000purring".encode(), ("dog\u00a0barking", "cat\u3000purring")),
        # Persian and Hebrew need marks that nobody sees; a line ends where editors end it.
        (
            "\u0645\u06cc\u200c\u062e\u0648\n\u200f\u05db\u05dc\nold\u2028dog".encode(),
            ("\u0645\u06cc\u200c\u062e\u0648", "\u200f\u05db\u05dc", "old\u2028dog"),
        ),
    ],
    ids=[
        "lf",
        "crlf",
        "cr",
        "bom",
        "comments",
        "bom and comment",
        "hash inside",
        "utf-8",
        "comma",
        "wide spaces",
        "marks",
    ],
)
def test_reads(tmp_path: Path, content: bytes, expected: tuple[str, ...]) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    assert read_vocabulary(path) == expected
    assert read_vocabulary(str(path)) == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no class name"),
        (b"\n \n", "no class name"),
        (b"# only\n# comments\n", "no class name"),
        (b"dog\ncat\ndog\n", "twice: 'dog'"),
        (b"dog\n  dog \n", "twice: 'dog'"),
        (b"Dog\ncat\ndog\n", "twice: 'Dog' and 'dog'"),
        (bytes(range(256)), "UTF-8"),
        (b"\xff\xfed\x00o\x00g\x00", "UTF-8"),
        (b"\x00\x01\x02\n\x03\x04\n", "text"),
        (b"dog\x0bcat\n", "control characters"),
        ("dog\u00a0barking\ndog barking\n".encode(), "two spellings"),
        (b"x\n" * (1 << 19) + b"y", "too large"),
    ],
    ids=[
        "empty",
        "blank",
        "comments",
        "twice",
        "twice in spaces",
        "twice in two spellings",
        "binary",
        "utf-16",
        "nul",
        "tab of lines",
        "twice in two spaces",
        "big",
    ],
)
def test_refuses(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(VocabularyError, match=problem) as caught:
        read_vocabulary(path)
    assert caught.value.path == path
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["missing.txt", ".", "x" * 300])
def test_unreadable_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(VocabularyError, match=r"no such file|cannot be read|a folder"):
        read_vocabulary(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    os.write(writer, b"dog\n")
    # Who reads nevertheless comes to an end, and the test to its failure.
    closing = threading.Timer(0.5, os.close, [writer])
    closing.start()
    try:
        with pytest.raises(VocabularyError):
            read_vocabulary(path)
    finally:
        closing.join()
