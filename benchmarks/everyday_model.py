"""Measure the everyday model and write its card (``make everyday-card``).

Nothing here is from a test split: composites are of the validation photographs and sounds, natural
photographs, clips and the video are those of ``../shared/media``, on which nothing was trained.

Intervals hold 95 % of 1,000 resamples: of the items of a table with replacement.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import tvsl
from tvsl.data.composites import Composites
from tvsl.data.real import RealData
from tvsl.evaluation.batch import encode_scenes
from tvsl.evaluation.compare import compare
from tvsl.evaluation.score import score_maps
from tvsl.localizer import Localizer
from tvsl.media import load_audio, load_image, read_frame
from tvsl.metrics import Bootstrap, Interval, average_precision, ciou, minmax, resize_maps
from tvsl.metrics.intervals import mean
from tvsl.tokens import Queries
from tvsl.vocabularies import everyday_sounds

SIDE = 224
HALF = 0.5
TRUE_NAMES = {
    "baby_cry": "baby crying",
    "chainsaw": "chainsaw",
    "clock_tick": "clock ticking",
    "dog_bark": "dog barking",
    "fire_crackling": "fire crackling",
    "helicopter": "helicopter flying",
    "person_sneeze": "person sneezing",
    "rain": "rain falling",
    "rooster": "rooster crowing",
    "sea_waves": "sea waves",
}
VIDEO = "open_video/pe_train_woman.mp4"
SECONDS = 5.0
FOUND = 0.3
SIZES = (("small, under 0.15", 0.0, 0.15), ("middle", 0.15, 0.4), ("large, over 0.4", 0.4, 1.01))
SIZE_SCENES = 100
CHUNK = 20
TRAINED, UNTRAINED = "tvsl (own head)", "tvsl (untrained)"
NAMED = {"woman": ("woman speaking",), "train": ("train passing by", "subway train arriving")}

CARD = """# everyday: hears, sees and reads what is common, without a download

An encoder of tvsl; `docs/everyday-model.md` says how it is made and what it cannot do.

- **Parts**: YAMNet (AudioSet), EfficientNet-Lite0 (ImageNet-1k), SSD-MobileNetV2 (COCO),
  all-MiniLM-L6-v2; weights in 8 bits for each output channel.
- **Licence**: Apache-2.0, as all its parts: `NOTICE` names each. `PROVENANCE.json` has the packages
  that they were taken from, with their SHA-256.
- **Data of our own**: the encoder has seen no labels, only statistics of photographs and sounds.
  The head beside it was trained on composites of labelled ones. All of these are under CC BY, CC0,
  MIT or public domain; `NOTICE` names them.
- **Rebuild**: `make everyday`. **Measure**: `make everyday-card`, which wrote what follows.
  The photographs of scenes and the video are in no training set of ours; of the Caltech-101 objects
  16 of 44 are among the head's training photographs, and 58 of ESC-10's clips are among the sounds.
  Composites are 60 scenes of the validation split for each K, on which the head's choices were
  made; sizes are of the first 100. Intervals hold 95 % of resamples.

