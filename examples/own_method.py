"""A method of one's own: train it, evaluate it beside the package's.

`python own_method.py run/`. The method's map is the cosine of every cell with the sound, drawn
towards the class name: halfway between hearing and reading. One learned number decides how far.
"""

import sys
from typing import ClassVar

import torch
from torch import Tensor, nn

import tvsl
from tvsl.contrastive import symmetric_info_nce
from tvsl.methods import Method, MethodConfig
from tvsl.methods.operations import unit
from tvsl.tokens import Queries, Tokens, Vocabulary


@tvsl.register
class Halfway(Method):
    """Cells against a mean of sound and name."""

    name: ClassVar[str] = "halfway"
    config_type: ClassVar[type[MethodConfig]] = MethodConfig
    supervision: ClassVar[str] = "video labels"
    class_aware: ClassVar[bool] = True

    def __init__(self, config: MethodConfig = MethodConfig()) -> None:
        super().__init__(config)
        self.share = nn.Parameter(torch.zeros(()))  # sigmoid(0): half and half

    def query(self, sounds: Tensor, names: Tensor) -> Tensor:
        """Unit queries (P, D) of sounds (P, D) and names (P, D)."""
        share = self.share.sigmoid()
        return unit((1 - share) * unit(sounds) + share * unit(names))

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        sounding = labels.float()  # (B, N): a clip's name is the mean of its classes' names
        names = sounding @ vocabulary.embeddings / sounding.sum(dim=1, keepdim=True)
        query = self.query(tokens.sound, names)
        scores = torch.einsum("bd,cnd->bcn", query, unit(tokens.visual)).amax(dim=-1)
        return {"contrastive": symmetric_info_nce(scores / 0.07, "mean")}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        query = self.query(tokens.sound[queries.clip], vocabulary.embeddings[queries.label])
        cells = unit(tokens.visual)[queries.clip]  # (P, n, D)
        return torch.einsum("pd,pnd->pn", query, cells).unflatten(1, tokens.grid)


def main(output: str, steps: str = "100", scenes: str = "100", clips: str = "512") -> None:
    sizes = {"clips": int(clips), "batch": 32, "validation_scenes": int(scenes)}
    head = tvsl.train(output, method=Halfway, steps=int(steps), **sizes)
    localizer = tvsl.load("mini", head=head)
    print("share of the name:", round(localizer.method.share.sigmoid().item(), 2))
    data = {"sources": 2, "count": int(scenes)}
    print(tvsl.evaluate("mini", heads=[head], methods=["text-only"], data_options=data).table)


if __name__ == "__main__":
    main(*sys.argv[1:])
