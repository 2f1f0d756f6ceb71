"""The folder that is prepared: who may write into it, and what it was made with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tvsl.errors import OutputError
from tvsl.preparing.account import ENTRIES, JOURNAL, Account
from tvsl.preparing.clip_files import AUDIO, FRAMES
from tvsl.preparing.options import Options
from tvsl.small_files import LARGEST_LIST, read_small_json
from tvsl.staging import locked, recover, writable, write_text

REPORT = "report.json"

_REMEDY = "Choose another folder, or add --force to start over."


@contextmanager
def opened(root: Path, options: Options, force: bool) -> Iterator[Account]:
    """Prepare into a folder; nobody else does at the same time.

    Args:
        root: The folder, made where it is missing.
        options: What the clips are made with.
        force: Whether to start over: what an earlier run made is removed, other files stay.

    Yields:
        The account of what is there.

    Raises:
        OutputError: The folder cannot be written, another run writes into it, or it holds clips
            that were made with other options or by others.
    """
    with locked(root):
        if force:
            _start_over(root)
        else:
            _check_options(root, options)
        write_report(root, {"finished": False, "options": options.to_dict()})
        with writable(root):
            for name in (FRAMES, AUDIO):
                (root / name).mkdir(exist_ok=True)
                recover(root / name)
        account = Account(root)
        try:
            if (root / JOURNAL).exists():
                account.merge()  # its last line may be torn, and must not be written on
            yield account
        except KeyboardInterrupt:
            account.merge()
            raise
        finally:
            account.close()


def write_report(root: Path, report: dict[str, Any]) -> None:
    """Write the report of a run.

    Raises:
        OutputError: It cannot be written.
    """
    write_text(root / REPORT, json.dumps(report, indent=2) + "\n")


def _check_options(root: Path, options: Options) -> None:
    """Refuse a folder with clips of other options, or of others."""
    path = root / REPORT
    if not path.exists():
        for name in (FRAMES, AUDIO, ENTRIES):
            if (root / name).exists():
                raise OutputError(
                    f"There is '{name}' already, and no {REPORT} tells how it was made.",
                    _REMEDY,
                    root,
                )
        return
    kept, wanted = _kept_options(path), options.to_dict()
    others = [name for name in sorted(kept | wanted) if kept.get(name) != wanted.get(name)]
    if others:
        was = ", ".join(f"{name} was {kept.get(name)!r}" for name in others)
        raise OutputError(f"This folder was prepared with other options: {was}.", _REMEDY, root)


def _kept_options(path: Path) -> dict[str, Any]:
    report = read_small_json(path, LARGEST_LIST, OutputError, _REMEDY)
    options = report.get("options") if isinstance(report, dict) else None
    if not isinstance(options, dict):
        raise OutputError(
            "The report of an earlier run is damaged, or not of this command.", _REMEDY, path
        )
    return options


def _start_over(root: Path) -> None:
    """Remove what an earlier run made, by its own account; the account itself goes last."""
    account = Account(root)
    for clip in account.clips:
        account.drop(clip.id)
    with writable(root):
        for name in (ENTRIES, JOURNAL):
            (root / name).unlink(missing_ok=True)
