"""Prepare a folder of raw videos: find them, have them read by several processes, report."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvsl import __version__
from tvsl.errors import MediaWarning
from tvsl.id_lists import ListedId
from tvsl.preparing.entries import Clip, Entry, Failure, as_json
from tvsl.preparing.finding import Unnamed, Video, find_videos
from tvsl.preparing.options import Options
from tvsl.preparing.outcomes import Failed, Outcome, Taken
from tvsl.preparing.pool import prepare_all
from tvsl.preparing.root import check_root, opened, write_report

Progress = Callable[[int, "int | None"], None]


@dataclass(frozen=True)
class Prepared:
    """What a run did.

    Attributes:
        found: Videos in the folder, as far as they are wanted.
        kept: Of them, those whose clips were there already.
        failures: Of them, those of which nothing could be taken, and why.
        listed: How many ids the list holds; None without a list.
        missing: Listed ids without a video.
        example: What a video is called that is in the folder.
        left: Ids of clips of earlier runs that are still there, since their videos failed now.
        root: The prepared folder.
    """

    found: int
    kept: int
    failures: tuple[Failure, ...]
    listed: int | None
    missing: tuple[str, ...]
    root: Path
    example: str | None = None
    left: tuple[str, ...] = ()

    def report(self, options: Options) -> dict[str, Any]:
        """What ``report.json`` holds; the same however often the run was interrupted."""
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
            "failures": [as_json(failure) for failure in self.failures],
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
    progress: Progress | None = None,
) -> Prepared:
    """Make ``frames/ID.jpg`` and ``audio/ID.wav`` of the videos of a folder.

    A run that was interrupted, at whatever moment, goes on when it is started again; what failed is
    tried again. Beside the clips stand ``prepared.jsonl``, a line for each video, and
    ``report.json``.

    Args:
        folder: The folder of the videos.
        root: Where the clips go.
        options: What is taken of each video.
        listed: The ids that are wanted, in any form in which lists write them; all when None.
        workers: How many processes; as many as there are cores when None.
        force: Whether to start over where clips are there already. Each is replaced when the new
            one is whole; one that cannot be made again stays, and so do all if the run is broken
            off. At the end those go whose videos are no longer wanted.
        progress: Called with videos done and videos to do.

    Returns:
        What was done.

    Raises:
        MissingFileError: There is no such folder, or no video in it.
        OutputError: The clips cannot be written, or clips of other options are there.
        KeyboardInterrupt: Ctrl-C; what is done stays done.
    """
    check_root(root, options, force, folder)  # before a large folder is looked through
    found = find_videos(folder, options.layout, listed)
    with opened(root, options, force, found.videos) as account:
        earlier: tuple[Clip, ...] = account.clips if force else ()
        for unnamed in found.unnamed:
            account.add(_entry(unnamed, Failed.by(unnamed.error)))
        todo = [video for video in found.videos if force or not account.has(video)]
        outcomes = prepare_all(
            [account.renew(video, anew=force) for video in todo], folder, options, root, workers
        )
        with closing(outcomes):
            for done, (video, outcome) in enumerate(outcomes, start=1):
                account.add(_entry(video, outcome))
                for problem in outcome.warnings if isinstance(outcome, Taken) else ():
                    warnings.warn(MediaWarning(problem, folder / video.source), stacklevel=2)
                if progress is not None:
                    progress(done, len(todo))
        wanted = {one.id for one in found.videos} | {one.id for one in found.unnamed}
        for clip in earlier:
            if clip.id not in wanted:
                account.drop(clip.id)
        account.merge()
        made = Prepared(
            found=len(found.videos) + len(found.unnamed),
            kept=len(found.videos) - len(todo),
            failures=account.failures,
            listed=None if listed is None else found.listed,
            missing=found.missing,
            root=root,
            example=found.example,
            left=account.left,
        )
        write_report(root, made.report(options))
    return made


def _entry(video: Video | Unnamed, outcome: Outcome) -> Entry:
    if isinstance(outcome, Failed):
        return Failure(video.id, video.source, video.size, outcome.kind, outcome.error)
    listed = isinstance(video, Video) and bool(video.pictures)
    return Clip(
        str(video.id),
        video.source,
        video.size,
        outcome.pictures,
        outcome.window,
        listed,
        outcome.warnings,
    )
