from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tvsl.synthetic.vocabulary import CLASSES
from tvsl.synthetic.world import World
from tvsl.training.config import CELLS, PretrainConfig, Terms
from tvsl.training.pretraining import Pretraining, mini_config, new_mini_model
from tvsl.training.pretraining_data import (
    PretrainingBatch,
    PretrainingBatches,
    caption_text,
    make_clips,
)

from .oracle import info_nce
from .tiny import WEIGHTS, recipe, tiny_model

CLIPS = make_clips(World("train", off_screen=0.0), range(24))
TERMS = tuple(Terms.model_fields)
SCALES = (
    "model.logit_scale",
    "model.logit_scale_at",
    "model.logit_scale_ai",
    "text_cells_scale",
    "audio_cells_scale",
)


def batch(step: int = 0, size: int = 6) -> PretrainingBatch:
    return PretrainingBatches(CLIPS, 100, size, classes=4, seed=3).make(step)


def module(seed: int = 0, **changes: object) -> Pretraining:
    torch.manual_seed(seed)
    return Pretraining(tiny_model(), recipe(**changes))


def unit(vectors: Tensor) -> NDArray[np.float64]:
    rows = vectors.detach().double().numpy()
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def true_of(caption: list[int], things: list[list[int]]) -> bool:
    return any(
        thing[0] >= 0 and all(word in (-1, own) for word, own in zip(caption, thing, strict=True))
        for thing in things
    )


