"""A small encoder and clips that cost nothing, and what other processes do with them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor

from tvsl.data.base import ClipBatch, ClipSet
from tvsl.data.token_store import StoreKey, TokenStore, make_store, read_shard, store_key
from tvsl.encoder import FrameTokens, SoundTokens
from tvsl.tokens import Tokens

GRID = (2, 3)


class PlainEncoder:
    """Cells are mean colours, sound tokens mean stretches, both in 4 dimensions."""

    fingerprint = "f" * 64
    device = torch.device("cpu")
    precision = "float32"
    image_tokens = "values"
    flip_average = "none"
    sample_rate = 100

    def prepare(self, picture: NDArray[np.uint8], square: bool = False) -> Tensor:
        assert square
        return torch.from_numpy(picture).permute(2, 0, 1).float() / 255

    def encode(self, frames: Tensor, waveforms: Tensor) -> Tokens:
        raise NotImplementedError

    def encode_frames(self, frames: Tensor) -> FrameTokens:
        cells = torch.nn.functional.adaptive_avg_pool2d(frames, GRID).flatten(2).transpose(1, 2)
        tokens = torch.cat([cells, cells[..., :1] ** 2], dim=-1)
        return FrameTokens(tokens, tokens.mean(dim=1), GRID)

    def encode_sounds(self, waveforms: Tensor) -> SoundTokens:
        parts = waveforms.unflatten(1, (5, -1))
        tokens = torch.stack([parts.mean(2), parts.std(2), parts.amax(2), parts.amin(2)], dim=-1)
        return SoundTokens(tokens, tokens.mean(dim=1))


class NoiseClips(ClipSet):
    """Clips of noise, of eight classes."""

    name: ClassVar[str] = "noise"
    seconds: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple("abcdefgh")

    def description(self) -> dict[str, JsonValue]:
        return {"data": self.name, "count": self.count, "seed": self.seed}

    def read(self, numbers: Sequence[int], sample_rate: int) -> ClipBatch:
        time.sleep(self.seconds)
        drawn = [np.random.default_rng((self.seed, number)) for number in numbers]
        return ClipBatch(
            [rng.integers(0, 256, (4, 6, 3), dtype=np.uint8) for rng in drawn],
            np.stack([rng.normal(0, 0.1, sample_rate).astype(np.float32) for rng in drawn]),
            np.array([number % 8 for number in numbers], dtype=np.int64),
        )


def make(folder: Path, seconds: float = 0.0, count: int = 40, **mixing: Any) -> TokenStore:
    """Make a store of noise in shards of ten clips."""
    encoder, clips = PlainEncoder(), NoiseClips(count=count, seconds=seconds)
    settings = {"stored_as": "float32", "most_sources": 3, "shard_clips": 10, **mixing}
    key = StoreKey.model_validate({**store_key(encoder, clips).model_dump(), **settings})
    return make_store(folder, key, encoder, clips)


def members(store: TokenStore, sources: int) -> torch.Tensor:
    """Numbers of the clips of all mixtures of one number of sources, (M, K)."""
    shards = [read_shard(path, store.key.digest()) for path in sorted(store.folder.glob("shard-*"))]
    return torch.cat([shard.clips[shard.mixtures[sources].members] for shard in shards])


def summary(store: TokenStore) -> list[float]:
    """Figures of all that a store holds."""
    figures = []
    for sources, count in store.mixtures().items():
        batch = store.batch(sources, range(count))
        values = (batch.tokens.visual, batch.tokens.audio, batch.tokens.image, batch.tokens.sound)
        figures += [float((value.double() ** 2).sum()) for value in values]
        figures += [float(batch.labels.sum()), float(members(store, sources)[-1, 0])]
    return figures


if __name__ == "__main__":
    import sys

    print(summary(make(Path(sys.argv[1]), float(sys.argv[2]))))
