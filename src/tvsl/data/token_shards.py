"""Files of a token store: the tokens of some clips and of the mixtures among them.

A shard appears whole or not at all, and states what it was made for and what it must sum to.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tvsl.errors import OutputError, StoreError
from tvsl.model_folder import write_tensors
from tvsl.staging import write_whole

_STATED = "tvsl"
_REMEDY = "Delete this file and start again: it will be made anew."


@dataclass(frozen=True, eq=False)
class MixtureTokens:
    """Sounds of M mixtures of K clips each.

    Attributes:
        members: Which clips of the shard make up each mixture, (M, K) int64, by their row.
        audio: Audio tokens, (M, n_a, D).
        sound: Pooled sounds, (M, D).
    """

    members: Tensor
    audio: Tensor
    sound: Tensor


@dataclass(frozen=True, eq=False)
class Shard:
    """The tokens of n clips and of mixtures among them.

    Attributes:
        clips: Numbers of the clips in their data set, (n,) int64.
        labels: Class of each clip, (n,) int64.
        visual: Image tokens, (n, h * w, D).
        image: Pooled pictures, (n, D).
        grid: h and w.
        mixtures: Mixtures by their number of sources.
    """

    clips: Tensor
    labels: Tensor
    visual: Tensor
    image: Tensor
    grid: tuple[int, int]
    mixtures: Mapping[int, MixtureTokens]


def write_shard(shard: Shard, path: Path, key: str) -> None:
    """Write a shard: all of it, or nothing.

    Args:
        shard: The shard, on the CPU.
        path: Where to.
        key: What the store is for; whoever reads it must name the same.

    Raises:
        OutputError: It cannot be written.
    """
    tensors = {name: value.contiguous() for name, value in _tensors(shard).items()}
    stated = {"key": key, "grid": list(shard.grid), "crc32": _checksum(tensors)}
    header = {_STATED: json.dumps(stated)}
    try:
        write_whole(path, lambda part: write_tensors(tensors, part, header), durable=True)
    except OSError as error:
        raise OutputError(
            f"Tokens cannot be kept ({error}).",
            "Make room or choose another place, and start again: what is there will be used.",
            path,
        ) from error


def read_shard(path: Path, key: str, thorough: bool = False) -> Shard:
    """Map a shard into memory; its tokens are read from the disk when they are looked at.

    Args:
        path: The file.
        key: What the tokens must be for.
        thorough: Whether all values are read once and compared with their checksum.

    Returns:
        The shard; its tensors are not to be written to.

    Raises:
        StoreError: The file is damaged, or for something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            stated = json.loads((file.metadata() or {}).get(_STATED, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError("The file is truncated or damaged.", _REMEDY, path) from error
    if stated.get("key") != key:
        raise StoreError("These tokens were made for something else.", _REMEDY, path)
    if thorough and stated.get("crc32") != _checksum(tensors):
        raise StoreError("Values of the file have changed: it is damaged.", _REMEDY, path)
    try:
        return _shard(tensors, stated)
    except (KeyError, ValueError) as error:
        raise StoreError("The file is damaged: it lacks tokens.", _REMEDY, path) from error


def _tensors(shard: Shard) -> dict[str, Tensor]:
    tensors = {name: getattr(shard, name) for name in ("clips", "labels", "visual", "image")}
    for sources, mixtures in shard.mixtures.items():
        for name in ("members", "audio", "sound"):
            tensors[f"{name}.{sources}"] = getattr(mixtures, name)
    return tensors


def _shard(tensors: Mapping[str, Tensor], stated: Mapping[str, Any]) -> Shard:
    height, width = stated["grid"]
    numbers = sorted(int(name.split(".")[1]) for name in tensors if name.startswith("members."))
    return Shard(
        clips=tensors["clips"],
        labels=tensors["labels"],
        visual=tensors["visual"],
        image=tensors["image"],
        grid=(height, width),
        mixtures={
            number: MixtureTokens(
                *(tensors[f"{name}.{number}"] for name in ("members", "audio", "sound"))
            )
            for number in numbers
        },
    )


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(tensors[name].flatten().view(torch.uint8).numpy().data, total)
    return f"{total:08x}"
