"""The encoders against `plain.py`, which writes them out in NumPy.

On small random weights both sides compute in float64 and must agree to 1e-9 (found: 3e-12, after
decibels of bins that nearly vanish); the fast path computes in float32. The weights have the gain
of a trained network, so that another sound or picture changes what comes out by a third and cells
differ by a tenth: with torch's own start the norms' constants would hide everything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from tests.audioclip import plain
from tests.audioclip.conftest import SMALL
from tests.shared_files import fill, shared
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.model import AudioCLIP

Array = NDArray[np.float64]
TOLERANCE = 1e-9
MODES = ("values", "cells", "released")
SIZES = ((64, 64), (288, 352), (96, 32), (64, 160))
WINDOW, HOP, HEADS, SIDE = 96, 40, 4, 2
LENGTHS = (1, 2, 95, 96, 97, 136, 137, 501, 5_001)
"""Frames: 1 up to 96 samples, 2 up to 136, 3 from 137 on."""


def lively(model: AudioCLIP) -> AudioCLIP:
    """A model with random weights that keep the size of what passes through."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.ndim == 0 or name.endswith("window"):
                continue
            u = torch.randn(value.shape, generator=generator)
            if name.endswith("fbsp.fc"):
                u = torch.arange(len(u)) + 0.1 * u
            elif name.endswith(("running_var", "fbsp.m", "fbsp.fb")):
                u = 1 + 0.2 * u.clamp(-2, 2)
            elif value.ndim == 1:
                u = (1.0 if name.endswith("weight") else 0.0) + 0.1 * u
            elif "embedding" not in name:
                inputs = len(value) if name == "text_projection" else value[0].numel()
                # Attention to one cell alone would make all cells alike.
                gain = 0.4 if "attnpool.q_proj" in name or "attnpool.k_proj" in name else 1
                u = gain * u * math.sqrt(2 / inputs)
            value.copy_(u)
    return model.freeze()


@pytest.fixture(scope="module")
def model() -> AudioCLIP:
    return lively(AudioCLIP(SMALL))


@pytest.fixture(scope="module")
def double(model: AudioCLIP) -> AudioCLIP:
    copied = AudioCLIP(SMALL)
    copied.load_state_dict(model.state_dict())
    return copied.double().freeze()


@pytest.fixture(scope="module")
def state(model: AudioCLIP) -> dict[str, Array]:
    return {name: value.double().numpy() for name, value in model.state_dict().items()}


def random(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator)


def error(found: Tensor, expected: Array) -> float:
    """Length of the difference over that of what is expected, and over that of the cells alone."""
    assert found.shape == expected.shape
    difference = found.double().numpy() - expected
    whole = np.linalg.norm(difference) / np.linalg.norm(expected)
    if expected.ndim < 2 or len(expected) < 2:
        return float(whole)
    cells = expected - expected.mean(axis=0)
    centred = difference - difference.mean(axis=0)
    return float(max(whole, np.linalg.norm(centred) / np.linalg.norm(cells)))


