"""Prepare a folder of raw videos: find them, extract clips in several processes, report."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvsl import __version__
from tvsl.errors import MediaWarning
from tvsl.preprocess.finding import Video, find_videos
from tvsl.preprocess.journal import Extracted, ExtractionResult
from tvsl.preprocess.options import Clip, Failure, Options, VideoRecord, record_to_json
from tvsl.preprocess.pool import prepare_all
from tvsl.preprocess.root import check_root, open_root, write_report
from tvsl.utils.id_lists import ListedId
from tvsl.utils.progress import Progress, no_progress


@dataclass(frozen=True)
class Prepared:
    """Result of a run.

    Attributes:
        found: Number of wanted videos in the folder.
        unchanged: Number of those whose clips existed already.
        failures: Those from which nothing could be extracted, with the reasons.
        listed: Number of ids in the list; None without a list.
        missing: Listed ids without a video.
        example: Id of a video of the folder.
        left: Ids of clips of earlier runs that stay because their videos failed now.
        root: The prepared folder.
    """

    found: int
    unchanged: int
    failures: tuple[Failure, ...]
    listed: int | None
    missing: tuple[str, ...]
    root: Path
    example: str | None = None
    left: tuple[str, ...] = ()

    def report(self, options: Options) -> dict[str, Any]:
        """Content of ``report.json``; the same however often the run was interrupted."""
        listed = {} if self.listed is None else {"listed": self.listed, "missing": [*self.missing]}
        left = {"left": [*self.left]} if self.left else {}
        return {
            "finished": True,
            "tvsl": __version__,
            "options": options.to_dict(),
            "found": self.found,
            "ok": self.found - len(self.failures),
            "failed": len(self.failures),
            "reasons": dict(sorted(Counter(failure.kind for failure in self.failures).items())),
            "failures": [record_to_json(failure) for failure in self.failures],
            **left,
            **listed,
        }


def prepare(
    folder: Path,
    root: Path,
    options: Options,
    *,
    listed: Sequence[ListedId | str] | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> Prepared:
    """Make ``frames/ID.jpg`` and ``audio/ID.wav`` of the videos of a folder.

    An interrupted run continues when it is started again, and failed videos are tried again. Beside
    the clips are ``prepared.jsonl``, a line for each video, and ``report.json``.

    Args:
        folder: The folder of the videos.
        root: Folder of the clips.
        options: What is extracted from each video.
        listed: The wanted ids, in any form in which lists write them; all when None.
        workers: Number of processes; one per core when None.
        force: Whether to replace existing clips. Each stays until the new one is complete, or if
            it cannot be made again; clips whose videos are no longer wanted are removed at the end.
        progress: Called with videos done and videos to do.

    Raises:
        MissingFileError: There is no such folder, or no video in it.
        OutputError: The clips cannot be written, or there are clips of other options.
        KeyboardInterrupt: Ctrl-C; finished clips stay.
    """
    check_root(root, options, force, folder)  # before a large folder is looked through
    found = find_videos(folder, options.layout, listed)
    with open_root(root, options, force, found.videos) as journal:
        earlier: tuple[Clip, ...] = journal.clips if force else ()
        for unnamed in found.unnamed:
            journal.add(unnamed)
        todo = [video for video in found.videos if force or not journal.is_complete(video)]
        results = prepare_all(
            [journal.with_existing(video, force) for video in todo], folder, options, root, workers
        )
        with closing(results):
            for done, (video, result) in enumerate(results, start=1):
                journal.add(_record(video, result))
                for problem in result.warnings if isinstance(result, Extracted) else ():
                    warnings.warn(MediaWarning(problem, folder / video.source), stacklevel=2)
                progress(done, len(todo))
        wanted = {one.id for one in found.videos} | {one.id for one in found.unnamed}
        for clip in earlier:
            if clip.id not in wanted:
                journal.drop(clip.id)
        journal.merge()
        made = Prepared(
            found=len(found.videos) + len(found.unnamed),
            unchanged=len(found.videos) - len(todo),
            failures=journal.failures,
            listed=None if listed is None else found.listed,
            missing=found.missing,
            root=root,
            example=found.example,
            left=journal.left,
        )
        write_report(root, made.report(options))
    return made


def _record(video: Video, result: ExtractionResult) -> VideoRecord:
    """The record of a video."""
    if isinstance(result, Failure):
        return result
    return Clip(
        video.id,
        video.source,
        video.size,
        result.pictures,
        result.window,
        bool(video.pictures),
        result.warnings,
    )
