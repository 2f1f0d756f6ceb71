"""The worker process of the service: it reads jobs and writes what happens as lines of JSON.

It ends with the process that started it. Where that one was killed, it removes the folder with the
uploads first.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TextIO

from tvsl.errors import (
    MediaLimitError,
    TvslError,
    UnreadableMediaError,
    UsageError,
    VocabularyError,
    printable,
)
from tvsl.serve.folder import is_service_folder
from tvsl.utils.processes import Progress

if TYPE_CHECKING:
    from tvsl.cli.localized_files import LocalizeOptions
    from tvsl.media import MediaLimits

LARGEST_FILE: Final = 4 * 2**30
"""Bytes of a file that a job may write."""
MOST_FOUND: Final = 100
"""Classes that a job's status lists."""
_SECONDS_BETWEEN = 0.2
_LONGEST_TEXT = 1_000


class Worker:
    """A worker with its model.

    Args:
        setup: The first line that it was sent.
        answers: Takes the lines.
    """

    def __init__(self, setup: Mapping[str, Any], answers: TextIO) -> None:
        from tvsl.localizer import Localizer
        from tvsl.media import MediaLimits
        from tvsl.utils.devices import keep_freed_memory

        self._answers = answers
        self._model = dict(setup["model"])
        self._limits = MediaLimits(
            max_duration=setup["max_media_seconds"], max_file_size=setup["max_upload"]
        )
        keep_freed_memory()
        # Names and paths of the model mean what they mean to `tvsl localize` there.
        os.chdir(setup["started_in"])
        with self.stages("Fetching the model") as fetched:
            self._localizer = Localizer.from_pretrained(**self._model, progress=fetched)
        self._localizer.limits = self._limits

    @contextmanager
    def stages(
        self,
        title: str,
        *,
        is_bytes: bool = False,  # noqa: ARG002 - the page shows a share
        counted: str = "",  # noqa: ARG002
    ) -> Iterator[Progress]:
        """Tell of a stage of the work; see ``tvsl.utils.processes.Stages``."""
        self._tell_stage(title, 0, None)
        last = time.monotonic()

        def report(done: int, total: int | None) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _SECONDS_BETWEEN or done == total:
                self._tell_stage(title, done, total)
                last = now

        yield report

    def _tell_stage(self, title: str, done: int, total: int | None) -> None:
        tell(
            self._answers, {"stage": printable(title)[:_LONGEST_TEXT], "done": done, "total": total}
        )

    def do(self, job: Mapping[str, Any]) -> None:
        """Do a job, and tell how it ended.

        Args:
            job: ``folder`` with ``files`` in it, their fields being ``video``, or ``picture`` and
                ``sound``; ``output``, ``labels``, ``sources``, ``every``.
        """
        from tvsl.utils.devices import return_freed_memory

        try:
            content = self._localize(job)
        except TvslError as error:
            tell(self._answers, {"failed": described(error)})
        except MemoryError:
            limit = MediaLimitError("There is not enough memory for it.", "Make it smaller.")
            tell(self._answers, {"failed": described(limit)})
        except Exception as error:  # noqa: BLE001 - told without its text, which may hold contents
            unforeseen = TvslError(
                f"An error that tvsl did not foresee ({type(error).__name__}).",
                "Please report it; `tvsl localize` with the same file shows more.",
            )
            tell(self._answers, {"failed": described(unforeseen)})
        else:
            tell(self._answers, {"result": content})
        return_freed_memory()

    def _localize(self, job: Mapping[str, Any]) -> dict[str, Any]:
        from tvsl.cli.inputs import GivenInput
        from tvsl.cli.localized_files import CheckedInput, check_input, localize_input

        # Names of files are relative: no message and no result tells of the service's folders.
        os.chdir(job["folder"])
        files = {field: Path(name) for field, name in job["files"].items()}
        source = files.get("video") or files["picture"]
        options = self._options(job, source, files.get("sound"))
        with self.stages("Reading the files"):
            for field, path in files.items():
                _check_file(field, path, self._limits)
            media_type = check_input(source, options)
        target = CheckedInput(GivenInput(source, source.name), media_type, Path(job["output"]))
        return summary(localize_input(lambda: self._localizer, target, options))

    def _options(self, job: Mapping[str, Any], source: Path, sound: Path | None) -> LocalizeOptions:
        from tvsl.cli.localized_files import LocalizeOptions
        from tvsl.localization import Request
        from tvsl.vocabularies import joined_names

        names = ("head", "preset", "method", "precision", "flip_average")
        labels = job["labels"]
        every = job["every"] if sound is None else None
        given = {
            "model": self._model["name_or_path"],
            **{name.replace("_", "-"): self._model.get(name) for name in names},
            "labels": None if labels is None else joined_names(labels),
            "sources": job["sources"],
            "every": every,
        }
        words = [f"--{name}={value}" for name, value in given.items() if value is not None]
        audio = [] if sound is None else [f"--audio={sound}"]
        return LocalizeOptions(
            Request(labels, None, job["sources"]),
            sound,
            at=None,
            every=every,
            force=True,
            recorded={name: self._model.get(name) for name in names},
            command=shlex.join(
                ["tvsl", "localize", *audio, *words, "-o", "out", "--", str(source)]
            ),
            stages=self.stages,
        )


