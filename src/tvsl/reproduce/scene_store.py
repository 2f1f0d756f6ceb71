"""Encoded scenes on disk: made once, mapped into memory by every process that asks for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tvsl.errors import OutputError, StoreError
from tvsl.evaluation.scenes import EncodedScenes
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.utils.atomic import writable, write_whole
from tvsl.utils.model_folder import write_tensors

_TOKENS = ("visual", "audio", "image", "sound")
_TRUTH = ("masks", "boxes", "twins")
_STATED = "tvsl"


def write_scenes(scenes: EncodedScenes, path: Path) -> None:
    """Write scenes: all of the file, or nothing.

    Args:
        scenes: The scenes; what is true or false is kept in one bit.
        path: Where to.

    Raises:
        OutputError: It cannot be written.
    """
    tokens = scenes.tokens.to("cpu")
    tensors = {name: getattr(tokens, name).contiguous() for name in _TOKENS}
    tensors |= {name: _packed(getattr(scenes, name)) for name in (*_TRUTH, "labels")}
    tensors |= {"clip": scenes.queries.clip.cpu(), "label": scenes.queries.label.cpu()}
    stated = {
        "names": scenes.vocabulary.names,
        "grid": tokens.grid,
        "panels": tokens.panels,
        "size": scenes.size,
    }
    header = {_STATED: json.dumps(stated)}
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_whole(path, lambda part: write_tensors(tensors, part, header), durable=True)
    except OSError as error:
        raise OutputError(
            f"Encoded scenes cannot be kept ({error}).",
            "Make room or choose another place, and start again: what is there will be used.",
            path,
        ) from error


def read_scenes(
    path: Path, vocabulary: Callable[[tuple[str, ...]], Vocabulary], device: torch.device | str
) -> EncodedScenes:
    """Read scenes; on a CPU their tokens are mapped into memory, and not to be written to.

    Args:
        path: The file.
        vocabulary: From class names to a vocabulary on the device.
        device: Where tokens and queries are wanted; the truth stays on the CPU.

    Returns:
        The scenes.

    Raises:
        StoreError: The file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            stated = json.loads((file.metadata() or {})[_STATED])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        (height, width), grid = stated["size"], stated["grid"]
        names = tuple(stated["names"])
        tokens = Tokens(
            **{name: tensors[name] for name in _TOKENS}, grid=tuple(grid), panels=stated["panels"]
        )
        queries = Queries(tensors["clip"], tensors["label"])
        labels = _unpacked(tensors["labels"], len(names))
        truth = {
            name: _unpacked(tensors[name], height * width).unflatten(1, (height, width))
            for name in _TRUTH
        }
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise StoreError(
            "The file is truncated or damaged.",
            "Delete it and start again: it will be made anew.",
            path,
        ) from error
    return EncodedScenes(
        tokens.to(device), vocabulary(names), queries.to(device), labels=labels, **truth
    )


def _packed(values: Tensor) -> Tensor:
    """(n, ...) bool as bits, (n, bytes) uint8."""
    return torch.from_numpy(np.packbits(values.cpu().flatten(1).numpy(), axis=1))


def _unpacked(packed: Tensor, count: int) -> Tensor:
    """The first bits of each row, (n, count) bool."""
    bits = np.unpackbits(packed.numpy(), axis=1, count=count)
    return torch.from_numpy(bits.view(np.bool_))