{tables}"""


def interval(values: Sequence[float]) -> str:
    """Mean in percent with its 95 % interval."""
    draws = Bootstrap(np.arange(len(values))).draw({"": mean(values)})[""]
    return f"{100 * float(np.mean(values)):.0f} ({Interval.of(draws).times(100).text(0)})"


def scores(grid: Tensor, box: Sequence[float], size: tuple[int, int]) -> dict[str, float]:
    """CIoU and average precision of a map against a box in shares of the picture."""
    height, width = size
    target = torch.zeros(1, height, width, dtype=torch.bool)
    rows = slice(round(box[1] * height), max(round(box[3] * height), round(box[1] * height) + 1))
    columns = slice(round(box[0] * width), max(round(box[2] * width), round(box[0] * width) + 1))
    target[0, rows, columns] = True
    maps = minmax(resize_maps(grid[None], size))
    return {"ciou": float(ciou(maps, target)), "ap": float(average_precision(maps, target))}


def centre(size: tuple[int, int]) -> Tensor:
    """A map that falls from the centre, in shares of each side."""
    rows, columns = (torch.linspace(-1, 1, length) for length in size)
    return -(rows[:, None] ** 2 + columns[None] ** 2)


def text_maps(localizer: Localizer, picture: Any, sound: Any, labels: Sequence[str]) -> Tensor:
    """Maps of labels as ``tvsl localize`` makes them, (P, h, w)."""
    encoder = localizer.encoder
    frame = encoder.prepare(picture)[None]
    tokens = encoder.encode(frame, sound[None])
    queries = Queries.from_lists([list(range(len(labels)))])
    vocabulary = encoder.vocabulary(labels)
    return localizer.method.postprocess(localizer.method.spread_maps(tokens, queries, vocabulary))


def natural(localizer: Localizer, media: Path) -> list[dict[str, Any]]:
    """Scores of things in photographs and in moments of a video, by their names."""
    rows = []
    for entry in json.loads((media / "boxes.json").read_text(encoding="utf-8")):
        path, moment = media / entry["file"], entry["t"]
        sound = torch.zeros(int(SECONDS * localizer.encoder.sample_rate))
        if moment is not None:
            begin = moment - SECONDS / 2
            found = load_audio(path, localizer.encoder.sample_rate, begin, SECONDS)
            sound = torch.from_numpy(found.samples)
        picture = load_image(path) if moment is None else frame_at(path, moment)
        scale = SIDE / min(picture.shape[:2])
        size = (round(picture.shape[0] * scale), round(picture.shape[1] * scale))
        for thing in entry["objects"]:
            box = thing["box"]
            maps = text_maps(localizer, picture, sound, [thing["label"]])
            rows.append(
                {
                    "file": entry["file"],
                    "label": thing["label"],
                    "area": (box[2] - box[0]) * (box[3] - box[1]),
                    "model": scores(maps[0], box, size),
                    "centre": scores(centre(size), box, size),
                    "whole frame": scores(torch.ones(2, 2), box, size),
                }
            )
    return rows


def frame_at(path: Path, moment: float) -> Any:
    """The picture of a video at a moment in seconds."""
    return read_frame(path, moment).image


def hearing(localizer: Localizer, media: Path) -> list[float]:
    """Hits of ESC-10: 1 for each clip that is named right among the ten names, else 0."""
    names = list(TRUE_NAMES.values())
    texts = localizer.encoder.embed(names)
    hits = []
    for folder, name in TRUE_NAMES.items():
        for path in sorted((media / "audio" / "esc10" / folder).iterdir()):
            wave = load_audio(path, localizer.encoder.sample_rate).samples
            found = localizer.encoder.encode_sounds(torch.from_numpy(wave)[None]).embeddings
            hits.append(float(names[int((found @ texts.T).argmax())] == name))
    return hits


def named(localizer: Localizer, media: Path) -> dict[str, list[float]]:
    """Hits of things in the video: 1 for each moment with it among the three classes named."""
    hits: dict[str, list[float]] = {thing: [] for thing in NAMED}
    for moment in (3.0, 7.0, 11.0):
        found = localizer.localize_video(
            media / VIDEO, at=moment, sources=3, vocabulary=everyday_sounds()
        )
        labels = {
            name for one in found for source in one.sources for name in (source.label, *source.also)
        }
        for thing, spellings in NAMED.items():
            hits[thing].append(float(bool(labels & set(spellings))))
    return hits


def speed(folder: str) -> dict[str, float]:
    """CPU seconds of one thread: loading, a frame with 5 s of sound, the everyday names.

    They are those of an idle core, also on a machine that does other work.
    """
    torch.set_num_threads(1)
    start = time.process_time()
    localizer = Localizer.from_pretrained(folder)
    loading = time.process_time() - start
    encoder = localizer.encoder
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    wave = torch.from_numpy(rng.normal(0, 0.1, (1, int(SECONDS * encoder.sample_rate)))).float()
    clips = []
    for _ in range(5):
        start = time.process_time()
        encoder.encode(encoder.prepare(picture)[None], wave)
        clips.append(time.process_time() - start)
    start = time.process_time()
    encoder.embed(everyday_sounds())
    return {"loading": loading, "clip": min(clips), "names": time.process_time() - start}


def composites(model: str, data: Path, heads: Sequence[Path], count: int) -> list[dict[str, Any]]:
    """Rows of ``tvsl evaluate`` on composites of the validation split, for K = 1, 2 and 4."""
    rows = []
    for sources in (1, 2, 4):
        options = {"root": data, "split": "validation", "sources": sources, "count": count}
        with tempfile.TemporaryDirectory() as folder:
            found = tvsl.evaluate(
                model,
                "real",
                heads=heads,
                methods=["tvsl", "text-only"],
                data_options=options,
                output=folder,
            ).to_dict()
            gained = gains(Path(folder)) if sources == 2 and not heads else []
        detection = {one["name"]: one for one in found["detection"]}
        for row in found["results"]:
            rows.append({"sources": sources, **row, "mAP": detection.get(row["name"])})
        rows[-1]["gains"] = gained
    return rows


def gains(folder: Path) -> list[dict[str, Any]]:
    """Worth of the training of the model's head in an evaluation, paired by scene."""
    found = compare(folder, folder, methods=(TRAINED, UNTRAINED)).to_dict()["differences"]
    return [one for one in found if one["labels"][0] == one["labels"][1]]


def sizes(localizer: Localizer, maker: Composites, scenes: int) -> list[tuple[float, float]]:
    """Share of the panel and cIoU of each source of duets, labels given."""
    rows = []
    for start in range(0, scenes, CHUNK):
        some = min(CHUNK, scenes - start)
        batch = encode_scenes(localizer.encoder, maker, 2, some, start)
        maps = localizer.method.spread_maps(batch.tokens, batch.queries, batch.vocabulary)
        found = score_maps(localizer.method.postprocess(maps), batch).columns["ciou"]
        shares = 2 * batch.targets.double().mean(dim=(1, 2))  # of one of two panels
        rows += list(zip(shares.tolist(), found.tolist(), strict=True))
    return rows