_WRONG: Final = {
    ("video", "picture"): ("This is a picture, not a video.", "Add its sound."),
    ("video", "sound"): ("This is a sound without a picture.", "Add its picture."),
    ("picture", "video"): ("This is a video, not a picture.", "Give it alone: it has its sound."),
    ("picture", "sound"): ("This is a sound, not a picture.", "Give a picture with it."),
    ("sound", "picture"): ("This is a picture, not a sound.", "Give a sound with it."),
}
"""Refusals of a file in a wrong field, by the field and what the file is."""


def _check_file(field: str, path: Path, limits: MediaLimits) -> None:
    """Refuse what lasts too long, by its header and, for a video, by its pictures."""
    from tvsl.media import media_type_of, open_container, probe_video

    try:
        media_type = media_type_of(path, limits)
        if media_type == "sound":
            with open_container(path, limits):
                pass
        if media_type == "video":
            probe_video(path, limits)
        if (field, media_type) in _WRONG:
            raise UsageError(*_WRONG[field, media_type], path)
    except MediaLimitError as error:
        if "seconds" in error.problem:
            raise MediaLimitError(error.problem, "Cut a piece out of it.", path) from error
        raise


def summary(content: Mapping[str, Any]) -> dict[str, Any]:
    """Summary of ``localization.json`` for the service: the classes, and what is noteworthy."""
    found: dict[str, dict[str, Any]] = {}
    for one in content["segments"]:
        known = found.setdefault(one["label"], {"label": one["label"], "seconds": 0.0, "peak": 0.0})
        known["seconds"] = round(known["seconds"] + one["end"] - one["start"], 2)
        known["peak"] = max(known["peak"], one["peak"])
    texts = [*content["notices"], *content["warnings"]]
    return {
        "found": list(found.values())[:MOST_FOUND],
        "notices": [text[:_LONGEST_TEXT] for text in texts[:MOST_FOUND]],
    }


_CODES: Final[tuple[tuple[type[TvslError], str], ...]] = (
    (MediaLimitError, "over_limit"),
    (VocabularyError, "wrong_labels"),
    (UsageError, "wrong_options"),
    (UnreadableMediaError, "unreadable"),
)


def described(error: TvslError) -> dict[str, str]:
    """An error as the service tells it, without the place of its file."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "failed")
    name = "" if error.path is None else f"{error.path.name}: "
    return {
        "code": code,
        "problem": printable(name + error.problem)[:_LONGEST_TEXT],
        "remedy": printable(error.remedy)[:_LONGEST_TEXT],
    }


def tell(answers: TextIO, content: Mapping[str, Any]) -> None:
    """Write a line.

    Args:
        answers: Takes it.
        content: Plain JSON types.
    """
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def serve(requests: TextIO, answers: TextIO) -> None:
    """Load a model and do jobs until the process that sends them ends.

    Args:
        requests: First a line with ``root``, ``started_in``, ``model`` and limits, then one for
            each job.
        answers: Takes ``ready``, then of each job any number of stages and its end.
    """
    first = requests.readline()
    if not first.endswith("\n"):
        return
    setup = json.loads(first)
    jobs: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
    reader = threading.Thread(
        target=read_jobs, args=(requests, jobs, Path(setup["root"])), daemon=True
    )
    reader.start()
    try:
        worker = Worker(setup, answers)
    except TvslError as error:
        tell(answers, {"failed": described(error)})
        return
    tell(answers, {"ready": True})
    while True:
        worker.do(jobs.get())


def read_jobs(requests: TextIO, jobs: SimpleQueue[Mapping[str, Any]], root: Path) -> None:
    """Read jobs; at their end the service is gone: its folder is removed, and this process ends.

    Args:
        requests: Lines with jobs.
        jobs: Takes them.
        root: Folder of the service.
    """
    for line in requests:
        if line.endswith("\n"):
            jobs.put(json.loads(line))
    if is_service_folder(root):
        shutil.rmtree(root, ignore_errors=True)
    os._exit(0)


def _limit_resources() -> None:
    """Let no crash write the memory to a file, and no job fill the disk."""
    if os.name != "posix":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = LARGEST_FILE if most == resource.RLIM_INFINITY else min(LARGEST_FILE, most)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, most))


def main() -> None:
    """Serve the parent process."""
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _limit_resources()
    with suppress(BrokenPipeError), answers:
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
