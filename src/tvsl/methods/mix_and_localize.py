"""Mix-and-Localize (Hu, Chen & Owens, CVPR 2022): a walk from sound to picture and back.

The sound of a mixture is embedded K times, once for each source that may be in it. These nodes
and N pictures make up a graph. A random walk sets out from a node of the mixture at one time,
steps to a picture, and from there to a node of the mixture at another time: it must be the same.

    s[n, k] = max_p cos(v_np, a_k),    A_IS = softmax_k(s1 / tau),    A_SI = softmax_n(s2 / tau)
    L = -mean_k log [A_SI A_IS]_kk,    tau = 0.07, K = N = 2

Projections D -> 128 -> 128 with a ReLU between, one for the cells and one for each node. The
original: Adam at 1e-4, weight decay 5e-4, batches of 128.

Adapted to frozen shared tokens: the pictures are the panels of a mixture. Tokens have no second
time: the two times are the means of two random halves of the mixture's audio cells. Single-source
clips are mixed as the original mixes waveforms: neighbours in the batch, as many as there are
nodes, and the mean of their sounds. With fewer panels than nodes only the first nodes are used;
with more, the nodes choose. The scalar that scales the original's maps, and is in no loss, is
left out.

Self-supervised: no labels are used, and nodes have no names. ``unlabelled_maps`` gives the K maps
cos(v_p, a_k); evaluation may assign them to the sources by the best permutation against the
truth, as the original's does (PIAP). ``maps`` does without the truth. To a class alone it gives
the node with the larger maximum. To several of a clip it assigns nodes by the permutation that
fits their names best: what a node's map points at, sum_p softmax_p(cos / tau) v_p in the
encoder's space, against the name's embedding. Names left without a node share the best one.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.encoder import MOST_CHANNELS
from tvsl.global_batch import batch_size, draw_uniform, gather_rows
from tvsl.methods.adapted import Adapted, AdaptedConfig
from tvsl.methods.base import Supervision, check_inputs
from tvsl.methods.operations import by_panel, two_layers, unit
from tvsl.tokens import Queries, Tokens, Vocabulary


class MixAndLocalizeConfig(AdaptedConfig):
    """Sizes of Mix-and-Localize.

    Attributes:
        dimension: Size of the space that both are projected to.
        nodes: K, the number of sources of a mixture that are told apart.
        temperature: tau.
    """

    weight_decay: float = Field(5e-4, ge=0, le=1)
    dimension: int = Field(128, gt=0, le=MOST_CHANNELS)
    nodes: int = Field(2, ge=1, le=64)
    temperature: float = Field(0.07, gt=0, le=1000)


class MixAndLocalize(Adapted):
    """The Mix-and-Localize head.

    Args:
        config: Its sizes.
    """

    name: ClassVar[str] = "mix-and-localize"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[MixAndLocalizeConfig]] = MixAndLocalizeConfig
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = True
    permutation_invariant: ClassVar[bool] = True
    config: MixAndLocalizeConfig

    def __init__(self, config: MixAndLocalizeConfig = MixAndLocalizeConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config)
        size, inner = config.embedding, config.dimension
        self.project_image = two_layers(size, inner)
        self.project_nodes = nn.ModuleList(two_layers(size, inner) for _ in range(config.nodes))

    @property
    def rows_together(self) -> int:
        """Single sources are mixed with their neighbours; see the base class."""
        return self.config.nodes

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """Loss of the walk; labels are not used; see the base class."""
        scaled = self.prepare(tokens, vocabulary)
        first, second = random_halves(scaled.audio)
        if scaled.panels > 1:
            pictures = by_panel(scaled.visual, scaled)
            return {"cycle": self.walk_loss(pictures, first, second)}
        size = min(self.config.nodes, batch_size(scaled.batch))
        pictures, first, second = (
            _neighbours(side, size) for side in (scaled.visual, first, second)
        )
        return {"cycle": self.walk_loss(pictures, first.mean(dim=1), second.mean(dim=1))}

    def walk_loss(self, pictures: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """L for given mixtures, the mean over them and their nodes.

        Args:
            pictures: N pictures of each of G mixtures, (G, N, n, D).
            first: The mixtures at one time, (G, D).
            second: The mixtures at another time, (G, D).
        """
        cells = F.normalize(self.project_image(pictures), dim=-1)
        used = pictures.shape[1]
        end, start = (self._nodes(sound)[:, :used] for sound in (first, second))
        to_picture = self._logits(cells, start).transpose(1, 2).log_softmax(dim=2)
        to_node = self._logits(cells, end).log_softmax(dim=2)
        # log of [A_SI A_IS]_kk; sums of products of small probabilities could vanish.
        returned = (to_picture + to_node.transpose(1, 2)).logsumexp(dim=2)
        return -gather_rows(returned).mean()

    def unlabelled_maps(self, tokens: Tokens) -> Tensor:
        """One map for each node, (B, K, h, w), cosines; see the base class."""
        scaled = self.prepare(tokens)
        cells = F.normalize(self.project_image(scaled.visual), dim=-1)
        nodes = self._nodes(scaled.audio.mean(dim=1))
        return torch.einsum("bnd,bkd->bkn", cells, nodes).reshape(*nodes.shape[:2], *tokens.grid)

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Cosines with the node that is assigned to each query; see the base class.

        The assignment of a query depends on the other queries of its clip.
        """
        check_inputs(self.config.embedding, tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        candidates = self.unlabelled_maps(tokens)
        return candidates[queries.clip, self._assigned(candidates, tokens, queries, vocabulary)]

    def _nodes(self, sound: Tensor) -> Tensor:
        """Sounds (B, D) to unit nodes (B, K, d)."""
        nodes = torch.stack([project(sound) for project in self.project_nodes], dim=1)
        return F.normalize(nodes, dim=-1)

    def _logits(self, cells: Tensor, nodes: Tensor) -> Tensor:
        """Unit cells (G, N, n, d) and nodes (G, K, d) to s / tau, (G, N, K)."""
        cosines = torch.einsum("gnpd,gkd->gnkp", cells, nodes)
        return cosines.amax(dim=3) / self.config.temperature

    def _assigned(
        self, candidates: Tensor, tokens: Tokens, queries: Queries, vocabulary: Vocabulary
    ) -> Tensor:
        """Node of each query, (P,)."""
        flat = candidates.flatten(2)
        pointed = (flat / self.config.temperature).softmax(dim=2) @ unit(tokens.visual)
        fit = (unit(pointed) @ vocabulary.embeddings.T).detach().cpu()
        strongest = flat.amax(dim=2).argmax(dim=1).tolist()
        pairs = list(zip(queries.clip.tolist(), queries.label.tolist(), strict=True))
        queried: dict[int, set[int]] = {}
        for clip, label in pairs:
            queried.setdefault(clip, set()).add(label)
        nodes = {
            clip: _assign(fit[clip], sorted(labels), strongest[clip])
            for clip, labels in queried.items()
        }
        chosen = [nodes[clip][label] for clip, label in pairs]
        return torch.tensor(chosen, dtype=torch.int64, device=candidates.device)


def random_halves(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Means (B, D) of two random halves of audio cells (B, n, D); the same for a single cell."""
    cells = audio.shape[1]
    half = max(1, cells // 2)
    order = draw_uniform(audio.shape[:2], audio.device).argsort(dim=1)
    parts = (order[:, :half], order[:, cells - half :])
    first, second = (audio.take_along_dim(part[..., None], dim=1).mean(dim=1) for part in parts)
    return first, second


def _neighbours(rows: Tensor, size: int) -> Tensor:
    """Rows (B, ...) in groups of a size, (G, size, ...), without those that are left over."""
    whole = len(rows) // size
    return rows[: whole * size].reshape(whole, size, *rows.shape[1:])


def _assign(fit: Tensor, labels: list[int], strongest: int) -> dict[int, int]:
    """Assign nodes to the queried classes of a clip.

    Args:
        fit: Cosine of each node with each class, (K, N).
        labels: Different classes.
        strongest: The node with the largest maximum, for a class alone.
    """
    if len(labels) == 1:
        return {labels[0]: strongest}
    table = fit[:, labels]
    result = dict(zip(labels, table.argmax(dim=0).tolist(), strict=True))
    nodes, places = linear_sum_assignment(table.numpy(), maximize=True)
    return result | {labels[place]: int(node) for node, place in zip(nodes, places, strict=True)}
