"""Localize a video, and say who sounds where from when to when.

`python localize_video.py clip.mp4 "man speaking,sea waves"`; without labels classes are detected.
"""

import sys

import tvsl


def main(video: str, labels: str = "") -> None:
    localizer = tvsl.load()  # the everyday model, which comes with the package
    names = [name.strip() for name in labels.split(",") if name.strip()]
    for moment in localizer.localize_video(video, labels=names or None, every=0.5):
        if not moment.sources:
            print(f"{moment.time:6.2f} s  nothing")
        for source in moment.sources:
            print(
                f"{moment.time:6.2f} s  {source.label}  {source.score:.2f}  {source.box.to_list()}"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
