"""A worker without a model: it does what the first label says, and writes small results."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tvsl.serve.worker import read_jobs

PAGE = "<!DOCTYPE html><title>result</title><p id='result'>The result.</p>"


def say(content: object) -> None:
    print(json.dumps(content), flush=True)


def do(job: dict[str, object]) -> None:
    labels = job["labels"] or [""]
    assert isinstance(labels, list)
    word = str(labels[0])
    say({"stage": "Localizing", "done": 1, "total": 4})
    if word == "hang":
        time.sleep(600)
    if word == "die":
        os._exit(3)
    if word == "say little":
        say({"unknown": 1})
    if word == "babble":
        print("this is no answer", flush=True)
        time.sleep(600)
    if word == "slowly":
        for done in range(2, 5):
            time.sleep(0.3)
            say({"stage": "Localizing", "done": done, "total": 4})
    if word == "fail":
        problem = {"code": "unreadable", "problem": "It is broken.", "remedy": "Mend it."}
        say({"failed": problem})
        return
    folder, output = Path(str(job["folder"])), Path(str(job["output"]))
    output.mkdir()
    files = job["files"]
    assert isinstance(files, dict)
    sizes = {field: (folder / name).stat().st_size for field, name in files.items()}
    (output / "index.html").write_text(PAGE)
    (output / "localization.json").write_text(json.dumps({"sizes": sizes, "files": files}))
    if "video" in files:
        (output / "overlay.mp4").write_bytes(b"0123456789")
    found = [{"label": "dog barking", "seconds": 2.0, "peak": 0.5}]
    say({"result": {"found": found, "notices": ["a notice"]}})


def main() -> None:
    setup = json.loads(sys.stdin.readline())
    if setup["model"]["name_or_path"] == "missing":
        say({"failed": {"code": "failed", "problem": "No such model.", "remedy": "Take another."}})
        return
    say({"stage": "Fetching the model", "done": 0, "total": None})
    say({"ready": True})
    jobs: SimpleQueue[Any] = SimpleQueue()
    reader = threading.Thread(target=read_jobs, args=(sys.stdin, jobs, Path(setup["root"])))
    reader.start()
    while True:
        do(jobs.get())


if __name__ == "__main__":
    main()
