"""Tokens of a fixed set of mixtures on disk: encoded once, read often in training.

A shard is written atomically, with the digest of its key and a checksum. Visual tokens are stored
once per clip, audio tokens once per mixture; panels are joined when a batch is read. The key of a
store describes its encoder, options and clips. A store of another key is refused.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import torch
from pydantic import ConfigDict, Field, JsonValue, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tvsl.encoder import MOST_SOURCES, FrameTokens, SoundTokens, join_panels
from tvsl.errors import StoreError, UsageError
from tvsl.tokens import Tokens
from tvsl.utils.files import LARGEST_LIST, read_small
from tvsl.utils.model_folder import keep_tensors
from tvsl.utils.run_folder import changed_keys
from tvsl.utils.strict_model import StrictModel

_HEADER_KEY = "tvsl"
_REMEDY = "Delete this file and start again: it will be made anew."


@dataclass(frozen=True, eq=False)
class MixtureTokens:
    """Sounds of M mixtures of K clips each.

    Attributes:
        members: Indices of the clips of each mixture in the shard, (M, K) int64.
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
    """Write a shard atomically.

    Args:
        shard: The shard, on the CPU.
        path: Its path.
        key: Digest of the key of the store.

    Raises:
        OutputError: It cannot be written.
    """
    tensors = {name: value.contiguous() for name, value in _tensors(shard).items()}
    content = {"key": key, "grid": list(shard.grid), "crc32": _checksum(tensors)}
    header = {_HEADER_KEY: json.dumps(content)}
    keep_tensors(tensors, path, header, "Tokens")


def read_shard(path: Path, key: str, thorough: bool = False) -> Shard:
    """Map a shard into memory; its tokens are read from disk on access.

    Args:
        path: The file.
        key: Digest of the expected key.
        thorough: Whether all values are read and compared with their checksum.

    Returns:
        The shard; its tensors must not be written to.

    Raises:
        StoreError: The file is damaged, or has another key.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER_KEY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError("The file is truncated or damaged.", _REMEDY, path) from error
    if header.get("key") != key:
        raise StoreError("These tokens were made for something else.", _REMEDY, path)
    if thorough and header.get("crc32") != _checksum(tensors):
        raise StoreError("Values of the file have changed: it is damaged.", _REMEDY, path)
    try:
        return _shard(tensors, header)
    except (KeyError, ValueError) as error:
        raise StoreError("The file is damaged: it lacks tokens.", _REMEDY, path) from error


def _tensors(shard: Shard) -> dict[str, Tensor]:
    tensors = {name: getattr(shard, name) for name in ("clips", "labels", "visual", "image")}
    for sources, mixtures in shard.mixtures.items():
        for name in ("members", "audio", "sound"):
            tensors[f"{name}.{sources}"] = getattr(mixtures, name)
    return tensors


def _shard(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Shard:
    height, width = header["grid"]
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


FORMAT: Final = 1
MANIFEST_FILE = "manifest.json"
SHARD_CLIPS = 512
StoredType = Literal["bfloat16", "float32"]


class StoreKey(StrictModel):
    """Everything that the tokens of a store depend on.

    Attributes:
        encoder: Fingerprint of the encoder.
        image_tokens: Kind of dense image tokens.
        flip_average: Averaging with the flipped picture.
        precision: Arithmetic of the encoder.
        stored_as: Type of the tokens on disk.
        most_sources: Maximum number of sources of a mixture.
        rounds: Uses of each clip for each number of sources over 1.
        seed: Seed of the mixtures.
        shard_clips: Maximum number of clips of a shard; only clips of one shard are mixed.
        clips: Description of the clips by their data set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str
    image_tokens: str | None
    flip_average: str
    precision: str
    stored_as: StoredType = "bfloat16"
    most_sources: int = Field(4, ge=1, le=MOST_SOURCES)
    rounds: int = Field(1, ge=1)
    seed: int = Field(0, ge=0, lt=2**63)
    shard_clips: int = Field(SHARD_CLIPS, ge=1)
    clips: dict[str, JsonValue]

    def digest(self) -> str:
        """SHA-256 of all fields."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Manifest(StrictModel):
    """Content of ``manifest.json``.

    Attributes:
        format: Format of the files.
        key: Key of the store.
        names: Class names; labels count in their order.
        shards: Number of files of the complete store.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = FORMAT
    key: StoreKey
    names: tuple[str, ...]
    shards: int = Field(ge=1)


class TokenBatch(NamedTuple):
    """A batch of training clips.

    Attributes:
        tokens: B clips of K panels, float32.
        labels: Sounding classes, (B, N) bool.
    """

    tokens: Tokens
    labels: Tensor


