"""Check what would be released: `make release-check`.

Builds the source distribution and the wheel, checks both, and installs the wheel into a new
environment of every Python at hand, outside of the checkout. There, in an empty folder, it runs
`tvsl --help`, `tvsl demo` and the commands at the head of the README, and looks for what they are
to write. A table says how each went; the exit code is 1 where something failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
PATIENCE = 1800
"""Seconds for one step: a machine may be busy, and torch is large."""
CLIP = """
from pathlib import Path
from tvsl.media import load_audio, load_image, to_int16, write_still_video
picture = load_image("docs/example/beach.jpg")[:360]
sound = load_audio("docs/example/beach.ogg", 48_000, duration=3.0).samples
write_still_video(Path("clip.mp4"), picture, to_int16(sound), 48_000)
"""
"""A clip of one's own, for the commands of the README."""


@dataclass
class Environment:
    """Results of one environment.

    Attributes:
        name: Version of its Python.
        steps: What was done, with its seconds.
        failed: The last lines of the step that failed.
        megabytes: Size of the environment.
    """

    name: str
    steps: dict[str, float] = field(default_factory=dict)
    failed: str = ""
    megabytes: int = 0


def pythons(folder: Path) -> Iterator[Path]:
    """The newest interpreter of each version that is supported, of pyenv and of the PATH.

    Args:
        folder: Folder of pyenv's versions.
    """
    for version in VERSIONS:
        places = sorted(folder.glob(f"{version}.*"), key=lambda one: int(one.name.split(".")[2]))
        found = places[-1] / "bin" / "python" if places else shutil.which(f"python{version}")
        if found:
            yield Path(found)


def readme_commands(text: str) -> list[list[str]]:
    """Commands of `tvsl` in the first block of the README.

    Args:
        text: The README.

    Returns:
        The words of each command.
    """
    block = text.partition("```sh\n")[2].partition("```")[0]
    whole = block.replace("\\\n", " ").splitlines()
    lines = [shlex.split(line, comments=True) for line in whole]
    return [words for words in lines if words and words[0] == "tvsl"]


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command in a folder, without anything of this environment.

    Args:
        command: Its words.
        folder: Where it runs.

    Returns:
        The last lines of what it printed where it failed; empty where all went well.
    """
    kept = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    kept |= {"TVSL_HOME": str(folder / "cache"), "COLUMNS": "100"}
    done = subprocess.run(
        command, cwd=folder, env=kept, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    said = (done.stdout + done.stderr).strip().splitlines()
    return "" if done.returncode == 0 else "\n".join(said[-12:]) or f"exit {done.returncode}"


def build(folder: Path) -> tuple[Path, str]:
    """Build both distributions and check them.

    Args:
        folder: Where they come to lie.

    Returns:
        The wheel, and what is wrong.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wrong = run([sys.executable, "-m", "build", "--outdir", folder, ROOT], folder)
    if wrong:
        return folder, wrong
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    checks: tuple[list[str | Path], ...] = (
        [sys.executable, "-m", "twine", "check", "--strict", wheel, source],
        [sys.executable, "-m", "check_wheel_contents", wheel],
    )
    for check in checks:
        wrong = wrong or run(check, folder)
    for path in (wheel, source):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
    return wheel, wrong


def tried(python: Path, wheel: Path, folder: Path) -> Environment:
    """Install the wheel and use it.

    Args:
        python: The interpreter.
        wheel: The wheel.
        folder: An empty folder outside of the checkout.

    Returns:
        What came of it.
    """
    version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True)
    found = Environment(version.stdout.split()[1])
    home, work = folder / "environment", folder / "work"
    work.mkdir()
    example = work / "docs" / "example"
    shutil.copytree(ROOT / "docs" / "example", example)
    bin_folder = home / "bin"
    interpreter, constraint = bin_folder / "python", ROOT / "constraints.txt"
    make: list[str | Path] = [python, "-m", "venv", home]
    pip: list[str | Path] = [interpreter, "-m", "pip", "install", "--quiet"]
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is not None:  # it links files of its cache into each environment
        make = [uv, "venv", "--quiet", "--python", python, home]
        pip = [uv, "pip", "install", "--quiet", "--python", interpreter]
    steps: list[tuple[str, list[str | Path], str]] = [
        ("environment", make, ""),
        ("install", [*pip, "--constraint", constraint, wheel], ""),
        ("--help", [bin_folder / "tvsl", "--help"], ""),
        ("doctor", [bin_folder / "tvsl", "doctor"], ""),
        ("demo", [bin_folder / "tvsl", "demo"], "tvsl-demo/index.html"),
        ("clip", [interpreter, "-c", CLIP], "clip.mp4"),
    ]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for number, words in enumerate(readme_commands(readme), start=1):
        output = words[words.index("-o") + 1]
        page = f"{output.rstrip('/')}/index.html"
        steps.append((f"README {number}", [bin_folder / "tvsl", *words[1:]], page))
    for name, command, written in steps:
        start = time.monotonic()
        wrong = run(command, work)
        found.steps[name] = time.monotonic() - start
        if not wrong and written and not (work / written).is_file():
            wrong = f"{written} was not written"
        print(f"  {found.name} {name}: {wrong or f'{found.steps[name]:.1f} s'}", flush=True)
        if wrong:
            found.failed = f"{name}: {wrong}"
            break
    found.megabytes = sum(one.stat().st_size for one in home.rglob("*") if one.is_file()) >> 20
    return found


def table(environments: Sequence[Environment]) -> str:
    """The result, in Markdown: seconds of each step.

    Args:
        environments: What was tried.
    """
    names = list(dict.fromkeys(name for one in environments for name in one.steps))
    rows = [["Python", *names, "MB", "result"], ["---", *["---:"] * (len(names) + 1), "---"]]
    for one in environments:
        seconds = [f"{one.steps[name]:.1f} s" if name in one.steps else "" for name in names]
        rows.append([one.name, *seconds, str(one.megabytes), one.failed.split("\n")[0] or "passed"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Build, install, use, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dist", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--versions", type=Path, default=Path.home() / ".pyenv" / "versions")
    parser.add_argument("--only", help="of these versions alone, as 3.10,3.13")
    parser.add_argument("--built", action="store_true", help="take the wheel that is there")
    given = parser.parse_args()
    os.nice(5)
    if given.built:
        (wheel,) = given.dist.glob("*.whl")
    else:
        wheel, wrong = build(given.dist)
        if wrong:
            sys.exit(wrong)
    found = []
    for python in pythons(given.versions):
        if given.only and not re.search(rf"\b({given.only.replace(',', '|')})\b", str(python)):
            continue
        with TemporaryDirectory(prefix="tvsl-release-") as folder:
            found.append(tried(python, wheel, Path(folder)))
    print(table(found))
    if not found or any(one.failed for one in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
