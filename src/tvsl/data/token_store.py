"""Tokens of a fixed set of mixtures on disk: encoded once, read often in training.

A shard is written atomically, with the digest of its key and a checksum. Visual tokens are stored
once per clip, audio tokens once per mixture; panels are joined when a batch is read. The key of a
store describes its encoder, options and clips. A store of another key is refused.

A kill loses only unfinished shards. Several processes may encode one store together: each takes a
shard that is neither finished nor in progress.
"""

from __future__ import annotations

import errno
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, JsonValue, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tvsl.data.base import ClipBatch, ClipSet
from tvsl.data.mixtures import check_mixed, draw_mixtures, split_clips
from tvsl.encoder import MOST_SOURCES, Encoder, FrameTokens, SoundTokens, join_panels
from tvsl.errors import StoreError, UsageError
from tvsl.tokens import Tokens
from tvsl.utils.atomic import writable, write_whole
from tvsl.utils.files import LARGEST_LIST, read_small
from tvsl.utils.model_folder import keep_tensors
from tvsl.utils.processes import Progress, no_progress
from tvsl.utils.run_folder import changed_keys
from tvsl.utils.strict_model import StrictModel

try:
    import fcntl
except ImportError:  # on Windows two processes may make the same shard; both make the same
    fcntl = None  # type: ignore[assignment]

_HEADER_KEY = "tvsl"
_REMEDY = "Delete this file and start again: it will be made anew."
_BATCH = 32
_LOCK_FILE = ".lock"
_TYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


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
    clips = len(tensors["clips"])
    for number in numbers:
        members = tensors[f"members.{number}"]
        if members.numel() and not 0 <= int(members.min()) <= int(members.max()) < clips:
            raise ValueError(f"members.{number}")
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
        # NumPy takes rows in a fifth of torch's time, and of a large store each mixture of a batch
        # lies in another file.
        self._arrays = [
            {name: _array(value) for name, value in _tensors(shard).items()}
            for shard in self._shards
        ]
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

    def mixtures(self) -> dict[int, int]:
        """Number of mixtures of each number of sources."""
        return {number: int(starts[-1]) for number, starts in self._starts.items()}

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
        pieces, places = self._located(sources, numbers)
        audio, sound = f"audio.{sources}", f"sound.{sources}"
        first, count = self._arrays[0], len(places)
        taken = {
            name: np.empty((rows, *first[name].shape[1:]), first[name].dtype)
            for rows, names in (
                (count, (audio, sound)),
                (count * sources, ("visual", "image", "labels")),
            )
            for name in names
        }
        for arrays, rows, start in pieces:
            stop = start + len(rows)
            members = arrays[f"members.{sources}"].take(rows, axis=0).ravel()
            # Rows are known to be there: with "clip" NumPy needs no copy.
            for name in (audio, sound):
                arrays[name].take(rows, 0, taken[name][start:stop], "clip")
            panels = slice(start * sources, stop * sources)
            for name in ("visual", "image", "labels"):
                arrays[name].take(members, 0, taken[name][panels], "clip")

        def ordered(name: str) -> Tensor:
            """The taken rows, in the order of the batch."""
            values = torch.from_numpy(taken[name])
            return values.view(count, -1, *values.shape[1:])[places].flatten(0, 1)

        stored = self._shards[0].visual.dtype
        visual, image, heard, pooled = (
            ordered(name).view(stored).float() for name in ("visual", "image", audio, sound)
        )
        labels = torch.zeros(count, len(self.names), dtype=torch.bool)
        labels.scatter_(1, ordered("labels").view(count, sources), value=True)
        frames = FrameTokens(visual, image, self.grid)
        return TokenBatch(join_panels(frames, SoundTokens(heard, pooled), sources), labels)

    def _located(
        self, sources: int, numbers: Sequence[int] | Tensor
    ) -> tuple[list[tuple[dict[str, NDArray[Any]], NDArray[np.int64], int]], Tensor]:
        """Find mixtures.

        Returns:
            The arrays of the shards that hold them, each with their rows and with the number of
            rows before; and the place of each mixture among all of these rows.
        """
        starts = self._starts.get(sources)
        wanted = torch.as_tensor(numbers, dtype=torch.int64)
        if starts is None or not len(wanted) or not 0 <= wanted.min() <= wanted.max() < starts[-1]:
            raise UsageError(
                f"The store has no such mixtures of {sources} sources.",
                f"It has {', '.join(f'{n} of {k}' for k, n in self.mixtures().items())}.",
            )
        ordered, order = wanted.sort()
        homes = torch.searchsorted(starts, ordered, right=True) - 1
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order))
        rows = (ordered - starts[homes]).numpy()
        numbered, first = np.unique(homes.numpy(), return_index=True)
        bounds = [*first.tolist(), len(rows)]
        pieces = [
            (self._arrays[shard], rows[start:stop], start)
            for shard, (start, stop) in zip(numbered.tolist(), pairwise(bounds), strict=True)
        ]
        return pieces, places


