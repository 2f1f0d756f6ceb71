"""Tokens of a fixed set of mixtures, kept on disk: encoded once, trained on often.

Visual tokens are kept once per clip, audio tokens once per mixture; panels are joined when a
batch is read. A store is for one encoder, one way to encode and one set of clips: its key. A
store of another key is refused, never quietly used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import torch
from pydantic import ConfigDict, Field, JsonValue, ValidationError
from torch import Tensor

from tvsl.data.mixing import MOST_SOURCES
from tvsl.data.token_shards import Shard, read_shard
from tvsl.encoder import FrameTokens, SoundTokens, join_panels
from tvsl.errors import StoreError, UsageError
from tvsl.small_files import LARGEST_LIST, read_small
from tvsl.strict_model import StrictModel
from tvsl.tokens import Tokens

FORMAT: Final = 1
MANIFEST_FILE = "manifest.json"
SHARD_CLIPS = 512
StoredType = Literal["bfloat16", "float32"]


class StoreKey(StrictModel):
    """What a store's tokens depend on.

    Attributes:
        encoder: Fingerprint of the encoder.
        image_tokens: Which dense image tokens.
        flip_average: Averaging with the flipped picture.
        precision: Arithmetic of the encoder.
        stored_as: Type of the tokens on disk.
        most_sources: Mixtures have 1 to so many sources.
        rounds: How often each clip is used for each number of sources over 1.
        seed: Decides which clips are mixed.
        shard_clips: Most clips of a shard; only clips of one shard are mixed.
        clips: What the clips depend on, as their data set describes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str
    image_tokens: str
    flip_average: str
    precision: str
    stored_as: StoredType = "bfloat16"
    most_sources: int = Field(4, ge=1, le=MOST_SOURCES)
    rounds: int = Field(1, ge=1)
    seed: int = Field(0, ge=0, lt=2**63)
    shard_clips: int = Field(SHARD_CLIPS, ge=1)
    clips: dict[str, JsonValue]

    def digest(self) -> str:
        """SHA-256 of all of it."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Manifest(StrictModel):
    """What ``manifest.json`` holds.

    Attributes:
        format: Of the files.
        key: What the tokens depend on.
        names: Class names; labels count in their order.
        shards: How many files there are when the store is complete.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = FORMAT
    key: StoreKey
    names: tuple[str, ...]
    shards: int = Field(ge=1)


class TokenBatch(NamedTuple):
    """Clips to train on.

    Attributes:
        tokens: B clips of K panels, float32.
        labels: Which classes sound, (B, N) bool.
    """

    tokens: Tokens
    labels: Tensor


class TokenStore:
    """A complete store, for reading; any number of processes may read one at once.

    Args:
        folder: Where it is.
        key: What its tokens must be for.
        thorough: Whether all values are compared with their checksums first.

    Raises:
        StoreError: It is for something else, incomplete or damaged.
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
        self._starts = {
            number: torch.tensor([0, *(_mixtures(shard, number) for shard in self._shards)]).cumsum(
                0
            )
            for number in range(1, key.most_sources + 1)
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process the files are mapped anew."""
        return TokenStore, (self.folder, self.key)

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the token grid of one picture."""
        return self._shards[0].grid

    @property
    def clips(self) -> int:
        """How many clips there are."""
        return sum(len(shard.clips) for shard in self._shards)

    def mixtures(self) -> dict[int, int]:
        """How many mixtures there are of each number of sources."""
        return {number: int(starts[-1]) for number, starts in self._starts.items()}

    def members(self, sources: int, rows: Sequence[int] | Tensor) -> Tensor:
        """Which clips make up some mixtures.

        Args:
            sources: K, the number of sources.
            rows: B mixtures, from 0.

        Returns:
            Numbers of the clips in their data set, panel by panel, (B, K).

        Raises:
            UsageError: There is no such mixture.
        """
        result = torch.empty(len(rows), sources, dtype=torch.int64)
        for shard, places, local in self._located(sources, rows):
            result[places] = shard.clips[shard.mixtures[sources].members[local]]
        return result

    def labels(self, sources: int) -> Tensor:
        """Classes of the members of all mixtures of one number of sources.

        Args:
            sources: K, the number of sources.

        Returns:
            Rows of ``names``, mixture by mixture, panel by panel, (M, K).
        """
        return torch.cat([shard.labels[shard.mixtures[sources].members] for shard in self._shards])

    def batch(self, sources: int, rows: Sequence[int] | Tensor) -> TokenBatch:
        """Read mixtures of one number of sources.

        Args:
            sources: K, the number of sources.
            rows: B mixtures, from 0.

        Returns:
            Their tokens, as ``Encoder.encode`` would give them, and their labels.

        Raises:
            UsageError: There is no such mixture.
        """
        located = self._located(sources, rows)
        count, first = len(rows), self._shards[0]
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
        self, sources: int, rows: Sequence[int] | Tensor
    ) -> list[tuple[Shard, Tensor, Tensor]]:
        """Shards that hold the mixtures: shard, places in the batch, rows in the shard."""
        starts = self._starts.get(sources)
        wanted = torch.as_tensor(rows, dtype=torch.int64)
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
    """Where a shard is kept."""
    return folder / f"shard-{number:05d}.safetensors"


def read_manifest(folder: Path) -> Manifest:
    """Read what a store is for.

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
    """Let through only a store that is for what is wanted.

    Raises:
        StoreError: It is for something else; the message names what.
    """
    if manifest.key.digest() == key.digest():
        return
    kept, wanted = _flat(manifest.key), _flat(key)
    differences = [
        f"{name} {_short(kept.get(name))}, not {_short(wanted.get(name))}"
        for name in sorted(kept.keys() | wanted.keys())
        if kept.get(name) != wanted.get(name)
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


def _mixtures(shard: Shard, sources: int) -> int:
    return len(shard.mixtures[sources].members)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 20 else f"{text[:12]}…"
