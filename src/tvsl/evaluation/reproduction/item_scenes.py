"""Items of a data set in files, encoded as scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tvsl.audioclip.transforms import resize
from tvsl.data.dataset import Item
from tvsl.data.file_clips import of_length
from tvsl.data.files import FileDataSet, draw_targets
from tvsl.encoder import Encoder
from tvsl.evaluation.reproduction.testbed import ShownScene
from tvsl.evaluation.scenes import EncodedScenes, join_tokens
from tvsl.tokens import Queries, Tokens, Vocabulary

_BATCH = 16
_ANY_RATE = 16_000


def encode_items(
    items: Sequence[Item],
    data: FileDataSet,
    window: float,
    encoder: Encoder,
    vocabulary: Vocabulary,
) -> EncodedScenes:
    """Read and encode items that have as many panels each.

    Pictures are squeezed into squares and sounds cut to the window, as for training.

    Args:
        items: The items.
        data: The data set, which reads them.
        window: Seconds of sound.
        encoder: The frozen encoder.
        vocabulary: The classes.

    Returns:
        The scenes; they know of no twins, and boxes are what targets hold for at least a half.
    """
    length = round(window * encoder.sample_rate)
    batches = (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
    parts = [_tokens(batch, data, length, encoder) for batch in batches]
    drawn = (draw_targets(item.sources, item.panels, data.side, data.side) for item in items)
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


def _tokens(items: Sequence[Item], data: FileDataSet, length: int, encoder: Encoder) -> Tokens:
    frames, waveforms = [], []
    for item in items:
        sample = data.read(item, encoder.sample_rate)
        panels = [encoder.prepare(picture, square=True) for picture in sample.pictures]
        frames.append(torch.stack(panels))
        waveforms.append(of_length(sample.waveform, length))
    return encoder.encode(torch.stack(frames), torch.from_numpy(np.stack(waveforms))).to("cpu")


def shown_item(item: Item, data: FileDataSet) -> ShownScene:
    """The pictures of an item at the size of its targets, side by side."""
    pictures = data.read(item, _ANY_RATE).pictures
    squares = [resize(picture, (data.side, data.side)) for picture in pictures]
    labels = tuple(str(label) for label in item.labels)
    return ShownScene(np.concatenate(squares, axis=1), labels)
