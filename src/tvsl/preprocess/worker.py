"""A worker process that prepares videos: it reads requests and writes answers as lines of JSON.

It ends when its input ends, so it outlives the process that started it by one video at most.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from tvsl.errors import MediaError, MediaWarning, OutputError
from tvsl.preprocess.clip import prepare_video
from tvsl.preprocess.options import Options, describe_error


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more.

    Args:
        requests: First a line with ``root`` and ``options``, then one for each video with ``clip``,
            ``source``, ``pictures`` and ``earlier``.
        answers: Takes a line with ``ready``, then one for each video: ``extracted`` with the
            fields of ``Extracted``, ``failed`` with the last two of ``Failure``, or, where nothing
            can be written, ``stopped`` with problem, remedy and place.
    """
    first = requests.readline()
    if not first.endswith("\n"):  # the parent process was killed
        return
    setup = json.loads(first)
    root, options = Path(setup["root"]), Options(**setup["options"])
    _write_line(answers, {"ready": True})
    for line in requests:
        if not line.endswith("\n"):
            return
        _write_line(answers, _handle(json.loads(line), root, options))


def _handle(request: dict[str, Any], root: Path, options: Options) -> dict[str, Any]:
    source, pictures = Path(request["source"]), tuple(request["pictures"])
    earlier = tuple(request["earlier"])
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MediaWarning)
            taken = prepare_video(request["clip"], source, pictures, options, root, earlier)
    except OutputError as error:
        return {"stopped": [error.problem, error.remedy, str(error.path or root)]}
    except MediaError as error:
        return {"failed": describe_error(error)}
    said = (item.message for item in caught)
    problems = dict.fromkeys(one.problem for one in said if isinstance(one, MediaWarning))
    return {"extracted": asdict(replace(taken, warnings=tuple(problems)))}


def _write_line(answers: TextIO, content: Any) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def main() -> None:
    """Serve the parent process."""
    # What a library prints goes to stderr: it must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError), answers:  # the parent process has ended
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
