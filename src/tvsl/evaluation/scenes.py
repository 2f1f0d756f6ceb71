"""Encoded scenes with their ground truth, made up or read from files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tvsl.data.base import DecisionItems, Sample, resampled
from tvsl.data.files import draw_targets, of_length
from tvsl.encoder import Encoder
from tvsl.synthetic.sounds import SAMPLE_RATE
from tvsl.synthetic.world import World, WorldScene
from tvsl.tokens import Queries, Tokens, Vocabulary

Report = Callable[[int, "int | None"], None]

_BATCH = 32


@dataclass(frozen=True, eq=False)
class EncodedScenes:
    """B scenes of K sources each, with their ground truth.

    Attributes:
        tokens: B clips of K panels.
        vocabulary: N classes, of which K sound in each scene.
        queries: The true (scene, source) pairs, P = B * K, scene by scene, panel by panel.
        labels: Which classes sound and are seen, (B, N) bool.
        masks: Where each pair's object is, (P, H, K * W) bool.
        boxes: The same as filled boxes, (P, H, K * W) bool.
        twins: Where the silent twin of each pair's object is, (P, H, K * W) bool; nowhere for a
            pair without one.
    """

    tokens: Tokens
    vocabulary: Vocabulary
    queries: Queries
    labels: Tensor
    masks: Tensor
    boxes: Tensor
    twins: Tensor

    @property
    def counts(self) -> Tensor:
        """How many sources of each class sound and are seen, (B, N) int64, for losses."""
        counts = torch.zeros(self.labels.shape, dtype=torch.int64)
        pairs = (self.queries.clip.cpu(), self.queries.label.cpu())
        return counts.index_put_(pairs, torch.tensor(1), accumulate=True)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a scene in pixels."""
        return self.masks.shape[1], self.masks.shape[2]

    @property
    def sources(self) -> int:
        """K, the number of sources of a scene; the largest where scenes differ."""
        return int(torch.bincount(self.queries.clip).max())


def encode_scenes(
    encoder: Encoder,
    world: World,
    sources: int,
    count: int,
    report: Report | None = None,
    start: int = 0,
) -> EncodedScenes:
    """Make and encode scenes of a split, the first ones unless told otherwise.

    Args:
        encoder: The frozen encoder.
        world: The split.
        sources: K, the number of sources of each scene.
        count: B, the number of scenes.
        report: Called with scenes so far and in all.
        start: Number of the first scene.

    Returns:
        The scenes; their vocabulary is the split's.
    """
    vocabulary = encoder.vocabulary(world.names)
    parts, scenes = [], []
    for first in range(start, start + count, _BATCH):
        numbers = range(first, min(first + _BATCH, start + count))
        batch = [world.scene(number, sources) for number in numbers]
        parts.append(encode_batch(encoder, batch))
        # Pictures and sounds are not needed again.
        scenes += [_truth(scene) for scene in batch]
        if report is not None:
            report(len(scenes), count)
    rows = [vocabulary.indices(labels) for labels, *_ in scenes]
    queries = Queries.from_lists(rows)
    _, *columns = zip(*scenes, strict=True)
    truth = [torch.from_numpy(np.concatenate(masks)) for masks in columns]
    hot = torch.zeros(count, len(vocabulary), dtype=torch.bool)
    hot[queries.clip, queries.label] = True
    return EncodedScenes(join_tokens(parts), vocabulary, queries, hot, *truth)


def with_names(scenes: EncodedScenes, encoder: Encoder, names: Sequence[str]) -> EncodedScenes:
    """The same scenes with another vocabulary; nothing is encoded again.

    Args:
        scenes: The scenes.
        encoder: Their encoder.
        names: Class names, all classes of the scenes among them.

    Returns:
        The scenes, asked by the new names.

    Raises:
        VocabularyError: A class of the scenes is missing.
    """
    vocabulary = encoder.vocabulary(names)
    rows = torch.tensor(vocabulary.indices(scenes.vocabulary.names))
    queries = Queries(scenes.queries.clip, rows[scenes.queries.label])
    labels = torch.zeros(len(scenes.labels), len(names), dtype=torch.bool)
    labels[:, rows] = scenes.labels
    return replace(scenes, vocabulary=vocabulary, queries=queries, labels=labels)


def encode_batch(encoder: Encoder, scenes: list[WorldScene]) -> Tokens:
    """Encode scenes of one number of sources, panel by panel."""
    frames = torch.stack(
        [
            torch.stack([encoder.prepare(panel.picture) for panel in scene.panels])
            for scene in scenes
        ]
    )
    rate = encoder.sample_rate
    waveforms = np.stack([resampled(scene.waveform, SAMPLE_RATE, rate) for scene in scenes])
    return encoder.encode(frames, torch.from_numpy(waveforms))


def join_tokens(parts: list[Tokens]) -> Tokens:
    """Batches of one grid as one batch."""

    def joined(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts])

    return Tokens(
        visual=joined("visual"),
        audio=joined("audio"),
        image=joined("image"),
        sound=joined("sound"),
        grid=parts[0].grid,
        panels=parts[0].panels,
    )


def _truth(scene: WorldScene) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """Labels, masks, filled boxes and twins' masks of a scene."""
    height, width = scene.panels[0].mask.shape
    shape = (len(scene.panels), height, width * len(scene.panels))
    masks, boxes, twins = (np.zeros(shape, dtype=np.bool_) for _ in range(3))
    for number, panel in enumerate(scene.panels):
        columns = slice(number * width, (number + 1) * width)
        masks[number][:, columns] = panel.mask
        left, top, right, bottom = panel.boxes[panel.source]
        boxes[number, top:bottom, columns.start + left : columns.start + right] = True
        if panel.twin is not None:
            twins[number][:, columns] = panel.masks[panel.twin]
    return scene.labels, masks, boxes, twins


_ITEM_SCENES_BATCH = 32


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
    batches = (
        items[start : start + _ITEM_SCENES_BATCH]
        for start in range(0, len(items), _ITEM_SCENES_BATCH)
    )
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
