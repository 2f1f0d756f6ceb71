"""Localize all videos of a folder, and go on where one is broken.

`python batch_of_files.py videos/ results/`: the model is loaded once, each video has a JSON file
with its moments, and what went wrong is told at the end. `tvsl localize FOLDER` does the same,
with pages and videos.
"""

import json
import sys
from pathlib import Path

import tvsl
from tvsl import TvslError


def main(folder: str, output: str) -> int:
    localizer = tvsl.load()
    Path(output).mkdir(parents=True, exist_ok=True)
    failed = []
    for video in sorted(Path(folder).glob("*.mp4")):
        try:
            moments = list(localizer.localize_video(video, every=1.0))
        except TvslError as error:  # broken, silent, too large: it says which, and what to do
            failed.append(f"{video.name}: {error}")
            continue
        found = [moment.to_dict() for moment in moments]
        (Path(output) / f"{video.stem}.json").write_text(json.dumps(found), encoding="utf-8")
        print(video.name, len(moments), "moments")
    print(*failed, sep="\n", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
