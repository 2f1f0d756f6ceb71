"""A data set of made-up items, and an encoder that costs nothing, to evaluate methods on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tvsl.data.base import ClipSet, DataSet, Item, Sample, Source, draw_targets
from tvsl.data.targets import Boxes, Nowhere, Target
from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.errors import UnreadableMediaError, UsageError
from tvsl.evaluation.evaluator import EvaluatedModel, EvaluatedModels
from tvsl.methods import METHODS
from tvsl.tokens import Tokens, Vocabulary

NAMES = ("bell", "cat", "dog", "drum", "horn")
SIZE = 8
CELL = 4


class MadeData(DataSet):
    """Items of noise; some without truth or class, some broken, some of another shape."""

    name: ClassVar[str] = "made"
    title: ClassVar[str] = "Made-up items"
    square: ClassVar[bool] = False
    count: int = 10
    sources: int = 2
    labelled: bool = True
    silent: tuple[int, ...] = ()
    nameless: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()
    wide: tuple[int, ...] = ()
    classes: tuple[str, ...] = NAMES

    @property
    def several(self) -> bool:
        return self.sources > 1

    @property
    def names(self) -> tuple[str, ...]:
        return self.classes if self.labelled else ()

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._item(number) for number in range(self.count))

    def _item(self, number: int) -> Item:
        rng = np.random.default_rng((self.seed, number))
        classes = rng.permutation(len(self.classes))[: self.sources]
        named = self.labelled and number not in self.nameless
        sources = tuple(
            Source(self.classes[label] if named else None, self._target(rng, number), panel)
            for panel, label in enumerate(classes)
        )
        return Item(f"item-{number:03d}", (), (), sources, self.sources)

    def _target(self, rng: np.random.Generator, number: int) -> Target:
        left, top = rng.uniform(0, 0.5, size=2)
        return Nowhere() if number in self.silent else Boxes(((left, top, left + 0.4, top + 0.4),))

    def read(self, item: Item, sample_rate: int) -> Sample:
        number = int(item.id.split("-")[1])
        if number in self.broken:
            raise UnreadableMediaError("The picture is broken.", "Mend it.", f"{item.id}.jpg")
        rng = np.random.default_rng((self.seed, number, 1))
        shape = (4 * CELL, (6 if number in self.wide else 4) * CELL, 3)
        pictures = tuple(rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(item.panels))
        waveform = rng.standard_normal(3 * sample_rate).astype(np.float32)
        return Sample(pictures, waveform, draw_targets(item.sources, item.panels, 20, 20))

    def clips(self, count: int | None, seed: int) -> ClipSet:
        raise UsageError("There is nothing to train on.", "Train on another data set.")


class MadeEncoder:
    """Random projections of pixels, samples and names."""

    fingerprint = "0" * 64
    device = torch.device("cpu")
    precision = "float32"
    image_tokens = "values"
    flip_average = "none"
    classes: tuple[str, ...] = NAMES
    text_encoder = None
    sample_rate = 64

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self._seen = torch.randn(3 * CELL * CELL, SIZE, generator=generator)
        self._heard = torch.randn(16, SIZE, generator=generator)
        self.prepared = 0

    def prepare(self, picture: NDArray[np.uint8], square: bool = False) -> Tensor:
        self.prepared += 1
        return torch.from_numpy(picture).permute(2, 0, 1) / 255 - 0.5

    def encode_frames(self, frames: Tensor) -> FrameTokens:
        height, width = frames.shape[2] // CELL, frames.shape[3] // CELL
        tokens = F.unfold(frames, CELL, stride=CELL).transpose(1, 2) @ self._seen
        return FrameTokens(tokens, tokens.mean(dim=1), (height, width))

    def encode_sounds(self, waveforms: Tensor) -> SoundTokens:
        tokens = waveforms.unflatten(1, (-1, 16)) @ self._heard
        return SoundTokens(tokens, tokens.mean(dim=1))

    def encode(self, frames: Tensor, waveforms: Tensor) -> Tokens:
        seen = self.encode_frames(frames.flatten(0, 1))
        return join_panels(seen, self.encode_sounds(waveforms), frames.shape[1])

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        rows = [np.random.default_rng(list(name.encode())).standard_normal(SIZE) for name in names]
        embeddings = F.normalize(torch.tensor(np.stack(rows), dtype=torch.float32), dim=-1)
        return Vocabulary(tuple(names), embeddings)


def made_models(*names: str, **hyperparameters: Any) -> EvaluatedModels:
    """Methods without training on the made-up encoder."""
    torch.manual_seed(0)
    heads = []
    for name in names or ("text-only", "audioclip"):
        method = METHODS[name]
        head = method.from_config(method.config_type(embedding=SIZE, **hyperparameters)).eval()
        heads.append(EvaluatedModel(f"{name} (untrained)", head))
    return EvaluatedModels("made", MadeEncoder(), tuple(heads))  # type: ignore[arg-type]
