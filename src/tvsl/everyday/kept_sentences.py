"""Vectors of the everyday names, kept between runs: reading them all takes half a second."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import torch
from torch import Tensor

from tvsl.errors import TvslError
from tvsl.utils.atomic import write_whole
from tvsl.utils.files import home
from tvsl.utils.model_folder import fingerprint, read_tensors, write_tensors

FILE: Final = "everyday_names.safetensors"
"""Name of the file in the folder of cached files, which holds the vectors computed last."""
_VECTORS, _DIGEST = "vectors", "sha256"


def kept_vectors(state: str, compute: Callable[[], Tensor]) -> Tensor:
    """Vectors that were computed in the same state before; else they are computed, and kept.

    What is damaged, or of another state, is replaced.

    Args:
        state: All that decides the vectors.
        compute: Computes them on the CPU.
    """
    path = home() / FILE
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
