"""Make the gallery of the documents: `make gallery`.

The real mixtures of `tvsl demo`, localized by the everyday model with their labels given, one sheet
for each, and the page that shows them. Their authors stand below each picture and in `NOTICE`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tvsl import Localizer
from tvsl.demo import run_demo
from tvsl.demo.run import DemoResult, DemoSource, threshold
from tvsl.render import contact_sheet, save_jpeg

DOCS = Path(__file__).resolve().parents[1] / "docs"
LARGEST = 60_000
"""Bytes of a picture."""
PANEL = 420
"""Longer side of a panel, in pixels."""
HEAD = """# Gallery

The real mixtures of `tvsl demo`, localized by the everyday model with the labels given: photographs
and sounds of others, under CC BY and CC0, that come with the package. Misses are shown like hits;
how the scenes were chosen is told in `scripts/demo_mixtures.py`. A hit is a map, cut at half of its
range, that overlaps the true box by a cIoU of {single:g} or more, or of {several:g} where several
sources sound. `make gallery` makes pictures and page again; `make demo` gives the same with sounds
to play and maps to switch on and off.

{hits} of {sources} sources are hit with their labels given, {detected} with detected labels.

## A natural photograph

One photograph as it was taken, and one sound in which a man reads and the sea breaks
(`make readme-picture`).

![Riders on a beach, and two heat-maps: a man's voice is found at the riders, sea waves at the
sea](example/found.jpg)

Authors: [NOTICE](example/NOTICE).
"""


def told(source: DemoSource) -> str:
    """A source, and how well it was found."""
    hit = "hit" if source.given_score.hit else "missed"
    return f"{source.label}: {hit}, cIoU {source.given_score.ciou:.2f}"


def section(result: DemoResult) -> str:
    """A scene: its picture, how well its sources were found, its authors.

    Args:
        result: The scene, localized.
    """
    kind, scene = result.case.kind, result.case.scene
    found = "; ".join(told(source) for source in result.sources)
    off_screen = f" Off screen sounds: {scene.off_screen}." if scene.off_screen else ""
    names = " and ".join(scene.labels)
    credits_ = dict.fromkeys(
        f"{credit.kind} of {credit.label}: {credit.attribution}, "
        f"[{credit.licence}]({credit.licence_page}), {credit.changes}"
        for credit in result.case.credits
    )
    authors = "\n".join(f"- {line}" for line in credits_)
    return (
        f"## {kind.title}\n\n{kind.description}{off_screen}\n\n"
        f"![The picture, and a heat-map of each source: {names}](gallery/{kind.name}.jpg)\n\n"
        f"{found}.\n\n<details markdown>\n<summary>Authors</summary>\n\n{authors}\n\n</details>\n"
    )


def main() -> None:
    """Localize the scenes and write pictures and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=DOCS)
    given = parser.parse_args()
    pictures = given.output / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    load = Localizer.from_pretrained
    real = run_demo(load("everyday", device="cpu"), load("mini", device="cpu")).real
    sections = []
    for result in real.results:
        sheet = contact_sheet(result.case.scene.picture, result.given, panel=PANEL)
        save_jpeg(sheet, pictures / f"{result.case.kind.name}.jpg", LARGEST, force=True)
        sections.append(section(result))
    cuts = [threshold(result.case) for result in real.results]
    counts = real.summary
    head = HEAD.format(
        single=max(cuts),
        several=min(cuts),
        hits=counts["given_hits"],
        sources=counts["sources"],
        detected=counts["detected_hits"],
    )
    notice = "All authors also stand in [NOTICE](../src/tvsl/demo/real/NOTICE).\n"
    text = "\n".join([head, *sections, notice])
    (given.output / "gallery.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
