"""Every array of the official implementation, at full size."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.shared_files import fill, shared
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.model import AudioCLIP

TOLERANCE = 1e-4
CELL_TOLERANCE = 2e-2


def relative_error(found: Tensor, expected: np.ndarray) -> float:
    difference = found.double().numpy() - expected.astype(np.float64)
    return float(np.linalg.norm(difference) / np.linalg.norm(expected))


def image(width: int) -> Tensor:
    return torch.from_numpy(fill().image(2, 224, width))


def audio(batch: int, seconds: int) -> Tensor:
    return torch.from_numpy(fill().audio(batch, 44_100 * seconds))


POOLED: dict[str, Callable[[AudioCLIP], Tensor]] = {
    "image_pooled_224": lambda model: model.encode_image(image(224)),
    "image_layer4_224": lambda model: model.visual.features(image(224))[:1, ::16],
    "fbsp_spectrogram": lambda model: model.audio.spectrogram(audio(1, 5)[:, 0])[:, ::8, ::16],
    "audio_pooled_5s": lambda model: model.encode_audio(audio(2, 5)),
    "audio_pooled_2s": lambda model: model.encode_audio(audio(1, 2)),
}
TOKENS: dict[str, Callable[[AudioCLIP], Tensor]] = {
    "image_tokens_released_224": lambda model: model.image_tokens(image(224), "released")[0],
    "image_tokens_released_448": lambda model: model.image_tokens(image(448), "released")[0],
    "audio_tokens_5s": lambda model: model.audio_tokens(audio(2, 5))[0],
    "audio_tokens_2s": lambda model: model.audio_tokens(audio(1, 2))[0],
}


def test_state_dict_has_the_public_names_and_shapes(full_model: AudioCLIP) -> None:
    expected = json.loads(shared("golden", "audioclip_state_dict.json").read_text())
    found = {name: list(value.shape) for name, value in full_model.state_dict().items()}
    assert found == expected
    assert len(found) == 861


@pytest.mark.parametrize("name", POOLED)
def test_pooled(name: str, full_model: AudioCLIP, golden: dict[str, np.ndarray]) -> None:
    with torch.inference_mode():
        found = POOLED[name](full_model)
    assert found.shape == golden[name].shape
    assert relative_error(found, golden[name]) < TOLERANCE


@pytest.mark.parametrize("name", TOKENS)
def test_tokens(name: str, full_model: AudioCLIP, golden: dict[str, np.ndarray]) -> None:
    with torch.inference_mode():
        found = TOKENS[name](full_model)
    expected = golden[name]
    assert found.shape == expected.shape
    assert relative_error(found, expected) < TOLERANCE
    cells = found - found.mean(dim=0)
    assert relative_error(cells, expected - expected.mean(axis=0)) < CELL_TOLERANCE


def test_text(
    full_model: AudioCLIP, golden: dict[str, np.ndarray], phrases: dict[str, list[str]]
) -> None:
    with torch.inference_mode():
        found = full_model.encode_text(phrases["phrases"])
    assert relative_error(found, golden["text_embeddings"]) < TOLERANCE


@pytest.mark.parametrize(("texts", "ids"), [("phrases", "phrase_ids"), ("names", "name_ids")])
def test_token_ids(
    texts: str, ids: str, full_model: AudioCLIP, phrases: dict[str, list[str]]
) -> None:
    assert full_model.tokenizer is not None
    with np.load(shared("golden", "tokens.npz")) as expected:
        np.testing.assert_array_equal(full_model.tokenizer(phrases[texts]).numpy(), expected[ids])


def test_fast_path_meets_the_same_numbers(
    full_model: AudioCLIP, golden: dict[str, np.ndarray]
) -> None:
    encoder = AudioCLIPEncoder(full_model, image_tokens="released")
    tokens = encoder.encode(image(224), audio(2, 5)[:, 0])
    assert tokens.grid == (7, 7)
    assert relative_error(tokens.image, golden["image_pooled_224"]) < TOLERANCE
    assert relative_error(tokens.visual[0], golden["image_tokens_released_224"]) < TOLERANCE
    assert relative_error(tokens.sound, golden["audio_pooled_5s"]) < TOLERANCE
    assert relative_error(tokens.audio[0], golden["audio_tokens_5s"]) < TOLERANCE


def test_fast_path_equals_the_plain_modules_at_full_loudness(full_model: AudioCLIP) -> None:
    encoder = AudioCLIPEncoder(full_model)
    waveforms = audio(2, 5)[:, 0] * 32_768
    with torch.inference_mode():
        expected = full_model.audio.tokens(full_model.audio.features(waveforms))
        pictures = full_model.image_tokens(image(448), "values")
    tokens = encoder.encode(image(448), waveforms)
    assert relative_error(tokens.audio, expected.numpy()) < TOLERANCE
    assert relative_error(tokens.visual, pictures.numpy()) < TOLERANCE
