"""The folder that is prepared: who may write into it, and what it was made with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tvsl.errors import OutputError
from tvsl.preparing.account import ENTRIES, JOURNAL, Account
from tvsl.preparing.clip_files import AUDIO, FRAMES
from tvsl.preparing.finding import Video
from tvsl.preparing.options import Options
from tvsl.preparing.series import split_name
from tvsl.small_files import LARGEST_LIST, read_small_json
from tvsl.staging import (
    RECORD_REMEDY,
    entries,
    foreign_record,
    locked,
    recover,
    writable,
    write_text,
)

REPORT = "report.json"

_REMEDY = "Choose another folder, or add --force to start over."


@contextmanager
def opened(
    root: Path, options: Options, force: bool, videos: Sequence[Video] = ()
) -> Iterator[Account]:
    """Prepare into a folder; nobody else does at the same time.

    Args:
        root: The folder, made where it is missing.
        options: What the clips are made with.
        force: Whether to start over: what an earlier run made is replaced, clip by clip, and what
            is not made again is removed at the end of a run; other files stay.
        videos: What shall be prepared.

    Yields:
        The account of what is there.

    Raises:
        OutputError: The folder cannot be written, another run writes into it, or it holds clips
            that were made with other options, or files that no run made where ours belong.
    """
    with locked(root):
        report = check_root(root, options, force)
        account = Account(root, options)
        if report is None or report["finished"]:  # else they may be a killed run's
            _check_places(root, account, videos, options)
        if force:
            # Before the report says something else of them.
            account.outdate(None if report is None else report["options"])
            account.merge()
        write_report(root, {"finished": False, "options": options.to_dict()})
        with writable(root):
            for name in (FRAMES, AUDIO):
                (root / name).mkdir(exist_ok=True)
                recover(root / name)
        try:
            if (root / JOURNAL).exists():
                account.merge()  # its last line may be torn, and must not be written on
            yield account
        except KeyboardInterrupt:
            account.merge()
            raise
        finally:
            account.close()
            with writable(root):
                for name in (FRAMES, AUDIO):
                    recover(root / name)  # what a worker was at that was ended


def check_root(
    root: Path, options: Options, force: bool, videos: Path | None = None
) -> dict[str, Any] | None:
    """Let through only a folder that clips of these options may be put into.

    Args:
        root: The folder.
        options: What the clips are made with.
        force: Whether to start over.
        videos: Folder of the videos, which may lie in there or be the same.

    Returns:
        The report of an earlier run; None where there is none.

    Raises:
        OutputError: It holds clips of other options, or files of others.
    """
    report = _report(root)
    if not force:
        _check_options(root, report, options)
    if report is None and not force and videos is not None:
        with writable(root):
            others = [path for path in entries(root) if not _leads_to(path, videos)]
        if others and not _leads_to(root, videos, exactly=True):
            raise OutputError(
                f"This folder is not empty, and no {REPORT} tells that clips are in it.",
                _REMEDY,
                root,
            )
    return report


def write_report(root: Path, report: dict[str, Any]) -> None:
    """Write the report of a run.

    Raises:
        OutputError: It cannot be written.
    """
    write_text(root / REPORT, json.dumps(report, indent=2) + "\n")


def _report(root: Path) -> dict[str, Any] | None:
    """The report of an earlier run; None where there is none."""
    path = root / REPORT
    if not path.exists():
        return None
    report = read_small_json(path, LARGEST_LIST, OutputError, RECORD_REMEDY)
    if not isinstance(report, dict) or not isinstance(report.get("options"), dict):
        raise foreign_record(path)
    if not isinstance(report.get("finished"), bool):
        raise foreign_record(path)
    return report


def _leads_to(path: Path, folder: Path, exactly: bool = False) -> bool:
    """Whether a folder is this one, or lies in it."""
    place, found = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    return place == found or (not exactly and place in found.parents)


def _check_options(root: Path, report: dict[str, Any] | None, options: Options) -> None:
    """Refuse a folder with clips of other options, or of others."""
    if report is None:
        for name in (FRAMES, AUDIO, ENTRIES):
            if (root / name).exists():
                raise OutputError(
                    f"There is '{name}' already, and no {REPORT} tells how it was made.",
                    _REMEDY,
                    root,
                )
        return
    kept, wanted = report["options"], options.to_dict()
    others = [name for name in sorted(kept | wanted) if kept.get(name) != wanted.get(name)]
    if others:
        was = ", ".join(f"{name} was {kept.get(name)!r}" for name in others)
        raise OutputError(f"This folder was prepared with other options: {was}.", _REMEDY, root)


def _check_places(root: Path, account: Account, videos: Sequence[Video], options: Options) -> None:
    """Refuse a folder with a file of others where one of ours would be written."""
    ids = {video.id for video in videos} - account.ids
    with writable(root):
        for folder, suffix in ((root / FRAMES, ".jpg"), (root / AUDIO, ".wav")):
            has_many = suffix == ".jpg" and options.at is None
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                parts = split_name(path.stem) if has_many else (path.stem,)
                if path.suffix == suffix and parts is not None and parts[0] in ids:
                    raise OutputError(
                        "This file is in the way, and no earlier run wrote it.",
                        "Move it elsewhere.",
                        path,
                    )
