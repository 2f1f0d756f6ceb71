"""A tiny world of tokens whose things have classes, seen, heard and named in unlike directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.methods.base import Method, with_overrides
from tvsl.tokens import Queries, Tokens, Vocabulary

SIZE = 24
GRID = (4, 5)
CLASSES = 12
BATCH = 32
_SIDE = 2
_PIECES = 6
_SIDES = ("visual", "audio", "image", "sound")


@dataclass(frozen=True, eq=False)
class ClassWorld:
    """Clips of some panels; in each panel a thing sounds and one of another class is silent.

    Attributes:
        tokens: B clips of K panels.
        labels: Which classes sound, (B, N) bool.
        vocabulary: The classes; a name lies in the direction of what is seen.
        queries: The true pairs, P = B * K, clip by clip, panel by panel.
        things: Cells of each pair's thing, (P, n_v) bool.
    """

    tokens: Tokens
    labels: Tensor
    vocabulary: Vocabulary
    queries: Queries
    things: Tensor

    def rows(self, chosen: Tensor) -> tuple[Tokens, Tensor]:
        """Tokens and labels of some of the clips."""
        given = {name: getattr(self.tokens, name)[chosen] for name in _SIDES}
        return replace(self.tokens, **given), self.labels[chosen]

    def hits(self, method: Method) -> float:
        """Share of the true pairs whose highest cell is on their thing."""
        before = method.training
        with torch.no_grad():
            maps = method.eval().maps(self.tokens, self.queries, self.vocabulary)
        method.train(before)
        best = maps.flatten(1).argmax(dim=1, keepdim=True)
        return float(self.things.gather(1, best).double().mean())


@cache
def class_world(
    clips: int, panels: int = 1, seed: int = 0, ground: float = 1.0, noise: float = 0.3
) -> ClassWorld:
    """Make clips of a seed; what classes look and sound like is the same for all seeds.

    The cells without things are of ``ground``, the same everywhere, and of ``noise``.
    """
    world = torch.Generator().manual_seed(99)
    directions = torch.linalg.qr(torch.randn(2, SIZE, SIZE, generator=world)).Q
    looks, sounds = 4 * directions[0, :CLASSES], 4 * directions[1]
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    height, width = GRID
    order = torch.stack([torch.randperm(CLASSES, generator=generator) for _ in range(clips)])
    cells = ground * directions[0, -1] + noise * random(clips, panels, height, width, SIZE)
    things = torch.zeros(clips, panels, height, panels, width, dtype=torch.bool)
    for clip, classes in enumerate(order.tolist()):
        for panel in range(panels):
            top = int(torch.randint(height - _SIDE + 1, (), generator=generator))
            down, left, right = slice(top, top + _SIDE), slice(0, _SIDE), slice(width - _SIDE, None)
            place, other = (
                (left, right) if torch.rand((), generator=generator) < 0.5 else (right, left)
            )
            cells[clip, panel, down, place] += looks[classes[panel]]
            cells[clip, panel, down, other] += looks[classes[-1]]
            things[clip, panel, down, panel, place] = True
    # Each piece of the sound is loudest for one of the things.
    shares = torch.eye(panels)[torch.arange(_PIECES) % panels] + 0.5
    audio = shares @ sounds[order[:, :panels]] + 0.3 * random(clips, _PIECES, SIZE)
    flat = cells.flatten(0, 1).flatten(1, 2)
    frames = FrameTokens(flat, flat.mean(dim=1), GRID)
    labels = torch.zeros(clips, CLASSES, dtype=torch.bool).scatter(1, order[:, :panels], True)
    names = tuple(f"class {number}" for number in range(CLASSES))
    return ClassWorld(
        join_panels(frames, SoundTokens(audio, audio.mean(dim=1)), panels),
        labels,
        Vocabulary(names, F.normalize(looks, dim=-1)),
        Queries.from_lists(order[:, :panels].tolist()),
        things.flatten(0, 1).flatten(1),
    )


def new_head(kind: type[Method], seed: int = 0, **hyperparameters: object) -> Method:
    """A head for the world, as training builds it."""
    torch.manual_seed(seed)
    config = with_overrides(kind.config_type(), **hyperparameters)
    return kind.from_config(kind.config_for(config, class_world(1).vocabulary))


def train(
    method: Method, worlds: Sequence[ClassWorld], steps: int, rate: float
) -> list[dict[str, float]]:
    """Train as the trainer does, the worlds in turns; the losses of every step."""
    optimizer = torch.optim.Adam(method.parameter_groups(rate), lr=rate)
    told = []
    for step in range(steps):
        torch.manual_seed(step)
        method.progress = step / steps
        world = worlds[step % len(worlds)]
        tokens, labels = world.rows(torch.randperm(world.tokens.batch)[:BATCH])
        losses = method.losses(tokens, labels, world.vocabulary)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        for name, parameter in method.named_parameters():
            if parameter.grad is not None:
                assert bool(torch.isfinite(parameter.grad).all()), name
        optimizer.step()
        told.append({name: float(loss.detach()) for name, loss in losses.items()})
    return told
