"""The prepared folder: exclusive access, and the options that it was made with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tvsl.errors import OutputError
from tvsl.preprocess.finding import Video
from tvsl.preprocess.journal import JOURNAL_FILE, RECORDS_FILE, Journal
from tvsl.preprocess.layouts import AUDIO, FRAMES, split_name
from tvsl.preprocess.options import Options
from tvsl.utils.atomic import (
    entries,
    foreign_record,
    is_inside,
    locked,
    recover,
    writable,
    write_text,
)
from tvsl.utils.run_folder import describe_changes, read_record

REPORT_FILE = "report.json"

_REMEDY = "Choose another folder, or add --force to start over."


@contextmanager
def open_root(
    root: Path, options: Options, force: bool, videos: Sequence[Video] = ()
) -> Iterator[Journal]:
    """Open a folder to prepare clips in; no other run can open it meanwhile.

    Args:
        root: The folder, made where it is missing.
        options: Options of the clips.
        force: Whether to start over: clips of earlier runs are replaced one by one, and those that
            are not wanted any more are removed at the end of the run; other files stay.
        videos: The videos to prepare.

    Raises:
        OutputError: The folder cannot be written, another run writes into it, it holds clips of
            other options, or other files are in the places of clips.
    """
    with locked(root):
        report = check_root(root, options, force)
        journal = Journal(root, options)
        if report is None or report["finished"]:  # otherwise they may come from a killed run
            _check_places(root, journal, videos, options)
        if force:
            # Before the report states the new options.
            journal.mark_outdated(None if report is None else report["options"])
            journal.merge()
        write_report(root, {"finished": False, "options": options.to_dict()})
        with writable(root):
            for name in (FRAMES, AUDIO):
                (root / name).mkdir(exist_ok=True)
                recover(root / name)
        try:
            if (root / JOURNAL_FILE).exists():
                journal.merge()  # its last line may be torn, and must not be written on
            yield journal
        except KeyboardInterrupt:
            journal.merge()
            raise
        finally:
            journal.close()
            with writable(root):
                for name in (FRAMES, AUDIO):
                    recover(root / name)  # files of a worker that was killed


def check_root(
    root: Path, options: Options, force: bool, videos: Path | None = None
) -> dict[str, Any] | None:
    """Refuse a folder that clips of these options cannot be written into.

    Args:
        root: The folder.
        options: Options of the clips.
        force: Whether to start over.
        videos: Folder of the videos, which may be the same or inside.

    Returns:
        The report of an earlier run; None where there is none.

    Raises:
        OutputError: It holds clips of other options, or other files.
    """
    report = _report(root)
    if not force:
        _check_options(root, report, options)
    if report is None and not force and videos is not None:
        with writable(root):
            others = [path for path in entries(root) if not is_inside(path, videos)]
        if others and os.path.realpath(root) != os.path.realpath(videos):
            raise OutputError(
                f"This folder is not empty, and no {REPORT_FILE} tells that clips are in it.",
                _REMEDY,
                root,
            )
    return report


def write_report(root: Path, report: dict[str, Any]) -> None:
    """Write the report of a run.

    Args:
        root: The folder.
        report: Content of ``report.json``.

    Raises:
        OutputError: It cannot be written.
    """
    write_text(root / REPORT_FILE, json.dumps(report, indent=2) + "\n")


def _report(root: Path) -> dict[str, Any] | None:
    """The report of an earlier run; None where there is none."""
    path = root / REPORT_FILE
    report = read_record(path, {"finished", "options"})
    if report is None:
        return None
    if not isinstance(report["options"], dict) or not isinstance(report["finished"], bool):
        raise foreign_record(path)
    return report


def _check_options(root: Path, report: dict[str, Any] | None, options: Options) -> None:
    """Refuse a folder with clips of other options, or clips without a report."""
    if report is None:
        for name in (FRAMES, AUDIO, RECORDS_FILE):
            if (root / name).exists():
                raise OutputError(
                    f"There is '{name}' already, and no {REPORT_FILE} tells how it was made.",
                    _REMEDY,
                    root,
                )
        return
    changes = describe_changes(report["options"], options.to_dict())
    if changes:
        raise OutputError(f"This folder was prepared with other options: {changes}.", _REMEDY, root)


def _check_places(root: Path, journal: Journal, videos: Sequence[Video], options: Options) -> None:
    """Refuse a folder with other files in the places of new clips."""
    ids = {video.id for video in videos} - journal.ids
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
