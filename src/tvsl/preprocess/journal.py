"""The journal of a prepared folder: a record of each prepared and each failed video.

A run appends each record to a journal file. When the run ends, or the next one begins after a
kill, the journal is merged into ``prepared.jsonl``, which is replaced as a whole.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any, TypeAlias

from tvsl.preprocess.finding import Video
from tvsl.preprocess.layouts import clip_exists, remove_clip
from tvsl.preprocess.options import (
    Clip,
    Failure,
    Options,
    VideoRecord,
    is_record_start,
    read_clip,
    read_id,
    record_to_line,
)
from tvsl.utils.atomic import foreign_record, writable, write_text


@dataclass(frozen=True)
class Extracted:
    """Content that was extracted from a video.

    Attributes:
        pictures: The moment of each picture in seconds, by the picture's name.
        window: Start and end of the sound in seconds.
        warnings: What could not be extracted.
    """

    pictures: dict[str, float]
    window: tuple[float, float]
    warnings: tuple[str, ...] = ()


ExtractionResult: TypeAlias = Extracted | Failure

RECORDS_FILE = "prepared.jsonl"
JOURNAL_FILE = "journal.part"
"""Journal of the first process; each of the others has one with its rank in the name."""
_JOURNALS = "journal*.part"


class Journal:
    """Records of the clips of a folder, and of the failures of this run.

    Failures of earlier runs are dropped: their videos are tried again, or are gone.

    Args:
        root: The folder.
        options: The present options.

    Attributes:
        ids: Ids of clips that earlier runs made or tried to make.

    Raises:
        OutputError: One of its files was not written by tvsl.
    """

    def __init__(self, root: Path, options: Options) -> None:
        self._root = root
        self._options = options.to_dict()
        self._lines = JournalFile(root)
        self._failures: list[Failure] = []
        self._clips: dict[str, Clip] = {}
        self.ids: set[str] = set()
        for path in (root / RECORDS_FILE, *self.unmerged):
            for line in _lines(path):
                self.ids.update(read_id(line))
                clip = read_clip(line)
                if clip is not None:
                    if clip.options == self._options:
                        clip = replace(clip, options=None)
                    self._clips[clip.id] = clip  # of two lines on a clip the later one counts

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The existing clips."""
        return tuple(self._clips.values())

    @property
    def left(self) -> tuple[str, ...]:
        """Ids of existing clips of earlier runs that this run failed to replace."""
        failed = {failure.id for failure in self._failures}
        return tuple(sorted(name for name in self._clips if name in failed))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Failures of this run, in the order of the videos."""
        return tuple(sorted(self._failures, key=lambda failure: failure.source))

    def is_complete(self, video: Video) -> bool:
        """Tell whether the clip of this very video exists, with all wanted pictures."""
        clip = self._clips.get(video.id)
        if clip is None or (clip.source, clip.size) != (video.source, video.size):
            return False
        if self._is_outdated(clip):
            return False
        complete = set(video.pictures) <= clip.frames.keys() if video.pictures else not clip.listed
        return complete and clip_exists(self._root, clip.id, clip.frames)

    def mark_outdated(self, options: dict[str, Any] | None) -> None:
        """Mark all clips as made with other options than those of this run.

        Args:
            options: Their options, as the report states them; None where there is no report.
        """
        for name, clip in self._clips.items():
            if clip.options is None:
                self._clips[name] = replace(clip, options=options or {})

    def with_existing(self, video: Video, force: bool = False) -> Video:
        """Add the existing pictures of its clip to a video.

        Args:
            video: The video.
            force: Whether existing pictures are not wanted any more.

        Returns:
            The video with ``earlier``; if a list asks for some pictures, existing ones join them.
        """
        clip = self._clips.get(video.id)
        if clip is None:
            return video
        pictures = video.pictures
        if pictures and not force and not self._is_outdated(clip):
            pictures = tuple(sorted({*pictures, *clip.frames}))
        return replace(video, pictures=pictures, earlier=tuple(clip.frames))

    def _is_outdated(self, clip: Clip) -> bool:
        """Tell whether a clip was made with other options."""
        return clip.options is not None and clip.options != self._options

    def drop(self, name: str | None) -> None:
        """Remove a clip and its files, if it exists."""
        clip = self._clips.pop(name, None) if name is not None else None
        if clip is not None:
            remove_clip(self._root, clip.id, clip.frames)

    @property
    def unmerged(self) -> list[Path]:
        """Journal files that a run has left, or that the processes of this one write."""
        return sorted(self._root.glob(_JOURNALS))

    def add(self, record: VideoRecord) -> None:
        """Add a record, written at once so that a kill does not lose it.

        Raises:
            OutputError: The journal cannot be written.
        """
        self.note(record)
        self._lines.add(record)

    def note(self, record: VideoRecord) -> None:
        """Add a record that another process has written."""
        if isinstance(record, Clip):
            self._clips[record.id] = record
        else:
            self._failures.append(record)
            clip = self._clips.get(record.id) if record.id is not None else None
            if clip is not None and not clip_exists(self._root, clip.id, clip.frames):
                del self._clips[clip.id]  # it had lost a file before

    def merge(self) -> None:
        """Write all records in the order of their videos, and remove the journal file.

        Raises:
            OutputError: The folder cannot be written.
        """
        records: list[VideoRecord] = [*self._clips.values(), *self._failures]
        records.sort(key=lambda record: (record.source, record.id or ""))
        write_text(self._root / RECORDS_FILE, "".join(record_to_line(record) for record in records))
        with writable(self._root):
            self.close()
            for path in self.unmerged:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal file, which stays until it is merged."""
        self._lines.close()


class JournalFile:
    """The journal file of one process, to which a record is appended at once.

    Args:
        root: The prepared folder.
        rank: Number of the process.
    """

    def __init__(self, root: Path, rank: int = 0) -> None:
        self._path = root / JOURNAL_FILE
        if rank:
            self._path = self._path.with_stem(f"{self._path.stem}-{rank}")
        self._file: FileIO | None = None

    def add(self, record: VideoRecord) -> None:
        """Append a record.

        Raises:
            OutputError: The file cannot be written.
        """
        line = record_to_line(record).encode()
        with writable(self._path.parent):
            if self._file is None:
                # Without a buffer nothing is left to write, and to fail, when it is closed.
                self._file = self._path.open("ab", buffering=0)
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file of records; none where there is no file."""
    if not path.is_file():
        return
    with writable(path.parent), path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines):
            if number == 0 and not is_record_start(line):
                raise foreign_record(path)
            yield line
