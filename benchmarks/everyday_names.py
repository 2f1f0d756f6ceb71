"""Measure how the everyday model detects among two hundred names, and how it says that it cannot.

Nothing here is from a test split: photographs and sounds are those of the validation split of
``../shared/real``. Three tables:

- pairs of everyday names by the cosine of their embeddings: of the clips in which one of the two
  reaches the threshold, the share in which both do, were nothing merged;
- names that mean nothing to the model: of the everyday names, of rare words and of random letters.
  Its constants were chosen on others, but for one look at these words;
- clips with a source in the picture and without: how often something is told, and the right name,
  by the threshold alone, and as the localizer tells it.

Intervals hold 95 % of 1,000 resamples of the clips.
"""

from __future__ import annotations

import argparse
import random
import string
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from everyday_model import interval
from tvsl.data.file_index import IndexedFile, IndexFiles
from tvsl.encoded import Encoded
from tvsl.encoder import FrameTokens, SoundTokens, join_panels, without_meaning
from tvsl.localizer import Localizer
from tvsl.media import load_audio, load_image
from tvsl.vocabularies import everyday_sounds

RARE_WORDS = """theorbo lute lyre bodhran bombarde cimbalom kalimba mbira melodica ney oud pipa
rebec sarod shamisen tanpura taiko viol cowbell maraca bullroarer lapwing whimbrel grebe cormorant
cassowary emu ibex okapi tapir lemur gibbon hyena jackal dingo stoat weasel shrew newt gecko skink
loom lathe planer scythe thresher windlass capstan bellringer gramophone"""
LETTERS_SEED = 2
BINS = (-1.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 1.01)
SLOPES = {"white": 0.0, "pink": 1.0, "brown": 2.0}
"""Exponents of noises' spectra."""
NOISES_OF_A_KIND, SECONDS, LEVEL = 10, 5, 0.1
PHOTOGRAPHS, BACKGROUNDS = 2, 16
"""Photographs of each sounding class, and of no class."""
NAMES = {
    "accordion": "playing accordion",
    "baby cry": "baby crying",
    "cello": "playing cello",
    "cellphone": "mobile phone ringing",
    "chainsaw": "chainsaw",
    "dog": "dog barking",
    "electric guitar": "playing electric guitar",
    "elephant": "elephant trumpeting",
    "euphonium": "playing euphonium",
    "fire": "fire crackling",
    "flute": "playing flute",
    "grand piano": "playing piano",
    "helicopter": "helicopter flying",
    "mandolin": "playing mandolin",
    "metronome": "metronome ticking",
    "person speaking": "man speaking",
    "rain": "rain falling",
    "revolver": "gun shooting",
    "rooster": "rooster crowing",
    "saxophone": "playing saxophone",
    "sea waves": "sea waves",
    "sneeze": "person sneezing",
    "trumpet": "playing trumpet",
    "violin": "playing violin",
    "watch": "clock ticking",
}
"""Everyday names of the classes."""


@dataclass(frozen=True)
class Clip:
    """A photograph with a sound.

    Attributes:
        kind: Condition.
        frame: Tokens of the photograph.
        sound: Tokens of the sound.
        name: Everyday name of what sounds; None for noise.
    """

    kind: str
    frame: FrameTokens
    sound: SoundTokens
    name: str | None

    @property
    def encoded(self) -> Encoded:
        """As a localizer takes it."""
        return Encoded(join_panels(self.frame, self.sound, 1), (224, 224), None, (0.0, SECONDS))


def noise(slope: float, seed: int, rate: int) -> Tensor:
    """Noise with a power spectrum that falls by the frequency to the power of ``slope``."""
    white = np.random.default_rng(seed).standard_normal(rate * SECONDS)
    spectrum = np.fft.rfft(white)
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** (-slope / 2)
    samples = np.fft.irfft(spectrum, rate * SECONDS)
    return torch.from_numpy((LEVEL * samples / samples.std()).astype(np.float32))


def clips(localizer: Localizer, files: Sequence[IndexedFile]) -> Iterator[Clip]:
    """Every sound with a photograph of its class, if there is one, and with one of no class."""
    encoder = localizer.encoder
    rate = encoder.sample_rate

    def seen(file: IndexedFile) -> FrameTokens:
        return encoder.encode_frames(encoder.prepare(load_image(file.path))[None])

    def heard(file: IndexedFile) -> SoundTokens:
        samples = load_audio(file.path, rate).samples[: rate * SECONDS]
        return encoder.encode_sounds(torch.from_numpy(samples)[None])

    photographs: dict[str, list[FrameTokens]] = {}
    for file in files:
        known = photographs.setdefault(file.label, [])
        most = {"sounding": PHOTOGRAPHS, "silent": BACKGROUNDS}.get(file.role, 0)
        if file.kind == "photo" and len(known) < most and file.label in {*NAMES, "background"}:
            known.append(seen(file))
    empty = photographs["background"]
    objects = [frame for label in NAMES for frame in photographs.get(label, [])]
    for number, file in enumerate(one for one in files if one.kind == "sound"):
        sound, name, place = heard(file), NAMES[file.label], empty[number % len(empty)]
        for frame in photographs[file.label]:  # none where the class is only heard
            yield Clip("its source is in the picture", frame, sound, name)
        yield Clip("its source is not in the picture", place, sound, name)
    for slope in SLOPES.values():
        for seed in range(NOISES_OF_A_KIND):
            sound = encoder.encode_sounds(noise(slope, seed, rate)[None])
            yield Clip("noise, an empty place", empty[seed % len(empty)], sound, None)
            yield Clip("noise, a silent object", objects[seed % len(objects)], sound, None)


