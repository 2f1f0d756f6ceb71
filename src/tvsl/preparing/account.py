"""The account of a prepared folder: what is in it, of which video, and what failed.

While a run is at work each line is appended to a journal. When the run ends, or the next one begins
after a kill, the journal is merged into ``prepared.jsonl``, which is replaced as a whole.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

from tvsl.preparing.clip_files import are_here, remove
from tvsl.preparing.entries import Clip, Entry, Failure, as_line, begins_account, read_clip, read_id
from tvsl.preparing.finding import Video
from tvsl.preparing.options import Options
from tvsl.staging import foreign_record, writable, write_text

ENTRIES = "prepared.jsonl"
JOURNAL = "journal.part"


class Account:
    """What is prepared in a folder, and what failed in this run.

    What failed in earlier runs is not kept: it is tried again, or its video is gone.

    Args:
        root: The folder.
        options: What clips are made with now.

    Attributes:
        ids: Ids of clips that earlier runs made or tried to make.

    Raises:
        OutputError: A file that stands where the account would is none of ours.
    """

    def __init__(self, root: Path, options: Options) -> None:
        self._root = root
        self._options = options.to_dict()
        self._journal: FileIO | None = None
        self._failures: list[Failure] = []
        self._clips: dict[str, Clip] = {}
        self.ids: set[str] = set()
        for name in (ENTRIES, JOURNAL):
            for line in _lines(root / name):
                self.ids.update(read_id(line))
                clip = read_clip(line)
                if clip is not None:
                    if clip.options == self._options:
                        clip = replace(clip, options=None)
                    self._clips[clip.id] = clip  # of two lines on a clip the later one counts

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The clips that are there."""
        return tuple(self._clips.values())

    @property
    def left(self) -> tuple[str, ...]:
        """Ids of clips that earlier runs made and that failed to be made anew in this one."""
        failed = {failure.id for failure in self._failures}
        return tuple(sorted(name for name in self._clips if name in failed))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What failed in this run, in the order of the videos."""
        return tuple(sorted(self._failures, key=lambda failure: failure.source))

    def has(self, video: Video) -> bool:
        """Whether the clip of this very video is there, with all that is wanted of it."""
        clip = self._clips.get(video.id)
        if clip is None or (clip.source, clip.size) != (video.source, video.size):
            return False
        if self._is_of_others(clip):
            return False
        complete = set(video.pictures) <= clip.frames.keys() if video.pictures else not clip.listed
        return complete and are_here(self._root, clip.id, clip.frames)

    def outdate(self, options: dict[str, Any] | None) -> None:
        """Note of all clips what they were made with: from here on others are to be made.

        Args:
            options: What the report says; None where there is none.
        """
        for name, clip in self._clips.items():
            if clip.options is None:
                self._clips[name] = replace(clip, options=options or {})

    def renew(self, video: Video, anew: bool = False) -> Video:
        """Say what shall be made of a video whose clip is there in part, or of another kind.

        Args:
            video: The video.
            anew: Whether nothing of the clip that is there is wanted.

        Returns:
            The video, with what is there; of pictures that a list asks for, with those that were
            there already.
        """
        clip = self._clips.get(video.id)
        if clip is None:
            return video
        pictures = video.pictures
        if pictures and not anew and not self._is_of_others(clip):
            pictures = tuple(sorted({*pictures, *clip.frames}))
        return replace(video, pictures=pictures, earlier=tuple(clip.frames))

    def _is_of_others(self, clip: Clip) -> bool:
        """Whether a clip was made with other options."""
        return clip.options is not None and clip.options != self._options

    def drop(self, name: str | None) -> None:
        """Remove a clip and its files, if it is there."""
        clip = self._clips.pop(name, None) if name is not None else None
        if clip is not None:
            remove(self._root, clip.id, clip.frames)

    def add(self, entry: Entry) -> None:
        """Note what became of a video, so that even a kill does not lose it.

        Raises:
            OutputError: The journal cannot be written.
        """
        if isinstance(entry, Clip):
            self._clips[entry.id] = entry
        else:
            self._failures.append(entry)
            clip = self._clips.get(entry.id) if entry.id is not None else None
            if clip is not None and not are_here(self._root, clip.id, clip.frames):
                del self._clips[clip.id]  # it had lost a file before
        line = as_line(entry).encode()
        with writable(self._root):
            if self._journal is None:
                # Without a buffer nothing is left to write, and to fail, when it is closed.
                self._journal = (self._root / JOURNAL).open("ab", buffering=0)
            if self._journal.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def merge(self) -> None:
        """Write all lines in the order of their videos, and end the journal.

        Raises:
            OutputError: They cannot be written.
        """
        entries: list[Entry] = [*self._clips.values(), *self._failures]
        entries.sort(key=lambda entry: (entry.source, entry.id or ""))
        write_text(self._root / ENTRIES, "".join(as_line(entry) for entry in entries))
        with writable(self._root):
            self.close()
            (self._root / JOURNAL).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal, which stays until it is merged."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def _lines(path: Path) -> Iterator[str]:
    """The lines of an account; none where there is no file."""
    if not path.is_file():
        return
    with writable(path.parent), path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines):
            if number == 0 and not begins_account(line):
                raise foreign_record(path)
            yield line
