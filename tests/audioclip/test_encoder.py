from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.audioclip.conftest import SMALL
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.model import AudioCLIP
from tvsl.errors import ShapeError, VocabularyError


class Counting:
    """A tokenizer of made-up ids that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> torch.Tensor:
        self.asked += texts
        return torch.tensor([[62, 1 + sum(map(ord, text)) % 60, 63] for text in texts])


@pytest.fixture
def encoder(small_model: AudioCLIP) -> AudioCLIPEncoder:
    return AudioCLIPEncoder(small_model)


def test_tokens_and_embeddings_are_the_models(
    encoder: AudioCLIPEncoder, small_model: AudioCLIP
) -> None:
    images, sounds = torch.randn(2, 3, 64, 96), 0.1 * torch.randn(2, 900)
    tokens = encoder.encode(images, sounds)
    assert tokens.grid == (2, 3)
    close = {"rtol": 1e-3, "atol": 1e-4}
    torch.testing.assert_close(tokens.visual, small_model.image_tokens(images), **close)
    torch.testing.assert_close(tokens.image, small_model.encode_image(images), **close)
    torch.testing.assert_close(tokens.audio, small_model.audio_tokens(sounds), **close)
    torch.testing.assert_close(tokens.sound, small_model.encode_audio(sounds), **close)


def test_columns_of_a_piece_are_those_of_the_whole_sound(encoder: AudioCLIPEncoder) -> None:
    grid = encoder.sound_grid
    assert grid is not None
    generator = torch.Generator().manual_seed(3)
    waveform = 0.1 * torch.randn(1, 24 * grid.step + grid.overlap, generator=generator)
    columns = encoder.encode_columns(waveform)
    assert columns.shape[-1] == grid.columns(waveform.shape[1]) == 24
    first, stop = 11, 14
    piece = slice(
        (first - grid.margin) * grid.step, (stop + grid.margin) * grid.step + grid.overlap
    )
    part = encoder.encode_columns(waveform[:, piece])[..., grid.margin : -grid.margin]
    expected = columns[..., first:stop]
    assert float((part - expected).norm() / expected.norm()) < 1e-4
    whole, tokens = encoder.pool_columns(columns), encoder.encode_sounds(waveform)
    assert torch.equal(whole.tokens, tokens.tokens)
    assert torch.equal(whole.embeddings, tokens.embeddings)
    samples = grid.step * 3 + 7  # as many columns as a window has by itself
    alone = encoder.encode_sounds(waveform[:, :samples]).tokens
    assert alone.shape == encoder.pool_columns(columns[..., : grid.columns(samples)]).tokens.shape


def test_panels_are_encoded_apart_and_joined_row_by_row(encoder: AudioCLIPEncoder) -> None:
    panels, sounds = torch.randn(2, 3, 3, 64, 32), torch.randn(2, 500)
    tokens = encoder.encode(panels, sounds)
    assert (tokens.grid, tokens.panels) == ((2, 3), 3)
    joined = tokens.visual.view(2, 2, 3, 16)
    for number in range(3):
        alone = encoder.encode(panels[:, number], sounds)
        torch.testing.assert_close(joined[:, :, number], alone.visual.view(2, 2, 16))


def test_tokens_can_be_trained_on(encoder: AudioCLIPEncoder) -> None:
    tokens = encoder.encode(torch.randn(1, 3, 64, 64), torch.randn(1, 500))
    head = torch.nn.Linear(16, 1)
    head(tokens.visual).sum().backward()
    assert head.weight.grad is not None


@pytest.mark.parametrize(("flip", "axes"), [("mirror", (3,)), ("turn", (2, 3))])
def test_flip_average_turns_with_the_picture(
    flip: str, axes: tuple[int, ...], small_model: AudioCLIP
) -> None:
    encoder = AudioCLIPEncoder(small_model, flip_average=flip)  # type: ignore[arg-type]
    images, sounds = torch.randn(1, 3, 64, 96), torch.randn(1, 500)
    straight = encoder.encode(images, sounds).visual.view(2, 3, 16)
    flipped = encoder.encode(images.flip(axes), sounds).visual.view(2, 3, 16)
    torch.testing.assert_close(flipped.flip([axis - 2 for axis in axes]), straight)


def test_names_are_embedded_once(small_model: AudioCLIP) -> None:
    encoder = AudioCLIPEncoder(small_model)
    counting = Counting()
    small_model.tokenizer = counting  # type: ignore[assignment]
    try:
        first = encoder.embed(["dog", "cat"])
        again = encoder.embed(["cat", "dog", "cat"])
    finally:
        small_model.tokenizer = None
    assert counting.asked == ["dog", "cat"]
    torch.testing.assert_close(again, first[[1, 0, 1]])
    torch.testing.assert_close(first.norm(dim=-1), torch.ones(2))


@pytest.mark.parametrize("names", [[], ["dog", "dog"], ["dog", " "]])
def test_vocabulary_refuses(names: list[str], encoder: AudioCLIPEncoder) -> None:
    with pytest.raises(VocabularyError):
        encoder.vocabulary(names)


def test_fingerprint_follows_the_weights_and_the_config(small_model: AudioCLIP) -> None:
    def fingerprint(model: AudioCLIP) -> str:
        return AudioCLIPEncoder(model).fingerprint

    twin = AudioCLIP(SMALL)
    twin.load_state_dict(small_model.state_dict())
    assert fingerprint(twin) == fingerprint(small_model)
    quiet = AudioCLIP(SMALL.model_copy(update={"waveform_scale": 1.0}))
    quiet.load_state_dict(small_model.state_dict())
    assert fingerprint(quiet) != fingerprint(small_model)
    other = AudioCLIP(SMALL)
    other.load_state_dict(small_model.state_dict())
    with torch.no_grad():
        other.visual.conv1.weight[0, 0, 0, 0] += 1e-3
    assert fingerprint(other) != fingerprint(small_model)


@pytest.mark.parametrize(
    ("frames", "sounds"), [((2, 3, 64, 64), (1, 500)), ((3, 64, 64), (3, 500))]
)
def test_what_is_no_batch_of_clips(
    frames: tuple[int, ...], sounds: tuple[int, ...], encoder: AudioCLIPEncoder
) -> None:
    with pytest.raises(ShapeError):
        encoder.encode(torch.zeros(frames), torch.zeros(sounds))


@pytest.mark.parametrize(
    ("size", "square", "expected"),
    [((50, 100), False, (64, 128)), ((50, 100), True, (64, 64)), ((300, 100), False, (192, 64))],
)
def test_pictures_are_prepared_in_whole_cells(
    size: tuple[int, int],
    square: bool,
    expected: tuple[int, int],
    encoder: AudioCLIPEncoder,
) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    frame = encoder.prepare(picture, square)
    assert frame.shape == (3, *expected)
    assert encoder.encode(frame[None], torch.randn(1, 500)).grid == (
        expected[0] // 32,
        expected[1] // 32,
    )
