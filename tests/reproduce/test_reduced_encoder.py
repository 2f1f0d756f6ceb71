from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tvsl.data.synthetic import SyntheticData
from tvsl.encoder import Encoder
from tvsl.errors import StoreError, UsageError
from tvsl.loading import load_encoder
from tvsl.methods.base import MethodConfig
from tvsl.reproduce.reduced_encoder import (
    ReducedEncoder,
    directions_of,
    principal_directions,
    read_directions,
    write_directions,
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("mini", MethodConfig(), "cpu")


@pytest.fixture(scope="module")
def found(encoder: Encoder) -> torch.Tensor:
    return directions_of(encoder, SyntheticData(split="train").clips(40, 0), encoder.embedding)


def test_principal_directions_are_the_right_singular_vectors() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=(7, 6)), rng.normal(size=(90, 6)) * [3, 1, 1, 0.2, 0.1, 1]
    # Each kind weighs the same: unit vectors over the root of their number, one below the other.
    parts = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (few, many)]
    stacked = np.concatenate([part / np.sqrt(len(part)) for part in parts])
    _, _, expected = np.linalg.svd(stacked)
    given = [torch.from_numpy(part).float() for part in (few, many)]
    found = principal_directions(given, 4).numpy()
    assert np.abs(found.T @ expected[:4].T).diagonal() == pytest.approx(1, abs=1e-4)


def test_all_directions_change_no_cosine(encoder: Encoder, found: torch.Tensor) -> None:
    reduced = ReducedEncoder(encoder, found)
    batch = SyntheticData(split="train").clips(2, 1).read([0, 1], encoder.sample_rate)
    frames = torch.stack([encoder.prepare(one, square=True) for one in batch.pictures])
    names = SyntheticData(split="train").clips(2, 1).names[:3]
    for one, other in (
        (encoder.encode_frames(frames)[0], reduced.encode_frames(frames)[0]),
        (encoder.encode_frames(frames)[1], reduced.encode_frames(frames)[1]),
        (
            encoder.encode_sounds(torch.from_numpy(batch.waveforms))[0],
            reduced.encode_sounds(torch.from_numpy(batch.waveforms))[0],
        ),
    ):
        whole = one @ encoder.embed(names).T
        assert torch.allclose(other @ reduced.embed(names).T, whole, atol=1e-4)


def test_few_directions_keep_what_tokens_and_names_have_in_common(
    encoder: Encoder, found: torch.Tensor
) -> None:
    reduced = ReducedEncoder(encoder, found[:, :32])
    clips = SyntheticData(split="train").clips(8, 5)
    batch = clips.read(range(8), encoder.sample_rate)
    frames = torch.stack([encoder.prepare(one, square=True) for one in batch.pictures])
    cosines = [
        torch.nn.functional.normalize(one.encode_frames(frames).tokens, dim=-1)
        @ one.embed(clips.names).T
        for one in (encoder, reduced)
    ]
    assert reduced.embedding == reduced.vocabulary(clips.names).embeddings.shape[1] == 32
    together = torch.stack([one.flatten() for one in cosines])
    assert torch.corrcoef(together)[0, 1] > 0.98


def test_other_directions_are_another_encoder(encoder: Encoder, found: torch.Tensor) -> None:
    few, fewer = (ReducedEncoder(encoder, found[:, :count]) for count in (32, 31))
    again = ReducedEncoder(encoder, found[:, :32].clone())
    assert len({few.fingerprint, fewer.fingerprint, encoder.fingerprint}) == 3
    assert again.fingerprint == few.fingerprint


def test_more_directions_than_there_are_is_refused(encoder: Encoder) -> None:
    clips = SyntheticData(split="train").clips(4, 0)
    with pytest.raises(UsageError, match=str(encoder.embedding)):
        directions_of(encoder, clips, encoder.embedding + 1)


def test_directions_are_read_as_they_were_written(tmp_path: Path, found: torch.Tensor) -> None:
    path = tmp_path / "tokens" / "directions.safetensors"
    write_directions(found, path)
    assert torch.equal(read_directions(path), found)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError) as raised:
        read_directions(path)
    assert raised.value.path == path
