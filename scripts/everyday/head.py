"""Let validation choose the hyperparameters of T-VSL on the everyday encoder; nothing is trained.

The scenes are composites of the validation split of ``real``. Classes are detected among the
everyday names that the command line uses, not among the data set's few: what is chosen has to hold
in a vocabulary of two hundred.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path

from rich.progress import Progress as Bar

from tvsl.data import find_data
from tvsl.evaluation.batch import EncodedBatch
from tvsl.everyday import load
from tvsl.methods.checkpoint_io import save_head
from tvsl.methods.tvsl import TVSL, TVSLConfig
from tvsl.tokens import Queries, Vocabulary
from tvsl.training.calibrate import MAP_SOURCES, calibrate, located, validation_scenes
from tvsl.vocabularies import everyday_sounds

SCENES = 50
EVERYDAY_NAMES = {
    "accordion": "playing accordion",
    "cellphone": "mobile phone ringing",
    "dog": "dog barking",
    "electric guitar": "playing electric guitar",
    "elephant": "elephant trumpeting",
    "euphonium": "playing euphonium",
    "grand piano": "playing piano",
    "helicopter": "helicopter flying",
    "mandolin": "playing mandolin",
    "metronome": "metronome ticking",
    "person speaking": "man speaking",
    "revolver": "gun shooting",
    "rooster": "rooster crowing",
    "saxophone": "playing saxophone",
    "watch": "clock ticking",
}


def renamed(scenes: EncodedBatch, vocabulary: Vocabulary) -> EncodedBatch:
    """Scenes with their classes among the everyday names."""
    own = [name.replace("_", " ") for name in scenes.vocabulary.names]
    rows = vocabulary.indices([EVERYDAY_NAMES[name] for name in own])
    label = scenes.queries.label.new_tensor(rows)[scenes.queries.label]
    return replace(scenes, vocabulary=vocabulary, queries=Queries(scenes.queries.clip, label))


def main() -> None:
    """Choose and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("build/everyday/model"))
    parser.add_argument("--data", type=Path, default=Path("../shared/real"))
    options = parser.parse_args()
    encoder = load(options.model)
    data = find_data("real", root=options.data, split="validation")
    with Bar() as bar:
        task = bar.add_task("scenes", total=None)
        scenes = validation_scenes(
            encoder, data, SCENES, lambda done, total: bar.update(task, completed=done, total=total)
        )
    names = dict.fromkeys((*everyday_sounds(), *EVERYDAY_NAMES.values()))
    vocabulary = encoder.vocabulary(list(names))
    mixtures = [renamed(part, vocabulary) for part in scenes]
    config = TVSLConfig(
        embedding=encoder.embedding, stages=1, correspondence=False, class_projectors=False
    )
    head = TVSL(config).eval()
    mapped = [part for part in mixtures if part.sources in MAP_SOURCES and located(part)]
    decided = calibrate(head, mapped, mixtures)
    folder = save_head(head, encoder, options.model / "head", {"calibration": asdict(decided)})
    sys.stdout.write(f"{folder}: {decided.hyperparameters}\n")


if __name__ == "__main__":
    main()
