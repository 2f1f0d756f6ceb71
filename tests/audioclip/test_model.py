from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

from tests.audioclip.conftest import SMALL
from tvsl.audioclip.model import AudioCLIP
from tvsl.errors import ShapeError, VocabularyError


def token_ids() -> Tensor:
    return torch.tensor([[62, 5, 9, 63, 0, 0, 0, 0, 0, 0, 0, 0], [62, 7, 63] + [0] * 9])


def symmetric_cross_entropy(first: np.ndarray, second: np.ndarray, scale: float) -> float:
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    second = second / np.linalg.norm(second, axis=1, keepdims=True)
    logits = scale * first @ second.T
    rows = logsumexp(logits, axis=1) - np.diag(logits)
    columns = logsumexp(logits, axis=0) - np.diag(logits)
    return float(rows.mean() + columns.mean())


def test_contrastive_loss_is_equation_1(small_model: AudioCLIP) -> None:
    torch.manual_seed(0)
    image, audio, text = torch.randn(3, 5, 16)
    i, a, t = (x.double().numpy() for x in (image, audio, text))
    pairs = {"it": (i, t), "at": (a, t), "ai": (a, i)}
    parts = {name: symmetric_cross_entropy(*pair, 100.0) for name, pair in pairs.items()}
    whole = small_model.contrastive_loss(image=image, audio=audio, text=text)
    assert float(whole) == pytest.approx(sum(parts.values()), rel=1e-4)
    two = small_model.contrastive_loss(image=image, text=text)
    assert float(two) == pytest.approx(parts["it"], rel=1e-4)


def test_logits_are_clamped_scaled_cosines(small_model: AudioCLIP) -> None:
    image, audio = torch.randn(2, 16), torch.randn(3, 16)
    logits = small_model.logits(image=image, audio=audio)
    assert logits.audio_text is None
    assert logits.image_text is None
    assert logits.audio_image is not None
    expected = torch.cosine_similarity(audio[:, None], image[None], dim=-1) * 100
    torch.testing.assert_close(logits.audio_image, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("given", [{}, {"image": 2}, {"image": 2, "audio": 3}])
def test_contrastive_loss_refuses(given: dict[str, int], small_model: AudioCLIP) -> None:
    with pytest.raises(ShapeError):
        small_model.contrastive_loss(**{name: torch.randn(n, 16) for name, n in given.items()})


def test_text_does_not_see_what_comes_after_its_end(small_model: AudioCLIP) -> None:
    ids = token_ids()
    changed = ids.clone()
    changed[:, 5:] = 11  # behind both end tokens, lower than the end
    torch.testing.assert_close(small_model.encode_text(ids), small_model.encode_text(changed))
    other = ids.clone()
    other[0, 1] = 6
    assert not torch.allclose(small_model.encode_text(ids)[0], small_model.encode_text(other)[0])


def test_a_text_alone_equals_the_text_in_a_batch(small_model: AudioCLIP) -> None:
    ids = token_ids()
    together = small_model.encode_text(ids)
    torch.testing.assert_close(small_model.encode_text(ids[1:])[0], together[1])


def test_strings_need_a_tokenizer(small_model: AudioCLIP) -> None:
    with pytest.raises(VocabularyError, match="no tokenizer"):
        small_model.encode_text(["dog"])


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 60, 64),
        torch.zeros(1, 3, 0, 64),
        torch.zeros(3, 64, 64),
        torch.zeros(1, 1, 64, 64),
        torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
    ],
)
def test_wrong_pictures(images: Tensor, small_model: AudioCLIP) -> None:
    with pytest.raises(ShapeError):
        small_model.encode_image(images)


@pytest.mark.parametrize(
    "waveforms",
    [torch.zeros(9), torch.zeros(1, 2, 9), torch.zeros(1, 0), torch.zeros(1, 9, dtype=torch.int16)],
)
def test_wrong_waveforms(waveforms: Tensor, small_model: AudioCLIP) -> None:
    with pytest.raises(ShapeError):
        small_model.encode_audio(waveforms)


def test_waveforms_are_scaled_to_16_bit(small_model: AudioCLIP) -> None:
    quiet = AudioCLIP(SMALL.model_copy(update={"waveform_scale": 1.0}))
    quiet.load_state_dict(small_model.state_dict())
    sound = 0.1 * torch.randn(1, 1, 400)
    expected = quiet.freeze().encode_audio(sound * 32768.0)
    torch.testing.assert_close(small_model.encode_audio(sound), expected)


def test_frozen_means_frozen(small_model: AudioCLIP) -> None:
    before = {name: value.clone() for name, value in small_model.state_dict().items()}
    small_model.train()
    assert not any(module.training for module in small_model.modules())
    head = torch.nn.Linear(16, 16)
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    loss = head(small_model.encode_image(torch.randn(4, 3, 64, 64))).square().mean()
    loss = loss + head(small_model.encode_audio(torch.randn(4, 500))).square().mean()
    loss.backward()
    optimizer.step()
    assert all(parameter.grad is None for parameter in small_model.parameters())
    assert not any(parameter.requires_grad for parameter in small_model.parameters())
    for name, value in small_model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, msg=name)


def test_an_unfrozen_model_trains() -> None:
    torch.manual_seed(0)
    model = AudioCLIP(SMALL).train()
    images, sounds = torch.randn(6, 3, 64, 64), torch.randn(6, 800)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = model.contrastive_loss(
            image=model.encode_image(images),
            audio=model.encode_audio(sounds),
            text=model.encode_text(torch.stack([torch.tensor([62, n, 63]) for n in range(1, 7)])),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