def expected_terms(made: Pretraining, given: PretrainingBatch, count: int) -> dict[str, float]:
    """The five terms, from the encoders' outputs on, pair by pair."""
    model = made.model
    captions = [*given.picture_captions.tolist(), *given.mixture_captions.tolist()]
    image = unit(model.encode_image(given.frames))
    audio = unit(model.encode_audio(given.waveforms))
    leads = given.leads.tolist()
    text = unit(model.encode_text(list(map(caption_text, captions, leads))))
    cells = unit(model.image_tokens(given.frames, "values"))
    members = given.members.numpy()

    def truths(items: Tensor) -> NDArray[np.bool_]:
        rows = items.tolist()
        return np.array([[true_of(caption, things) for caption in captions] for things in rows])

    def best(queries: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sort(cells @ queries.T, axis=1)[:, -count:].mean(axis=1)

    shown, told = truths(given.seen), truths(given.heard)
    return {
        "image_text": info_nce(10 * image @ text.T, shown),
        "audio_text": info_nce(11 * audio @ text.T, told),
        "image_audio": info_nce(12 * image @ audio.T, members),
        "text_cells": info_nce(13 * best(text), shown),
        "audio_cells": info_nce(14 * best(audio), members),
    }


@pytest.fixture(scope="module")
def practised() -> Pretraining:
    """After some steps: until then all embeddings are nearly the same."""
    made = module()
    optimizer = torch.optim.Adam(made.parameters(), lr=5e-3)
    for step in range(15):
        loss = torch.stack(list(made.terms(batch(step), 4).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        for number, name in enumerate(SCALES):
            made.get_parameter(name).fill_(math.log(10 + number))
    return made.eval()


@pytest.mark.parametrize("count", [1, 5])
def test_the_five_terms(count: int, practised: Pretraining) -> None:
    made, given = practised, batch(20)
    with torch.no_grad():
        found = made.terms(given, count)
    expected = expected_terms(made, given, count)
    assert found.keys() == expected.keys() == set(TERMS)
    for name, value in found.items():
        assert float(value) == pytest.approx(expected[name], rel=1e-4), name


def test_scales_start_at_14() -> None:
    for name in SCALES:
        assert float(module().get_parameter(name).detach()) == pytest.approx(math.log(14))


def test_the_loss_is_their_weighted_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    made = module(least_cells=3, most_cells=3)
    monkeypatch.setattr(made, "log_dict", lambda *_, **__: None)
    terms = made.terms(batch(), 3)
    expected = sum(WEIGHTS[name] * float(value.detach()) for name, value in terms.items())
    assert float(made.training_step(batch(), 0).detach()) == pytest.approx(expected, rel=1e-5)


PARTS = {
    "visual": {"image_text", "image_audio", "text_cells", "audio_cells"},
    "audio": {"audio_text", "image_audio", "audio_cells"},
    "token_embedding": {"image_text", "audio_text", "text_cells"},
    "logit_scale": {"image_text"},
    "logit_scale_at": {"audio_text"},
    "logit_scale_ai": {"image_audio"},
    "text_cells_scale": {"text_cells"},
    "audio_cells_scale": {"audio_cells"},
}


@pytest.mark.parametrize("left", TERMS)
def test_a_term_can_stand_alone(left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = Terms(**{name: float(name == left) for name in TERMS})
    made = module(terms=terms, least_cells=2, most_cells=2)
    monkeypatch.setattr(made, "log_dict", lambda *_, **__: None)
    loss = made.training_step(batch(), 0)
    expected = module().terms(batch(), 2)[left]
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    loss.backward()
    reached = {
        name.removeprefix("model.").split(".")[0]
        for name, parameter in made.named_parameters()
        if parameter.grad is not None and bool(parameter.grad.any())
    }
    for part, terms_of_it in PARTS.items():
        assert (part in reached) == (left in terms_of_it), part


def test_every_parameter_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    made = module()
    monkeypatch.setattr(made, "log_dict", lambda *_, **__: None)
    made.training_step(batch(), 0).backward()
    for name, parameter in made.named_parameters():
        if name == "model.visual.attnpool.k_proj.bias":
            continue  # it adds the same to all products of a query
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name


def losses(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made = module(seed, learning_rate=5e-3)
    monkeypatch.setattr(made, "log_dict", lambda *_, **__: None)
    (optimizer,), _ = made.configure_optimizers()
    values = []
    for _ in range(25):
        loss = made.training_step(batch(), 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
    return values


def test_the_loss_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    values = losses(0, monkeypatch)
    assert values[-1] < 0.7 * values[0]
    assert losses(0, monkeypatch) == values


def test_the_number_of_cells_is_of_the_seed_and_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr(Pretraining, "log_dict", lambda *_, **__: None)
    real = Pretraining.terms

    def noted(self: Pretraining, given: PretrainingBatch, count: int) -> dict[str, Tensor]:
        counts.append(count)
        return real(self, given, 1)

    monkeypatch.setattr(Pretraining, "terms", noted)
    for step in (*range(12), 0):
        monkeypatch.setattr(Pretraining, "global_step", step)
        module(least_cells=1, most_cells=9).training_step(batch(size=2), 0)
    assert counts[-1] == counts[0]
    assert len(set(counts)) > 4
    assert set(counts) <= set(range(1, 10))


def test_the_rate_rises_and_falls_like_a_cosine() -> None:
    made = module(steps=50, warm_up=10, learning_rate=0.4)
    (optimizer,), (schedule,) = made.configure_optimizers()
    assert schedule["interval"] == "step"
    rates = []
    for _ in range(51):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule["scheduler"].step()
    assert rates[:10] == pytest.approx([0.04 * n for n in range(1, 11)])
    expected = [0.2 * (1 + math.cos(math.pi * n / 40)) for n in range(41)]
    assert rates[10:] == pytest.approx(expected)


def test_vectors_and_scales_do_not_decay() -> None:
    made = module(weight_decay=0.3)
    (optimizer,), _ = made.configure_optimizers()
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert len(decay) == len(list(made.parameters()))
    for name, parameter in made.named_parameters():
        assert decay[id(parameter)] == (0.3 if parameter.ndim > 1 else 0.0), name


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"batch": 1},
        {"clips": -1},
        {"learning_rate": 0.0},
        {"least_cells": 9, "most_cells": 8},
        {"most_cells": CELLS + 1},
        {"terms": dict.fromkeys(TERMS, 0.0)},
        {"terms": {"image_text": -1.0}},
        {"terms": {"text_image": 1.0}},
        {"epochs": 3},
    ],
    ids=str,
)
def test_recipes_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        PretrainConfig(**{**recipe().model_dump(), **changes})


def test_terms_weigh_by_default() -> None:
    assert all(weight > 0 for weight in Terms().model_dump().values())


def test_the_mini_model_is_small_and_has_14_by_14_cells() -> None:
    torch.manual_seed(0)
    model = new_mini_model()
    assert (
        2 * sum(value.numel() for value in model.state_dict().values()) < 8e6
    )  # in half precision
    config = mini_config()
    assert config.image.resolution // config.image.cell == 14
    assert config.embedding == 128
    assert config.audio.sample_rate * 1.28 == config.audio.segment == 20_480  # type: ignore[union-attr]
    assert config.classes == CLASSES["all"]
    model.require_tokenizer()(config.classes)
    model.require_tokenizer()(["a small red ring and the large striped disc"])
    with torch.inference_mode():
        model.eval()
        assert model.image_tokens(torch.zeros(1, 3, 112, 112)).shape == (1, CELLS, 128)
        assert model.audio_tokens(torch.zeros(1, 20_480)).shape[::2] == (1, 128)


def test_validation_terms_need_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    made, given = module(least_cells=2, most_cells=5).eval(), batch()
    logged: dict[str, Tensor] = {}
    monkeypatch.setattr(made, "log_dict", lambda values, **_: logged.update(values))
    with torch.no_grad():
        made.validation_step(given, 0)
        terms = made.terms(given, 3)
    assert logged.keys() == {f"validation/{name}" for name in (*TERMS, "loss")}
    for name, value in terms.items():
        assert float(logged[f"validation/{name}"]) == pytest.approx(float(value))
