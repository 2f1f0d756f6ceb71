"""A process that prepares videos: lines of JSON come in with videos, and go out with answers.

It ends when its input ends, so it never outlives the process that started it by more than the video
in work, however that one ended.
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
from tvsl.preparing.options import Options
from tvsl.preparing.outcomes import Failed
from tvsl.preparing.work import prepare_video


def serve(requests: TextIO, answers: TextIO) -> None:
    """Prepare videos until there are no more requests.

    Args:
        requests: First a line with ``root`` and ``options``, then one for each video with ``clip``,
            ``source``, ``pictures`` and ``earlier``.
        answers: Takes a line with ``ready``, then one for each video: ``taken`` or ``failed`` with
            the fields of ``Taken`` or ``Failed``, or, where nothing can be written, ``stopped``
            with problem, remedy and place.
    """
    first = requests.readline()
    if not first.endswith("\n"):  # whoever started this process was killed
        return
    setup = json.loads(first)
    root, options = Path(setup["root"]), Options(**setup["options"])
    _say(answers, {"ready": True})
    for line in requests:
        if not line.endswith("\n"):
            return
        _say(answers, _answer(json.loads(line), root, options))


def _answer(request: dict[str, Any], root: Path, options: Options) -> dict[str, Any]:
    source, pictures = Path(request["source"]), tuple(request["pictures"])
    earlier = tuple(request["earlier"])
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MediaWarning)
            taken = prepare_video(request["clip"], source, pictures, options, root, earlier)
    except OutputError as error:
        return {"stopped": [error.problem, error.remedy, str(error.path or root)]}
    except MediaError as error:
        return {"failed": asdict(Failed.by(error))}
    said = (item.message for item in caught)
    problems = dict.fromkeys(one.problem for one in said if isinstance(one, MediaWarning))
    return {"taken": asdict(replace(taken, warnings=tuple(problems)))}


def _say(answers: TextIO, content: Any) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def main() -> None:
    """Serve the process that started this one."""
    # Whatever a library prints goes to stderr: it would be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError), answers:  # nobody is there any more to be answered
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