def _array(tensor: Tensor) -> NDArray[Any]:
    """A tensor as NumPy sees it: bfloat16, which it does not know, as its bits."""
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


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


def store_key(encoder: Encoder, clips: ClipSet, **mixing: int | str) -> StoreKey:
    """The key of a store.

    Args:
        encoder: The frozen encoder.
        clips: The clips.
        mixing: Further fields of ``StoreKey``.
    """
    made = {
        "encoder": encoder.fingerprint,
        "image_tokens": encoder.image_tokens,
        "flip_average": encoder.flip_average,
        "precision": encoder.precision,
        "clips": clips.description(),
    }
    return StoreKey.model_validate({**made, **mixing})


def make_store(
    folder: Path, key: StoreKey, encoder: Encoder, clips: ClipSet, progress: Progress = no_progress
) -> TokenStore:
    """Encode the missing shards of a store and open it.

    Args:
        folder: Folder of the store.
        key: Its key: ``store_key`` of this encoder and these clips.
        encoder: The frozen encoder.
        clips: The clips.
        progress: Called with clips so far and in all.

    Raises:
        StoreError: There is a store of another key, or a file of it is damaged.
        OutputError: It cannot be written; finished shards stay usable.
    """
    groups = split_clips(clips.count, key.shard_clips, key.seed)
    _claim(folder, Manifest(key=key, names=clips.names, shards=len(groups)))
    shard_encoder, digest = _ShardEncoder(key, encoder, clips, progress), key.digest()
    waiting = [(number, False) for number in range(len(groups))]
    for number, wait in waiting:
        path = shard_path(folder, number)
        if path.is_file():
            read_shard(path, digest, thorough=True)
            shard_encoder.advance(len(groups[number]))
            continue
        with _locked(folder, number, wait) as acquired:
            if acquired and not path.is_file():
                write_shard(shard_encoder.make(number, groups[number]), path, digest)
                continue
        waiting.append((number, True))  # in progress elsewhere: try again after all others
    return TokenStore(folder, key)


def check_store(folder: Path, key: StoreKey) -> None:
    """Refuse a folder with a store of another key.

    Args:
        folder: Folder of the store.
        key: The expected key.

    Raises:
        StoreError: There is a store of another key, or its manifest is damaged.
    """
    if (folder / MANIFEST_FILE).is_file():
        check_key(read_manifest(folder), key, folder)


def check_classes(
    clips: ClipSet, sources: int, seed: int = 0, shard_clips: int = SHARD_CLIPS
) -> None:
    """Check that every shard has enough classes to be mixed.

    Args:
        clips: The clips.
        sources: Maximum number of sources of a mixture.
        seed: Seed of the assignment of clips to shards.
        shard_clips: Maximum number of clips of a shard.

    Raises:
        UsageError: A shard has too few classes.
    """
    labels = clips.labels()
    if labels is None:
        return
    for group in split_clips(clips.count, shard_clips, seed):
        check_mixed(labels[group], sources)


