"""Tell what a model hears, sees and confuses, kind by kind, and small things from large ones.

``make everyday-kinds`` prints two tables for ``docs/everyday-model.md``. All scenes are composites
of the validation split of ``../shared/real``, the first of seed 0:

- **Kinds**: single panels, as many of each class. *Heard*: the sound alone is named right among the
  fifteen classes. *Localized*: with the label given, the map reaches a cIoU of 0.3 with the true
  box. *Detected*: the class is among those that the head detects in the everyday vocabulary, or
  is one to the model with one of these.
  *Heard as* and *taken for*: the two other names that come first most often, with panels.
- **Sizes**: two panels, labels given, by the share of its panel that the source's box covers.

Labels are everyday names of ``tvsl localize`` in the first table, the data set's own in the second.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from everyday_model import FOUND, sizes, sizes_table
from tvsl.data.composites import Composites, ScenePlan
from tvsl.data.real import RealData
from tvsl.evaluation.batch import scene_truth
from tvsl.localizer import Localizer
from tvsl.metrics import ciou, minmax, resize_maps
from tvsl.scenes import Scene
from tvsl.vocabularies import everyday_sounds

sys.path.append(str(Path(__file__).parents[1] / "scripts" / "everyday"))
from head import EVERYDAY_NAMES  # its folder is no package


def plans(maker: Composites, each: int) -> Iterator[ScenePlan]:
    """Plans of the first single panels of the split, so many of each class."""
    seen: Counter[str] = Counter()
    for number in count():
        if len(seen) == len(maker.sounding) and min(seen.values()) >= each:
            return
        plan = maker.plan(number, 1)
        label = plan.panels[0].source.label
        seen[label] += 1
        if seen[label] <= each:
            yield plan


def panel_row(
    localizer: Localizer, scene: Scene, vocabulary: Sequence[str], names: dict[str, str]
) -> dict[str, Any]:
    """Names and place that the model gives a single panel."""
    label = scene.labels[0]
    encoded = localizer.encode(scene.picture, (scene.waveform, scene.sample_rate))
    given = localizer.localize_encoded(encoded, labels=[names[label]]).sources[0]
    target = torch.from_numpy(scene_truth(scene)[0])
    height, width = target.shape[1:]
    maps = minmax(resize_maps(torch.from_numpy(given.grid)[None], (height, width)))
    detected = localizer.localize_encoded(encoded, vocabulary=vocabulary).sources
    best = max(detected, key=lambda source: source.score) if detected else None
    groups = [{source.label, *source.also} for source in detected]
    texts = localizer.encoder.embed(list(names.values()))
    heard = list(names)[int((encoded.require_tokens().sound @ texts.T).argmax())]
    return {
        "label": label,
        "ciou": float(ciou(maps, target)),
        "detected": any(names[label] in group for group in groups),
        "best": None if best is None or names[label] in best.also else best.label,
        "heard": heard,
    }


def kinds(localizer: Localizer, maker: Composites, each: int) -> list[dict[str, Any]]:
    """Rows of single panels, so many of each class."""
    names = {label: EVERYDAY_NAMES[label] for label in maker.sounding}
    vocabulary = tuple(dict.fromkeys((*everyday_sounds(), *names.values())))
    rate = localizer.encoder.sample_rate
    return [
        panel_row(localizer, maker.make(plan, rate), vocabulary, names)
        for plan in plans(maker, each)
    ]


def shares(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Percent heard, localized and detected."""
    flags = [(row["heard"] == row["label"], row["ciou"] >= FOUND, row["detected"]) for row in rows]
    return [f"{100 * share:.0f}" for share in np.mean(flags, axis=0)]


def kinds_table(rows: Sequence[dict[str, Any]]) -> str:
    """The first table, the best localized classes first."""
    lines = [
        "| kind | heard | localized, label given | detected | heard as | taken for |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    groups = {label: [row for row in rows if row["label"] == label] for label in EVERYDAY_NAMES}
    order = sorted(groups, key=lambda label: -sum(row["ciou"] >= FOUND for row in groups[label]))
    for label in order:
        own = groups[label]
        if own:
            heard = wrong((row["heard"] for row in own), label)
            taken = wrong((row["best"] for row in own), EVERYDAY_NAMES[label])
            lines.append(f"| {label} | {' | '.join(shares(own))} | {heard} | {taken} |")
    each = max(map(len, groups.values()))
    lines.append(f"| all, {each} panels each | {' | '.join(shares(rows))} | | |")
    return "\n".join(lines) + "\n"


def wrong(found: Iterable[str | None], right: str) -> str:
    """The two most frequent other names, with how often."""
    others = Counter(name for name in found if name not in (right, None))
    return ", ".join(f"{name} {times}" for name, times in others.most_common(2))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="everyday")
    parser.add_argument("--head", help="Folder of a trained head; the model's own by default.")
    parser.add_argument("--data", type=Path, default=Path("../shared/real"))
    parser.add_argument("--each", type=int, default=16, help="Panels of each class.")
    parser.add_argument("--scenes", type=int, default=100, help="Scenes of two panels.")
    parser.add_argument("--output", type=Path, help="File for all rows, JSON.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    localizer = Localizer.from_pretrained(options.model, head=options.head, device="cpu")
    maker = RealData(root=options.data, split="validation").maker
    panels = kinds(localizer, maker, options.each)
    duets = sizes(localizer, maker, options.scenes)
    if options.output is not None:
        content = {"model": localizer.name, "panels": panels, "duets": duets}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{localizer.name}\n\n{kinds_table(panels)}\n{sizes_table(duets)}")


if __name__ == "__main__":
    main()