class TokenStore:
    """A complete store, for reading, also by several processes at once.

    Args:
        folder: Folder of the store.
        key: The expected key.
        thorough: Whether all values are compared with their checksums first.

    Raises:
        StoreError: It has another key, or is incomplete or damaged.
    """

    def __init__(self, folder: Path, key: StoreKey, thorough: bool = False) -> None:
        self.folder, self.key = folder, key
        manifest = read_manifest(folder)
        check_key(manifest, key, folder)
        self.names = manifest.names
        paths = [shard_path(folder, number) for number in range(manifest.shards)]
        missing = sum(not path.is_file() for path in paths)
        if missing:
            raise StoreError(
                f"{missing} of {manifest.shards} files are still to be made.",
                "Make the store again: what is there will be used.",
                folder,
            )
        digest = key.digest()
        self._shards = [read_shard(path, digest, thorough) for path in paths]
        self._starts = {}
        for number in range(1, key.most_sources + 1):
            counts = [len(shard.mixtures[number].members) for shard in self._shards]
            self._starts[number] = torch.tensor([0, *counts]).cumsum(0)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments alone: another process maps the files itself."""
        return TokenStore, (self.folder, self.key)

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the token grid of one picture."""
        return self._shards[0].grid

    @property
    def clips(self) -> int:
        """Number of clips."""
        return sum(len(shard.clips) for shard in self._shards)

    def mixtures(self) -> dict[int, int]:
        """Number of mixtures of each number of sources."""
        return {number: int(starts[-1]) for number, starts in self._starts.items()}

    def members(self, sources: int, numbers: Sequence[int] | Tensor) -> Tensor:
        """Clips of some mixtures.

        Args:
            sources: K, the number of sources.
            numbers: Numbers of B mixtures, from 0.

        Returns:
            Numbers of the clips in their data set, panel by panel, (B, K).

        Raises:
            UsageError: There is no such mixture.
        """
        result = torch.empty(len(numbers), sources, dtype=torch.int64)
        for shard, places, local in self._located(sources, numbers):
            result[places] = shard.clips[shard.mixtures[sources].members[local]]
        return result

    def labels(self, sources: int) -> Tensor:
        """Classes of all mixtures of one number of sources, (M, K), as places in ``names``."""
        return torch.cat([shard.labels[shard.mixtures[sources].members] for shard in self._shards])

    def batch(self, sources: int, numbers: Sequence[int] | Tensor) -> TokenBatch:
        """Read mixtures of one number of sources.

        Args:
            sources: K, the number of sources.
            numbers: Numbers of B mixtures, from 0.

        Returns:
            Their tokens, as ``Encoder.encode`` would give them, and their labels.

        Raises:
            UsageError: There is no such mixture.
        """
        located = self._located(sources, numbers)
        count, first = len(numbers), self._shards[0]
        mixed = first.mixtures[sources]
        visual = torch.empty(count, sources, *first.visual.shape[1:])
        image = torch.empty(count, sources, first.image.shape[1])
        audio = torch.empty(count, *mixed.audio.shape[1:])
        sound = torch.empty(count, mixed.sound.shape[1])
        labels = torch.zeros(count, len(self.names), dtype=torch.bool)
        for shard, places, local in located:
            mixtures = shard.mixtures[sources]
            members = mixtures.members[local]
            visual[places] = shard.visual[members].float()
            image[places] = shard.image[members].float()
            audio[places] = mixtures.audio[local].float()
            sound[places] = mixtures.sound[local].float()
            labels[places[:, None], shard.labels[members]] = True
        frames = FrameTokens(visual.flatten(0, 1), image.flatten(0, 1), first.grid)
        return TokenBatch(join_panels(frames, SoundTokens(audio, sound), sources), labels)

    def _located(
        self, sources: int, numbers: Sequence[int] | Tensor
    ) -> list[tuple[Shard, Tensor, Tensor]]:
        """Find the mixtures: shard, places in the batch, indices in the shard."""
        starts = self._starts.get(sources)
        wanted = torch.as_tensor(numbers, dtype=torch.int64)
        if starts is None or not len(wanted) or not 0 <= wanted.min() <= wanted.max() < starts[-1]:
            raise UsageError(
                f"The store has no such mixtures of {sources} sources.",
                f"It has {', '.join(f'{n} of {k}' for k, n in self.mixtures().items())}.",
            )
        homes = torch.searchsorted(starts, wanted, right=True) - 1
        located = []
        for number in homes.unique().tolist():
            places = (homes == number).nonzero()[:, 0]
            located.append((self._shards[number], places, wanted[places] - starts[number]))
        return located


def shard_path(folder: Path, number: int) -> Path:
    """Path of a shard.

    Args:
        folder: Folder of the store.
        number: Number of the shard, from 0.
    """
    return folder / f"shard-{number:05d}.safetensors"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a store.

    Raises:
        StoreError: There is no store, or its manifest is damaged or of another format.
    """
    path = folder / MANIFEST_FILE
    if not path.exists():
        raise StoreError("There is no token store.", "Make it first.", folder)
    remedy = "Delete the folder and start again."
    try:
        return Manifest.model_validate_json(read_small(path, LARGEST_LIST, StoreError, remedy))
    except ValidationError as error:
        raise StoreError(
            "The manifest of this token store is damaged, or of another version of tvsl.",
            remedy,
            path,
        ) from error


def check_key(manifest: Manifest, key: StoreKey, folder: Path) -> None:
    """Refuse a store with another key.

    Args:
        manifest: Manifest of the store.
        key: The expected key.
        folder: Folder of the store.

    Raises:
        StoreError: The key is another; the message names the differences.
    """
    if manifest.key.digest() == key.digest():
        return
    found, expected = _flat(manifest.key), _flat(key)
    differences = [
        f"{name} {_short(found.get(name))}, not {_short(expected.get(name))}"
        for name in changed_keys(found, expected)
    ]
    raise StoreError(
        f"These tokens were made for something else: {'; '.join(differences)}.",
        "Choose another folder for the tokens, or delete this one.",
        folder,
    )


def _flat(key: StoreKey) -> dict[str, Any]:
    fields = key.model_dump(mode="json")
    clips = fields.pop("clips")
    return {**fields, **{f"clips.{name}": value for name, value in clips.items()}}


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 20 else f"{text[:12]}…"