def sizes_table(rows: Sequence[tuple[float, float]]) -> str:
    """Figures of small things and of large ones, of duets with labels given."""
    lines = [
        "| box of its panel | sources | mean cIoU | cIoU@0.3 |",
        "| --- | ---: | ---: | ---: |",
    ]
    for title, low, high in SIZES:
        own = [overlap for share, overlap in rows if low <= share < high]
        hits = [float(overlap >= FOUND) for overlap in own]
        lines.append(f"| {title} | {len(own)} | {interval(own)} | {interval(hits)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=str)
    parser.add_argument("--media", type=Path, default=Path("../shared/media"))
    parser.add_argument("--data", type=Path, default=Path("../shared/real"))
    parser.add_argument("--head", type=Path, action="append", default=[])
    parser.add_argument("--count", type=int, default=60, help="Scenes of each number of sources.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--card", type=Path)
    options = parser.parse_args()
    seconds = speed(options.model)
    localizer = Localizer.from_pretrained(options.model)
    found = {
        "seconds": seconds,
        "natural": natural(localizer, options.media),
        "hearing": hearing(localizer, options.media),
        "named": named(localizer, options.media),
        "composites": composites(options.model, options.data, options.head, options.count),
        "sizes": sizes(
            localizer, RealData(root=options.data, split="validation").maker, SIZE_SCENES
        ),
    }
    if options.card is not None:
        options.card.write_text(CARD.format(tables=tables(found)), encoding="utf-8")
    options.output.write_text(json.dumps(found, indent=1, default=str) + "\n", encoding="utf-8")
    sys.stdout.write(tables(found))


def tables(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = ["| natural scenes, labels given | things | cIoU@0.5 | cIoU@0.3 | AP |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    groups: dict[str, Callable[[dict[str, Any]], bool]] = {
        "the video, six sources": lambda row: row["file"] == VIDEO,
        "photographs, boxes under half the frame": lambda row: (
            row["file"].startswith(("images/coco", "images/coral")) and row["area"] < HALF
        ),
        "objects on their own (Caltech-101)": lambda row: "caltech" in row["file"],
    }
    for title, chosen in groups.items():
        rows = [row for row in found["natural"] if chosen(row)]
        for kind in ("model", "centre", "whole frame"):
            overlap = [row[kind]["ciou"] for row in rows]
            cells = (
                interval([float(one >= 0.5) for one in overlap]),
                interval([float(one >= 0.3) for one in overlap]),
                interval([row[kind]["ap"] for row in rows]),
            )
            lines.append(f"| {title}: {kind} | {len(rows)} | {' | '.join(cells)} |")
    seconds, moments = found["seconds"], found["named"]
    lines += [
        "",
        f"ESC-10, named right among ten names: {interval(found['hearing'])} %.",
        (
            f"Among 200 everyday names, three at each of {len(moments['woman'])} moments: woman at "
            f"{interval(moments['woman'])}, train at {interval(moments['train'])} % of them."
        ),
        (
            f"CPU seconds of one thread: loading {seconds['loading']:.2f}, a frame with 5 s of "
            f"sound {seconds['clip']:.2f}, 230 names {seconds['names']:.2f}."
        ),
        "",
        "| composites, K | method | labels | CAP | CIoU@0.3 | CIoU@0.5 | detection mAP |",
        "| ---: | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in found["composites"]:
        figures = row["values"]  # of one source they are called AP and IoU
        wanted = (("CAP", "AP"), ("CIoU@0.3", "IoU@0.3"), ("CIoU@0.5", "IoU@0.5"))
        known = [next((name for name in names if name in figures), None) for names in wanted]
        values = [
            "" if one is None else _cell(figures[one], row["intervals"][one]) for one in known
        ]
        found_classes = row["mAP"]
        precision = ""
        if found_classes is not None:
            name = "mean_average_precision"
            precision = _cell(found_classes[name], found_classes["intervals"][name])
        cells = (row["sources"], row["name"], row["label_source"], *values, precision)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines.append("")
    for row in found["composites"]:
        lines += [gain_line(row["sources"], one) for one in row.get("gains", ()) if is_told(one)]
    lines += ["", "Two panels, labels given, by the share of its panel that a source's box covers:"]
    return "\n".join(lines) + "\n\n" + sizes_table(found["sizes"])


def is_told(gain: dict[str, Any]) -> bool:
    """Tell whether a gain stands in the card: that of the success rate at 0.3."""
    return str(gain["figure"]) in ("CIoU@0.3", "IoU@0.3")


def gain_line(sources: int, gain: dict[str, Any]) -> str:
    """A gain of training as a line, in points."""
    ends = Interval(**gain["interval"]).times(100).text(0)
    return (
        f"- Training is worth {100 * gain['value']:.0f} ({ends}) points of {gain['figure']} at K = "
        f"{sources}, labels {gain['labels'][0]}, paired by scene."
    )


def _cell(value: float, ends: dict[str, float]) -> str:
    return f"{100 * value:.0f} ({Interval(**ends).times(100).text(0)})"


if __name__ == "__main__":
    main()
