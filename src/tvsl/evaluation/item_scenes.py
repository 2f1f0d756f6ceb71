"""Items of a data set, encoded as scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tvsl.data.dataset import DecisionItems, Sample
from tvsl.data.file_clips import of_length
from tvsl.data.files import draw_targets
from tvsl.encoder import Encoder
from tvsl.evaluation.scenes import EncodedScenes, join_tokens
from tvsl.tokens import Queries, Tokens, Vocabulary

_BATCH = 32


def encode_items(wanted: DecisionItems, encoder: Encoder, vocabulary: Vocabulary) -> EncodedScenes:
    """Read and encode items that have as many panels each.

    Pictures are squeezed into squares and sounds cut to the window, as for training.

    Args:
        wanted: The items, at least one.
        encoder: The frozen encoder.
        vocabulary: The classes.

    Returns:
        The scenes; they know of no twins, and boxes are what targets hold for at least a half.

    Raises:
        MediaError: A file cannot be used.
    """
    items, side, rate = wanted.items, wanted.side, encoder.sample_rate
    length = None if wanted.window is None else round(wanted.window * rate)
    batches = (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
    parts = [
        _tokens([wanted.data.read(item, rate) for item in batch], length, encoder)
        for batch in batches
    ]
    drawn = (draw_targets(item.sources, item.panels, side, side) for item in items)
    rows = [vocabulary.indices([str(label) for label in item.labels]) for item in items]
    queries = Queries.from_lists(rows)
    labels = torch.zeros(len(items), len(vocabulary), dtype=torch.bool)
    labels[queries.clip, queries.label] = True
    truth = torch.from_numpy(np.concatenate([target >= 0.5 for target in drawn]))
    return EncodedScenes(
        join_tokens(parts),
        vocabulary,
        queries,
        labels=labels,
        masks=truth,
        boxes=truth,
        twins=torch.zeros_like(truth),
    )


def _tokens(samples: Sequence[Sample], length: int | None, encoder: Encoder) -> Tokens:
    frames = [
        torch.stack([encoder.prepare(picture, square=True) for picture in sample.pictures])
        for sample in samples
    ]
    sounds = [sample.waveform for sample in samples]
    waveforms = sounds if length is None else [of_length(sound, length) for sound in sounds]
    return encoder.encode(torch.stack(frames), torch.from_numpy(np.stack(waveforms))).to("cpu")