def told(localizer: Localizer, given: Sequence[Clip], names: Sequence[str]) -> list[set[str]]:
    """Names that are told of each clip, with those that are the same to the model."""
    found = [localizer.localize_encoded(clip.encoded, vocabulary=names) for clip in given]
    return [
        {name for source in one.sources for name in (source.label, *source.also)} for one in found
    ]


def pairs_table(localizer: Localizer, given: Sequence[Clip], names: Sequence[str]) -> list[str]:
    """Pairs of names by their cosine."""
    vocabulary = localizer.encoder.vocabulary(names)
    threshold = localizer.method.config.detection_threshold
    rows = []
    with torch.inference_mode():
        for clip in given:
            scores = localizer.method.detect(clip.encoded.require_tokens(), vocabulary)
            assert scores is not None
            assert threshold is not None
            rows.append(scores[0] >= threshold)
    over = torch.stack(rows).double()
    both = over.T @ over
    either = over.sum(dim=0)[:, None] + over.sum(dim=0) - both
    first, second = torch.triu_indices(len(names), len(names), 1)
    cosines = (vocabulary.embeddings @ vocabulary.embeddings.T)[first, second]
    lines = [
        "| cosine | pairs | clips with one of a pair | both, % |",
        "| --- | ---: | ---: | ---: |",
    ]
    for low, high in pairwise(BINS):
        chosen = (cosines >= low) & (cosines < high)
        one, two = (float(x[first, second][chosen].sum()) for x in (either, both))
        span = f"{max(low, 0):.2f} to {min(high, 1):.2f}"
        lines.append(
            f"| {span} | {int(chosen.sum())} | {one:.0f} | {100 * two / max(one, 1):.0f} |"
        )
    return lines


def meaning_table(localizer: Localizer, names: Sequence[str]) -> list[str]:
    """Names that mean nothing to the model."""
    draw = random.Random(LETTERS_SEED)
    letters = [
        "".join(draw.choices(string.ascii_lowercase, k=draw.randint(4, 9))) for _ in range(50)
    ]
    groups = {
        "everyday names": [*names, *(label for label in NAMES if label not in names)],
        "rare words": RARE_WORDS.split(),
        "random letters": letters,
    }
    lines = ["| names | number | without a meaning | which |", "| --- | ---: | ---: | --- |"]
    for title, group in groups.items():
        found = without_meaning(localizer.encoder, group)
        lines.append(f"| {title} | {len(group)} | {len(found)} | {', '.join(found[:6])} |")
    return lines


def answers_table(localizer: Localizer, given: Sequence[Clip], names: Sequence[str]) -> list[str]:
    """Clips with something told, and with the right name."""
    alone = Localizer(localizer.encoder, localizer.method, "threshold", same_meaning=1.0)
    floors = {
        name: getattr(localizer.method.config, name) for name in ("heard_floor", "seen_floor")
    }
    localizer.method.set_tuned(heard_floor=None, seen_floor=None)
    before = told(alone, given, names)
    localizer.method.set_tuned(**floors)
    after = told(localizer, given, names)
    lines = ["| clips | number | | something told, % | the right name, % | told a clip |"]
    lines.append("| --- | ---: | --- | ---: | ---: | ---: |")
    for kind in dict.fromkeys(clip.kind for clip in given):
        places = [place for place, clip in enumerate(given) if clip.kind == kind]
        for title, answers in (("threshold alone", before), ("with merging and floors", after)):
            found = [answers[place] for place in places]
            right = [float(given[p].name in answers[p]) for p in places]
            named = "" if given[places[0]].name is None else interval(right)
            something = interval([float(bool(one)) for one in found])
            mean = f"{np.mean([len(one) for one in found]):.1f}"
            lines.append(f"| {kind} | {len(places)} | {title} | {something} | {named} | {mean} |")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=str, nargs="?", default="everyday")
    parser.add_argument("--data", type=Path, default=Path("../shared/real"))
    options = parser.parse_args()
    localizer = Localizer.from_pretrained(options.model)
    names = list(dict.fromkeys((*everyday_sounds(), *NAMES.values())))
    files = [one for one in IndexFiles(root=options.data).indexed if one.split == "validation"]
    given = list(clips(localizer, files))
    config = localizer.method.config
    cuts = [
        "none" if cut is None else f"{cut:.3f}"
        for cut in (config.detection_threshold, config.heard_floor, config.seen_floor)
    ]
    groups = localizer.encoder.vocabulary(names).groups(localizer.same_meaning)
    merged = [
        ", ".join(names[row] for row in (groups == group).nonzero()[:, 0])
        for group in groups.unique()
        if int((groups == group).sum()) > 1
    ]
    lines = [
        *pairs_table(localizer, given, names),
        "",
        f"From {localizer.same_meaning:g} on: {'; '.join(merged)}.",
        "",
        *meaning_table(localizer, names),
        "",
        f"Threshold {cuts[0]}, floors {cuts[1]} (heard) and {cuts[2]} (seen).",
        "",
        *answers_table(localizer, given, names),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