@pytest.mark.parametrize("size", SIZES, ids=str)
@torch.inference_mode()
def test_pictures_of_any_shape(
    size: tuple[int, int], model: AudioCLIP, double: AudioCLIP, state: dict[str, Array]
) -> None:
    picture = random(1, 3, *size)
    features = plain.image_features(state, picture[0].double().numpy())
    assert features.shape[1:] == (size[0] // 32, size[1] // 32)
    pooled = plain.image_tokens(state, features, "pooled", HEADS, SIDE)
    assert error(double.visual.features(picture.double())[0], features) < TOLERANCE
    assert error(double.encode_image(picture.double())[0], pooled) < TOLERANCE
    for mode in MODES:
        expected = plain.image_tokens(state, features, mode, HEADS, SIDE)
        assert error(double.image_tokens(picture.double(), mode)[0], expected) < TOLERANCE  # type: ignore[arg-type]
        frame = AudioCLIPEncoder(model, image_tokens=mode).encode_frames(picture)  # type: ignore[arg-type]
        assert frame.grid == features.shape[1:]
        assert error(frame.tokens[0], expected) < 1e-4
        assert error(frame.embeddings[0], pooled) < 1e-4


@pytest.mark.parametrize("samples", LENGTHS)
@torch.inference_mode()
def test_sounds_of_any_length(
    samples: int, model: AudioCLIP, double: AudioCLIP, state: dict[str, Array]
) -> None:
    sound = 0.1 * random(1, samples)
    features = plain.audio_features(state, 32768 * sound[0].double().numpy(), WINDOW, HOP)
    tokens = plain.audio_tokens(state, features)
    pooled = plain.audio_pooled(state, features)
    assert error(double.audio_tokens(sound.double())[0], tokens) < TOLERANCE
    assert error(double.encode_audio(sound.double())[0], pooled) < TOLERANCE
    found = AudioCLIPEncoder(model).encode_sounds(sound)
    # Single precision: a bin that nearly vanishes has few digits, and its decibels count as others.
    assert error(found.tokens[0], tokens) < 1e-3
    assert error(found.embeddings[0], pooled) < 1e-3


@pytest.mark.parametrize("ids", [[62, 63, 0, 0], [62, 5, 9, 63, 0, 0, 0], [62, *range(1, 11), 63]])
@torch.inference_mode()
def test_texts(ids: list[int], double: AudioCLIP, state: dict[str, Array]) -> None:
    expected = plain.text_embedding(state, ids, heads=2)
    assert error(double.encode_text(torch.tensor([ids]))[0], expected) < TOLERANCE


SCALES = (math.log(20.0), math.log(7.0), math.log(57.0)), (5.2, -0.4, 0.0)
"""Of picture and text, sound and text, sound and picture: learned ones, and beyond the clamp."""


@pytest.mark.parametrize("scales", SCALES, ids=["learned", "clamped"])
def test_learned_logit_scales(scales: tuple[float, float, float]) -> None:
    """Eq. 1 with its scales, and the slope of each by differences."""
    model = AudioCLIP(SMALL).double()
    image, audio, text = (random(5, 16 + k)[:, :16].double() for k in range(3))
    names = ("logit_scale", "logit_scale_at", "logit_scale_ai")

    def by_hand(*given: float) -> float:
        i, a, t = ((side / side.norm(dim=1, keepdim=True)).numpy() for side in (image, audio, text))
        total = 0.0
        for scale, cosines in zip(given, (i @ t.T, a @ t.T, a @ i.T), strict=True):
            logits = min(max(math.exp(scale), 1.0), 100.0) * cosines
            for way in (logits, logits.T):
                total += float((logsumexp(way, axis=1) - np.diag(way)).mean())
        return total

    with torch.no_grad():
        for name, scale in zip(names, scales, strict=True):
            getattr(model, name).fill_(scale)
    loss = model.contrastive_loss(image=image, audio=audio, text=text)
    assert loss.item() == pytest.approx(by_hand(*scales), rel=1e-12)
    loss.backward()
    for place, name in enumerate(names):
        step = [1e-6 * (other == place) for other in range(3)]
        ends = [
            by_hand(*(s + way * d for s, d in zip(scales, step, strict=True))) for way in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / 2e-6
        if scales[place] != 0.0:  # there the slope is one-sided
            assert getattr(model, name).grad.item() == pytest.approx(slope, rel=1e-6, abs=1e-9)
    found = model.logit_scales()
    factors = [min(max(math.exp(scale), 1.0), 100.0) for scale in scales]
    assert [found.image_text, found.audio_text, found.audio_image] == pytest.approx(factors)


# Full size, golden weights. `python -m tests.audioclip.plain` wrote the numbers.


def check(found: Tensor, expected: dict[str, Any], tolerance: float) -> None:
    """The length to a tolerance, entries to ten times that of their root mean square."""
    summary = plain.summary(found.double().numpy())
    assert summary["shape"] == expected["shape"]
    assert summary["norm"] == pytest.approx(expected["norm"], rel=tolerance)
    spread = expected["norm of cells"]
    assert summary["norm of cells"] == pytest.approx(spread, rel=20 * tolerance, abs=1e-9)
    size = expected["norm"] / math.sqrt(math.prod(expected["shape"]))
    np.testing.assert_allclose(
        summary["entries"], expected["entries"], rtol=0, atol=10 * tolerance * size
    )


def some_slow(values: Sequence[Any], fast: Sequence[Any]) -> list[Any]:
    return [pytest.param(v, marks=[] if v in fast else [pytest.mark.slow]) for v in values]


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plain.NUMBERS.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("samples", some_slow(plain.LENGTHS, (1, 1655)))
@torch.inference_mode()
def test_full_size_sounds(samples: int, full_model: AudioCLIP, numbers: dict[str, Any]) -> None:
    sound = 32768 * torch.from_numpy(fill().audio(1, samples)[:, 0])  # the model has the factor 1
    # Of a waveform up to 32768 single precision leaves the quietest bins few digits.
    check(full_model.audio_tokens(sound)[0], numbers[f"audio {samples} tokens"], 1e-3)
    check(full_model.encode_audio(sound)[0], numbers[f"audio {samples} pooled"], 1e-3)


@pytest.mark.parametrize("size", some_slow(plain.PICTURES, ((288, 352),)), ids=str)
@torch.inference_mode()
def test_full_size_pictures(
    size: tuple[int, int], full_model: AudioCLIP, numbers: dict[str, Any]
) -> None:
    features = full_model.visual.features(torch.from_numpy(fill().image(1, *size)))
    name = f"image {size[0]} x {size[1]}"
    check(full_model.visual.attnpool(features)[0], numbers[f"{name} pooled"], 1e-4)
    for mode in MODES:
        check(full_model.visual.attnpool.tokens(features, mode)[0], numbers[f"{name} {mode}"], 1e-4)  # type: ignore[arg-type]


@pytest.mark.slow
def test_plain_meets_the_official_numbers(golden: dict[str, Array]) -> None:
    """The plain encoders themselves, where the official implementation was run."""
    shapes = json.loads(shared("golden", "audioclip_state_dict.json").read_text(encoding="utf-8"))
    made = fill()
    weights = plain.golden_state(made, shapes)
    picture = made.image(2, 224, 224)[0].astype(np.float64)
    features = plain.image_features(weights, picture)
    tokens = plain.image_tokens(weights, features, "released", plain.HEADS, plain.SIDE)
    pooled = plain.image_tokens(weights, features, "pooled", plain.HEADS, plain.SIDE)
    assert relative(pooled, golden["image_pooled_224"][0]) < 1e-5
    assert relative(tokens, golden["image_tokens_released_224"]) < 1e-5
    # A waveform of +-1 is 90 dB too quiet: in the official run's single precision its filters leak
    # more than the quiet bins hold, and decibels of these are others by a percent.
    for seconds, batch in ((5, 2), (2, 1)):
        sound = made.audio(batch, 44_100 * seconds)[0, 0]
        rounded = (sound + np.float32(32768)) * np.float32(2) / np.float32(65535) - np.float32(1)
        loud = (rounded.astype(np.float64) + 1) * 65535 / 2 - 32768
        features = plain.audio_features(weights, loud, plain.WINDOW, plain.HOP)
        tokens, pooled = (
            plain.audio_tokens(weights, features),
            plain.audio_pooled(weights, features),
        )
        assert relative(tokens, golden[f"audio_tokens_{seconds}s"]) < 3e-2
        assert relative(pooled, golden[f"audio_pooled_{seconds}s"][0]) < 3e-2


def relative(found: Array, expected: Array) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
