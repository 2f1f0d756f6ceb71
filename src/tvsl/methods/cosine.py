"""What contrastive methods share: cosines of every cell with a pooled sound, and one map of them.

EZ-VSL, MarginNCE, FNAC, LVS, Alignment, Wav2CLIP and AudioCLIP compare the cells of a picture with
the sounds of the batch. They differ in what stands before the cosine and in the loss. The sound of
a mixture is one vector, and nothing takes it apart: one map for all sources of a clip.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.methods.base import Method, MethodConfig, Supervision, check_inputs
from tvsl.methods.operations import unit
from tvsl.tokens import Queries, Tokens, Vocabulary


class CosineMethod(Method):
    """A self-supervised head whose map is the cosine of each cell with the clip's own sound.

    Args:
        config: Its sizes.
        project_image: Where visual tokens (B, n_v, D) go, and what is pooled of them.
        project_audio: Where pooled sounds (B, D) go.
    """

    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = False

    def __init__(
        self, config: MethodConfig, project_image: nn.Module, project_audio: nn.Module
    ) -> None:
        super().__init__(config)
        self.project_image = project_image
        self.project_audio = project_audio

    def embed(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Unit cells (B, n_v, d) and unit sounds (B, d), whose cosines are the maps."""
        return unit(self.project_image(tokens.visual)), unit(self.project_audio(tokens.sound))

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Cosines with the clip's own sound, the same map for every query of a clip."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        return one_map(*self.embed(tokens), tokens.grid, queries)


def one_map(cells: Tensor, sounds: Tensor, grid: tuple[int, int], queries: Queries) -> Tensor:
    """The map of each clip, once for each of its queries.

    Args:
        cells: Unit cells, (B, n_v, d).
        sounds: Unit sounds, (B, d).
        grid: h and w, n_v = h * w.
        queries: P pairs.

    Returns:
        Cosines of the cells with the clip's own sound, (P, h, w).
    """
    flat = torch.einsum("bpd,bd->bp", cells, sounds)
    return flat.view(-1, *grid)[queries.clip]


def all_cosines(cells: Tensor, sounds: Tensor) -> Tensor:
    """Every cell with every sound of the batch.

    Args:
        cells: Unit cells, (B, n_v, d).
        sounds: Unit sounds, (B, d).

    Returns:
        S_ij(p), picture by picture and sound by sound, (B, B, n_v).
    """
    return torch.einsum("ipd,jd->ijp", cells, sounds)


def cross_entropies(logits: Tensor) -> Tensor:
    """InfoNCE in both directions, CE(X) + CE(X^T), where row i and column i belong together.

    Args:
        logits: X, (B, B).

    Returns:
        The sum of both means over the batch, scalar.
    """
    target = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)
