"""A tiny world of tokens in which a head has to learn what a sound looks like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from tests.methods.tvsl.inputs import vocabulary
from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.methods.base import Method
from tvsl.tokens import Queries, Tokens, Vocabulary

SIZE = 32
GRID = (4, 5)
_TRAITS = 8
_SIDE = 2


@dataclass(frozen=True, eq=False)
class TokenWorld:
    """Clips of some panels; in each panel one thing sounds and another one is silent.

    Traits of a thing turn into what is seen and, by another map, into what is heard: picture and
    sound lie in unlike directions, so no untrained cosine finds anything.

    Attributes:
        tokens: B clips.
        labels: All classes of the vocabulary that the clips may be said to be of, (B, N) bool.
        vocabulary: Class names that mean nothing.
        sounding: Cells of the things that sound, (B, n_v) bool.
    """

    tokens: Tokens
    labels: Tensor
    vocabulary: Vocabulary
    sounding: Tensor

    def hits(self, method: Method) -> float:
        """Share of clips whose highest cell is on a thing that sounds."""
        before = method.training
        every = Queries(torch.arange(self.tokens.batch), torch.zeros(self.tokens.batch).long())
        with torch.no_grad():
            maps = method.eval().maps(self.tokens, every, self.vocabulary)
        method.train(before)
        best = maps.flatten(1).argmax(dim=1, keepdim=True)
        return float(self.sounding.gather(1, best).double().mean())


@cache
def token_world(clips: int, panels: int = 1, seed: int = 0) -> TokenWorld:
    """Make clips of a seed; what traits look and sound like is the same for all seeds."""
    world = torch.Generator().manual_seed(99)
    looks = torch.randn(_TRAITS, SIZE, generator=world)
    sounds = torch.randn(_TRAITS, SIZE, generator=world)
    ground = 2 * torch.randn(SIZE, generator=world)
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    count, (height, width) = clips * panels, GRID
    sounding, silent = random(count, _TRAITS), random(count, _TRAITS)
    cells = ground + 0.5 * random(count, height, width, SIZE)
    mask = torch.zeros(count, height, width, dtype=torch.bool)
    for row in range(count):
        top = int(torch.randint(height - _SIDE + 1, (), generator=generator))
        down = slice(top, top + _SIDE)
        places = [slice(0, _SIDE), slice(width - _SIDE, width)]
        own, other = torch.randperm(2, generator=generator).tolist()
        cells[row, down, places[own]] += sounding[row] @ looks
        cells[row, down, places[other]] += silent[row] @ looks
        mask[row, down, places[own]] = True
    heard = (sounding @ sounds).unflatten(0, (clips, panels)).sum(dim=1)
    audio = heard[:, None] + 0.3 * random(clips, 6, SIZE)
    flat = cells.flatten(1, 2)
    frames = FrameTokens(flat, flat.mean(dim=1), GRID)
    tokens = join_panels(frames, SoundTokens(audio, audio.mean(dim=1)), panels)
    joined = mask.unflatten(0, (clips, panels)).transpose(1, 2).flatten(1)
    names = vocabulary(size=SIZE)
    names = Vocabulary(names.names, names.embeddings.float())
    labels = torch.zeros(clips, len(names), dtype=torch.bool)
    labels[torch.arange(clips), torch.arange(clips) % len(names)] = True
    return TokenWorld(tokens, labels, names, joined)
