"""AudioCLIP's own similarity, untrained and fine-tuned (Guzhov et al., 2022).

No training. One map for all sources of a clip: the sound of a mixture is one vector, and nothing
takes it apart.

For unit embeddings x and y of two modalities and a learned scale exp(g), clamped to [1, 100],

    L(x, y) = CE(l) + CE(l^T),  l = clamp(e^g) x y^T,  g = ln 100 at the start,

and the loss is the sum over the n pairs of modalities, divided by n!: sound and picture alone, or
sound, picture and text, three pairs, divided by 6.

Adapted to frozen shared tokens: T-VSL's tables fine-tune the encoders (Sec. 4.1), which would be
tokens of its own; here a linear head on each of picture and sound, from the identity on, is what is
tuned. It is trained on the pooled picture and moves the cells with it: both lie in one space.
Untuned, it is the method ``audioclip``.

Self-supervised, unless ``text`` takes the clip's class names in (their mean). The map, one for all
sources of a clip, is the cosine of each cell with the sound.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from tvsl.contrastive import symmetric_info_nce
from tvsl.global_batch import gather_rows
from tvsl.methods.base import MethodConfig, Untrained, check_inputs, check_labels
from tvsl.methods.cosine import CosineMethod, one_map
from tvsl.methods.operations import MAX_SCALE, LogitScale, unit
from tvsl.tokens import Queries, Tokens, Vocabulary


class AudioCLIPSimilarity(Untrained):
    """cos(v_j, a) with the pooled audio embedding a."""

    name: ClassVar[str] = "audioclip"
    class_aware: ClassVar[bool] = False

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Cosines with the sound, the same map for every query of a clip; see the base class."""
        queries.check(tokens.batch, len(vocabulary))
        return one_map(unit(tokens.visual), unit(tokens.sound), tokens.grid, queries)


class FinetunedConfig(MethodConfig):
    """Sizes of the fine-tuned AudioCLIP.

    Attributes:
        scale: Factor of the cosines at the start. 100 is AudioCLIP's; encoders that
            were trained with a smaller one are better tuned with theirs.
        text: Whether the class names are a third modality; they are video labels.
    """

    scale: float = Field(MAX_SCALE, ge=1, le=MAX_SCALE)
    text: bool = False


class AudioCLIPFinetuned(CosineMethod):
    """AudioCLIP with tuned heads.

    Args:
        config: Its sizes.
    """

    name: ClassVar[str] = "audioclip-finetuned"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[FinetunedConfig]] = FinetunedConfig
    config: FinetunedConfig

    def __init__(self, config: FinetunedConfig = FinetunedConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config)
        modalities = ("audio", "image", "text") if config.text else ("audio", "image")
        self.scales = nn.ModuleDict(
            {"_".join(pair): LogitScale(config.scale) for pair in combinations(modalities, 2)}
        )

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """One loss for each pair of modalities; labels only with ``text``; see the base class."""
        check_inputs(self.config.embedding, tokens, vocabulary)
        modalities = {
            "audio": unit(self.project_audio(tokens.sound)),
            "image": unit(self.project_image(tokens.image)),
        }
        if self.config.text:
            labels = check_labels(labels, tokens, vocabulary)
            named = labels.to(vocabulary.embeddings.dtype) @ vocabulary.embeddings
            modalities["text"] = unit(named)
        modalities = {name: gather_rows(rows) for name, rows in modalities.items()}
        losses = {}
        for one, other in combinations(modalities, 2):
            name = f"{one}_{other}"
            logits = self.scales[name](modalities[one] @ modalities[other].T)
            losses[name] = symmetric_info_nce(logits, "sum") / math.factorial(len(self.scales))
        return losses
