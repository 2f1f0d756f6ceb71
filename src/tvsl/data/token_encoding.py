"""Encoding of a token store, shard by shard.

A kill loses only unfinished shards. Several processes may encode one store together: each takes a
shard that is neither finished nor in progress.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.data.base import ClipBatch, ClipSet
from tvsl.data.mixtures import check_mixed, draw_mixtures, split_clips
from tvsl.data.token_store import (
    MANIFEST_FILE,
    SHARD_CLIPS,
    Manifest,
    MixtureTokens,
    Shard,
    StoreKey,
    TokenStore,
    check_key,
    read_manifest,
    read_shard,
    shard_path,
    write_shard,
)
from tvsl.encoder import Encoder
from tvsl.utils.atomic import writable, write_whole
from tvsl.utils.processes import Progress, no_progress

try:
    import fcntl
except ImportError:  # on Windows two processes may make the same shard; both make the same
    fcntl = None  # type: ignore[assignment]

_BATCH = 32
_LOCK_FILE = ".lock"
_TYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


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
