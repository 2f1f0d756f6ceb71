"""Base class of contrastive methods: cosines of every cell with a pooled sound, and their map.

EZ-VSL, MarginNCE, FNAC, LVS, Alignment, Wav2CLIP and AudioCLIP compare the cells of a picture with
the sounds of the batch. They differ in what stands before the cosine and in the loss. The sound of
a mixture is one vector, and nothing takes it apart: one map for all sources of a clip.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tvsl.global_batch import gather_rows, own_rows
from tvsl.methods.base import Method, MethodConfig, Supervision, check_inputs
from tvsl.methods.operations import linear_projector, unit
from tvsl.tokens import Queries, Tokens, Vocabulary


class CosineMethod(Method):
    """A self-supervised head whose map is the cosine of each cell with the clip's own sound.

    Args:
        config: Its sizes.
        project_image: Projection of visual tokens (B, n_v, D) and of their pooled ones; a linear
            layer that starts as the identity when None.
        project_audio: Projection of pooled sounds (B, D); the same when None.
    """

    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = False

    def __init__(
        self,
        config: MethodConfig,
        project_image: nn.Module | None = None,
        project_audio: nn.Module | None = None,
    ) -> None:
        super().__init__(config)
        if project_image is None:
            project_image = linear_projector(config.embedding, identity_start=True)
        if project_audio is None:
            project_audio = linear_projector(config.embedding, identity_start=True)
        self.project_image, self.project_audio = project_image, project_audio

    def embed(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Unit cells (B, n_v, d) and unit sounds (B, d), whose cosines are the maps."""
        return unit(self.project_image(tokens.visual)), unit(self.project_audio(tokens.sound))

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Cosines with the clip's sound, one map for all its queries; see the base class."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        return one_map(*self.embed(tokens), tokens.grid, queries)


def one_map(cells: Tensor, sounds: Tensor, grid: tuple[int, int], queries: Queries) -> Tensor:
    """Map of each clip, once for each of its queries.

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
    """Cosines of every cell with every sound of the batch.

    Args:
        cells: Unit cells of the pictures of this process, (b, n_v, d).
        sounds: Its unit sounds, (b, d).

    Returns:
        S_ij(p), picture by picture and sound by sound, (b, B, n_v).
    """
    return torch.einsum("ipd,jd->ijp", cells, gather_rows(sounds))


def best_cosines(cells: Tensor, sounds: Tensor) -> Tensor:
    """max_p S_ij(p), (B, B): cosine of every picture's best cell with every sound of the batch.

    Args:
        cells: As for ``all_cosines``.
        sounds: As for ``all_cosines``.
    """
    return gather_rows(all_cosines(cells, sounds).amax(dim=-1))


def own_cosines(cosines: Tensor) -> Tensor:
    """S_ii(p), (b, n_v): cosines of every cell with the sound of its own picture."""
    columns = own_rows(torch.arange(cosines.shape[1], device=cosines.device))
    return cosines[torch.arange(len(cosines), device=cosines.device), columns]
