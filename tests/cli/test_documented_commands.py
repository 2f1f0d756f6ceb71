"""Commands, options, names and files in the documents: each of them exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tvsl.cli.main import app
from tvsl.data import DATA_SETS
from tvsl.methods import METHODS

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "src").rglob("pretrained/*/README.md")),
    *sorted((ROOT / "examples").glob("*.py")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]
KNOWN = {"--data": set(DATA_SETS), "--method": set(METHODS)}
"""Options whose words in small letters are names."""


def written_commands(text: str) -> Iterator[list[str]]:
    """Words of each command of tvsl, in blocks of code and in lines."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    lines += re.findall(r"`((?:tvsl|torchrun) [^`]+)`", text.replace("\n", " "))
    for line in lines:
        if not re.match(r"\s*(?:\$ |!)?(?:tvsl|torchrun|srun)\b", line):
            continue
        words = shlex.split(line.partition(" #")[0].lstrip("$! "))
        start = words.index("tvsl") if "tvsl" in words else len(words)
        stops = [at for at, word in enumerate(words) if re.fullmatch(r"[|<>&]+", word)]
        yield words[start + 1 : min(stops, default=len(words))]


def faults(words: list[str]) -> Iterator[str]:
    """Words of a command that do not exist."""
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    if hasattr(command, "commands") and words and re.match(r"[a-z]", words[0]):
        yield f"no command {words[0]}"
    parameters = command.get_params(command.context_class(command))
    known = {name for given in parameters for name in (*given.opts, *given.secondary_opts)}
    for at, word in enumerate(words):
        name, _, value = word.partition("=")
        if name == "--":
            break
        if re.match(r"--?[a-zA-Z]", name) and name not in known | {"--help", "--traceback"}:
            yield f"no option {name}"
        value = value or next(iter(words[at + 1 :]), "")
        if name in KNOWN and re.fullmatch(r"[a-z-]+", value) and value not in KNOWN[name]:
            yield f"no {name[2:]} {value}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_the_documents_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\\n", "\n")
    wrong = [
        f"{fault}: tvsl {shlex.join(words)}"
        for words in written_commands(text)
        for fault in faults(words)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("`tvsl locate clip.mp4`", "no command locate"),
        ("```sh\ntvsl data check real . \\\n  --quik\n```", "no option --quik"),
        ("`torchrun -m tvsl train --data vggsound -o x/`", "no data vggsound"),
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str, fault: str) -> None:
    (words,) = written_commands(line)
    assert list(faults(words)) == [fault]


def test_every_file_that_the_documents_name_exists() -> None:
    folders = ("src", "tests", "benchmarks", "scripts", "examples")
    files = {
        str(path.relative_to(ROOT)) for name in folders for path in (ROOT / name).rglob("*.py")
    }
    named = {
        (path.name, name)
        for path in DOCUMENTS
        for name in re.findall(r"`([\w./-]+/\w+\.py)\b", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 50
    assert [
        one for one in sorted(named) if not any(f"/{file}".endswith(f"/{one[1]}") for file in files)
    ] == []