def _claim(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, or compare it with the existing one."""
    path = folder / MANIFEST_FILE
    if path.is_file():
        check_key(read_manifest(folder), manifest.key, folder)
        return
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, -1, wait=True):
            if not path.is_file():
                text = manifest.model_dump_json(indent=2) + "\n"
                write_whole(path, lambda part: part.write_text(text, encoding="utf-8"), True)
    check_key(read_manifest(folder), manifest.key, folder)


@contextmanager
def _locked(folder: Path, number: int, wait: bool) -> Iterator[bool]:
    """Try to lock a shard; the system releases the lock when a process ends in any way."""
    if fcntl is None:
        yield True
        return
    with writable(folder):
        stream = (folder / _LOCK_FILE).open("ab")
    with stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, number + 1)
            free = True
        except OSError as error:  # other errors: the file system knows no locks
            free = error.errno not in (errno.EACCES, errno.EAGAIN)
        yield free


class _ShardEncoder:
    """Encoder of the shards of a store."""

    def __init__(self, key: StoreKey, encoder: Encoder, clips: ClipSet, progress: Progress) -> None:
        self.key, self.encoder, self.clips, self.progress = key, encoder, clips, progress
        self.dtype = _TYPES[key.stored_as]
        self.done = 0

    def make(self, number: int, numbers: NDArray[np.int64]) -> Shard:
        """Read and encode the clips of a shard, by their numbers, and their mixtures."""
        pictures, waveforms, labels = [], [], []
        for batch in self._read_ahead(numbers):
            prepared = [self.encoder.prepare(picture, square=True) for picture in batch.pictures]
            pictures.append(self.encoder.encode_frames(torch.stack(prepared)))
            waveforms.append(torch.from_numpy(batch.waveforms))
            labels.append(torch.from_numpy(batch.labels))
            self.advance(len(batch.labels))
        classes, heard = torch.cat(labels), torch.cat(waveforms)
        seed = self.key.seed * 1_000_003 + number
        return Shard(
            clips=torch.from_numpy(numbers),
            labels=classes,
            visual=self._stored([part.tokens for part in pictures]),
            image=self._stored([part.embeddings for part in pictures]),
            grid=pictures[0].grid,
            mixtures={
                sources: self._mixtures(
                    heard, draw_mixtures(classes.numpy(), sources, self.key.rounds, seed)
                )
                for sources in range(1, self.key.most_sources + 1)
            },
        )

    def advance(self, clips: int) -> None:
        """Report that more clips are done."""
        self.done += clips
        self.progress(self.done, self.clips.count)

    def _mixtures(self, waveforms: Tensor, members: NDArray[np.int64]) -> MixtureTokens:
        """Encode sums of waveforms (n, S), for mixtures (M, K)."""
        rows = torch.from_numpy(members)
        mixed = (waveforms[part].sum(dim=1) for part in rows.split(_BATCH))
        sounds = [self.encoder.encode_sounds(batch) for batch in mixed]
        return MixtureTokens(
            rows,
            self._stored([part.tokens for part in sounds]),
            self._stored([part.embeddings for part in sounds]),
        )

    def _read_ahead(self, numbers: NDArray[np.int64]) -> Iterator[ClipBatch]:
        """Read clips in batches, one batch ahead of the encoder."""
        starts = range(0, len(numbers), _BATCH)
        chunks = [numbers[start : start + _BATCH].tolist() for start in starts]
        rate = self.encoder.sample_rate
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self.clips.read, chunks[0], rate)
            for following in [*chunks[1:], None]:
                batch = coming.result()
                if following is not None:
                    coming = pool.submit(self.clips.read, following, rate)
                yield batch

    def _stored(self, tokens: Sequence[Tensor]) -> Tensor:
        return torch.cat([one.to("cpu", self.dtype) for one in tokens])
