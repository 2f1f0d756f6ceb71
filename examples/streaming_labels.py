"""Ask one picture and its sound many times: encode once, then any names.

`python streaming_labels.py photo.jpg sound.wav`, then a line of names for each question. The
picture and its sound are encoded once; after that an answer costs what its new names cost to
read.
"""

import sys
import time

import tvsl


def main(picture: str, sound: str, questions=sys.stdin) -> None:
    localizer = tvsl.load()
    start = time.perf_counter()
    encoded = localizer.encode(picture, sound)
    print(f"encoded in {time.perf_counter() - start:.2f} s; names, separated by commas:")
    for line in questions:
        names = [name.strip() for name in line.split(",") if name.strip()]
        if not names:
            continue
        start = time.perf_counter()
        result = localizer.localize_encoded(encoded, labels=names)
        for source in result.sources:
            print(f"  {source.label}: score {source.score:.2f}, box {source.box.to_list()}")
        print(f"  answered in {(time.perf_counter() - start) * 1000:.0f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
