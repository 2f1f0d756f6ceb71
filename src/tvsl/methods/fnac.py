"""FNAC: learning sources from false negatives (Sun et al., CVPR 2023).

EZ-VSL, regularised by how alike the clips of a batch are within each modality. With unit sounds a,
unit cells v, their mean v' over the cells of a picture, s_ij = max_p cos(v_ip, a_j), and row-wise
softmax sigma,

    A = a a^T / tau,  I = v' v'^T / tau,  F = f f^T / tau,  X = s / tau,
    f_i = mean_p v_ip [minmax(S_ii)(p) > 0.6], the mean over all cells of what is foreground,
    FNS-1 = |sigma(A) - sigma(X)|,  FNS-2 = |sigma(I) - sigma(X)|,  TNS = |sigma(A) - sigma(F)|,
    L = CE(X) + CE(X^T) + 100 (FNS-1 + FNS-2 + TNS),

| | being the mean over all elements. FNS suppresses false negatives: clips that sound or look alike
may agree across modalities. TNS makes foregrounds differ where sounds differ. v' and f are not
normalised again, and no gradient is stopped. tau = 0.03. The contrastive term trains alone for the
first 3 of 30 epochs; picture features pass a dropout of 0.9 before their projection.

Adapted to frozen shared tokens: the paper trains ResNet-18 backbones end to end; here its two
projections stand on the tokens and on the pooled sound, and the 3 epochs are a tenth of the steps.
Its saliency map of an ImageNet network is left out, as for EZ-VSL.

Self-supervised: no labels are used. The map, one for all sources of a clip, is the cosine of each
cell with the sound.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from tvsl.contrastive import symmetric_info_nce
from tvsl.global_batch import BatchDropout, gather_rows
from tvsl.methods.base import check_inputs
from tvsl.methods.cosine import CosineMethod, all_cosines, own_cosines
from tvsl.methods.ez_vsl import EZVSLConfig
from tvsl.tokens import Tokens, Vocabulary

_SMALL = 1e-5
"""In the denominator of the published min-max: the best cell of a picture is just below 1."""


class FNACConfig(EZVSLConfig):
    """Sizes and hyperparameters of FNAC.

    Attributes:
        dropout: Share of each visual token's features that training leaves out.
        foreground_threshold: Cells over it, in the map normalized to [0, 1], are foreground.
        suppression: Weight of each of the three terms on false and true negatives.
        warm_up: Share of the training that has the contrastive term alone.
    """

    dropout: float = Field(0.9, ge=0, lt=1)
    foreground_threshold: float = Field(0.6, ge=0, le=1)
    suppression: float = Field(100.0, ge=0, le=1e6)
    warm_up: float = Field(0.1, ge=0, le=1)


class FNAC(CosineMethod):
    """The FNAC head.

    Args:
        config: Its sizes and hyperparameters.
    """

    name: ClassVar[str] = "fnac"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[FNACConfig]] = FNACConfig
    config: FNACConfig

    def __init__(self, config: FNACConfig = FNACConfig()) -> None:  # noqa: B008  (frozen)
        size, dimension = config.embedding, config.dimension
        project_image = nn.Sequential(BatchDropout(config.dropout), nn.Linear(size, dimension))
        super().__init__(config, project_image, nn.Linear(size, dimension))

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """Contrastive loss, FNS-1, FNS-2 and TNS; labels are not used; see the base class."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        cells, sounds = self.embed(tokens)
        cosines = all_cosines(cells, sounds)
        across = gather_rows(cosines.amax(dim=-1)) / self.config.temperature
        own = own_cosines(cosines) / self.config.temperature
        low, high = own.amin(dim=1, keepdim=True), own.amax(dim=1, keepdim=True)
        foreground = (own - low) / (high - low + _SMALL) > self.config.foreground_threshold
        heard = self._likeness(gather_rows(sounds))
        seen = self._likeness(gather_rows(cells.mean(dim=1)))
        found = self._likeness(gather_rows((cells * foreground[..., None]).mean(dim=1)))
        agreed = across.softmax(dim=1)
        warming_up = self.progress < self.config.warm_up
        weight = 0.0 if warming_up else self.config.suppression
        return {
            "contrastive": symmetric_info_nce(across, "sum"),
            "fns1": weight * (heard - agreed).abs().mean(),
            "fns2": weight * (seen - agreed).abs().mean(),
            "tns": weight * (heard - found).abs().mean(),
        }

    def _likeness(self, rows: Tensor) -> Tensor:
        """Row-wise softmax of the similarities within a modality, (B, d) to (B, B)."""
        return (rows @ rows.T / self.config.temperature).softmax(dim=1)
