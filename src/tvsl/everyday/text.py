"""MiniLM: a sentence encoder, which gives class names a meaning (Wang et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.errors import TvslError
from tvsl.utils.atomic import write_whole
from tvsl.utils.files import home
from tvsl.utils.model_folder import fingerprint, read_tensors, write_tensors

LAYERS, HEADS, WIDTH, INNER = 6, 12, 384, 1536
POSITIONS = 64
"""Most word pieces of a name; the published table of positions has 512."""
EPSILON = 1e-12
KEPT_FILE: Final = "everyday_names.safetensors"
"""Name of the file in the folder of cached files, which holds the vectors computed last."""
_VECTORS, _DIGEST = "vectors", "sha256"
_BATCH = 64


class Layer(nn.Module):
    """One layer of BERT: attention over all word pieces, and a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.attended = (
            nn.Linear(WIDTH, WIDTH) for _ in range(4)
        )
        self.attention_norm = nn.LayerNorm(WIDTH, EPSILON)
        self.inner, self.outer = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, EPSILON)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Transform word pieces.

        Args:
            values: (B, L, 384).
            mask: True for pieces of the text, (B, L).
        """
        query, key, value = (
            part(values).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        values = self.attention_norm(values + self.attended(mixed.transpose(1, 2).flatten(2)))
        result: Tensor = self.norm(values + self.outer(F.gelu(self.inner(values))))
        return result


class SentenceEncoder(nn.Module):
    """Texts to unit vectors of 384 numbers.

    Args:
        pieces: Number of word pieces.
    """

    def __init__(self, pieces: int) -> None:
        super().__init__()
        # Left as they are: to draw them on `meta` imports torch's compiler, which takes seconds.
        self.words = nn.Embedding.from_pretrained(torch.empty(pieces, WIDTH))
        self.positions = nn.Embedding.from_pretrained(torch.empty(POSITIONS, WIDTH))
        self.norm = nn.LayerNorm(WIDTH, EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """Embed word pieces: unit vectors, (B, 384).

        Args:
            pieces: (B, L) int64.
            mask: True for pieces of the text, (B, L).
        """
        values = self.norm(self.words(pieces) + self.positions.weight[: pieces.shape[1]])
        for layer in self.layers:
            values = layer(values, mask)
        weights = mask[..., None].to(values.dtype)
        return F.normalize((values * weights).sum(dim=1), dim=-1)

    @torch.no_grad()
    def embed(self, texts: Sequence[str], tokenizer: Tokenizer) -> Tensor:
        """Unit vectors, (N, 384), of texts; what is longer than 64 word pieces is cut off.

        Args:
            texts: N texts, at least one.
            tokenizer: The word pieces.
        """
        rows = []
        for start in range(0, len(texts), _BATCH):
            found = [tokenizer.encode(text).ids for text in texts[start : start + _BATCH]]
            ids = [
                row if len(row) <= POSITIONS else [*row[: POSITIONS - 1], row[-1]] for row in found
            ]
            longest = max(map(len, ids))
            pieces = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
            mask = torch.tensor([[place < len(row) for place in range(longest)] for row in ids])
            device = self.words.weight.device
            rows.append(self(pieces.to(device), mask.to(device)))
        return torch.cat(rows)


def kept_vectors(state: str, compute: Callable[[], Tensor]) -> Tensor:
    """Vectors that were computed in the same state before; else they are computed, and kept.

    To read all everyday names takes half a second. What is damaged, or of another state, is
    replaced; where nothing can be written, they are computed each time.

    Args:
        state: All that decides the vectors.
        compute: Computes them on the CPU, (N, 384).

    Returns:
        The vectors, (N, 384).
    """
    path = home() / KEPT_FILE
    with suppress(TvslError):
        tensors, metadata = read_tensors(path, "")
        if metadata.get(_DIGEST) == fingerprint(state, tensors):
            vectors = tensors[_VECTORS]
            if vectors.dtype == torch.float32:  # the fingerprint covers bytes
                return vectors
    made = {_VECTORS: compute()}
    metadata = {"format": "pt", _DIGEST: fingerprint(state, made)}
    with suppress(OSError, TvslError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda part: write_tensors(made, part, metadata))
    return made[_VECTORS]
