"""Small heads, tokens and vocabularies, and the two changes of them that many tests make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.encoder import PromptableTextEncoder
from tvsl.methods.tvsl import TVSL, ReleasedConfig, ReleasedTVSL, TVSLConfig, preset
from tvsl.tokens import Queries, Tokens, Vocabulary

SIZE = 16
GRID = (3, 4)
CLASSES = 7


def tokens(clips: int = 4, size: int = SIZE, seed: int = 0, audio: int = 5) -> Tokens:
    generator = torch.Generator().manual_seed(seed)
    seen = torch.randn(clips, GRID[0] * GRID[1], size, generator=generator, dtype=torch.float64)
    heard = torch.randn(clips, audio, size, generator=generator, dtype=torch.float64)
    return Tokens(seen, heard, seen.mean(dim=1), heard.mean(dim=1), GRID)


def with_tokens(base: Tokens, visual: Tensor | None = None, audio: Tensor | None = None) -> Tokens:
    visual = base.visual if visual is None else visual
    audio = base.audio if audio is None else audio
    return replace(
        base, visual=visual, audio=audio, image=visual.mean(dim=1), sound=audio.mean(dim=1)
    )


def clip(base: Tokens, rows: Sequence[int]) -> Tokens:
    """The tokens of some clips."""
    return with_tokens(base, base.visual[list(rows)], base.audio[list(rows)])


def vocabulary(classes: int = CLASSES, size: int = SIZE, seed: int = 1) -> Vocabulary:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(classes, size, generator=generator, dtype=torch.float64)
    names = tuple(f"class {number}" for number in range(classes))
    return Vocabulary(names, F.normalize(rows, dim=-1))


def ragged_labels(counts: Sequence[int], classes: int = CLASSES, seed: int = 2) -> Tensor:
    """True labels: `counts[b]` classes drawn for clip b, (B, N) bool."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(len(counts), classes, dtype=torch.bool)
    for row, count in enumerate(counts):
        labels[row, torch.randperm(classes, generator=generator)[:count]] = True
    return labels


def randomise(head: nn.Module, seed: int = 3, spread: float = 0.15) -> None:
    """Move every parameter, so that no projector is the identity and no scale at its start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in head.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_((spread * noise).to(parameter.dtype))


def config(name: str = "tvsl", **hyperparameters: object) -> TVSLConfig:
    base = preset(name)
    assert isinstance(base, TVSLConfig)
    return TVSLConfig(**{**base.model_dump(), "embedding": SIZE, **hyperparameters})


def head(
    name: str = "tvsl",
    text_encoder: PromptableTextEncoder | None = None,
    random: bool = True,
    **hyperparameters: object,
) -> TVSL:
    """A head in float64, its parameters moved away from where they start."""
    torch.manual_seed(0)
    built = TVSL(config(name, **hyperparameters), text_encoder).double()
    if random:
        randomise(built)
    return built


def released(random: bool = True, size: int = SIZE) -> ReleasedTVSL:
    torch.manual_seed(0)
    built = ReleasedTVSL(ReleasedConfig(embedding=size, hidden=2 * size)).double()
    if random:
        randomise(built, spread=0.05)
        with torch.no_grad():  # within its clamp, where it is trained
            built.logit_scale_ml.fill_(2.0)
    return built


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def queries(*pairs: tuple[int, int]) -> Queries:
    """Queries from (clip, label) pairs, in the order given."""
    clips, labels = zip(*pairs, strict=True)
    return Queries(torch.tensor(clips), torch.tensor(labels))


def unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True)
