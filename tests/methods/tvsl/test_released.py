from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import erf, logsumexp
from torch import Tensor
from torch.nn import functional as F

from tests.methods.tvsl.inputs import (
    clip,
    queries,
    ragged_labels,
    randomise,
    released,
    tokens,
    total,
    vocabulary,
    with_tokens,
)
from tests.shared_files import fill, shared
from tests.small_model import world_model
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.methods.checkpoint_io import read_head, save_head
from tvsl.methods.tvsl import ReleasedConfig, ReleasedTVSL
from tvsl.tokens import Queries, Tokens, Vocabulary

LOSSES = {
    "mcid": "mcl",
    "image_cls": "image_cls",
    "audio_cls": "audio_cls",
    "av": "contrastive",
}


@dataclass
class Golden:
    expected: dict[str, NDArray[np.float32]]
    losses: dict[str, float]
    gradients: dict[str, float]
    maps: Tensor


@pytest.fixture(scope="module")
def golden() -> Golden:
    """The released head with golden weights on golden tokens, run once for all tests."""
    made = fill()
    shapes = json.loads(shared("golden", "tvsl_released_state_dict.json").read_text())
    with np.load(shared("golden", "tvsl_released_heads.npz")) as file:
        expected = dict(file)
    head = ReleasedTVSL()
    weights = {
        name: torch.from_numpy(np.asarray(made.weight(name, tuple(shape))))
        for name, shape in shapes.items()
    }
    head.load_state_dict(weights)
    visual = F.normalize(torch.from_numpy(made.tokens("image_tokens", 4, 98)), dim=-1)
    audio = torch.from_numpy(made.tokens("audio_tokens", 4, 143))
    batch = Tokens(visual, audio, visual.mean(dim=1), audio.mean(dim=1), (7, 14), panels=2)
    text = torch.from_numpy(expected["text_class"])
    classes = Vocabulary(tuple(f"class {row}" for row in range(len(text))), text)
    first, second = (torch.from_numpy(expected[f"labels{k}"]) for k in (1, 2))
    labels = torch.zeros(4, len(text), dtype=torch.bool)
    labels[torch.arange(4), first] = True
    labels[torch.arange(4), second] = True
    losses = head.losses(batch, labels, classes)
    total(losses).backward()
    pairs = Queries(torch.arange(4).repeat(2), torch.cat([first, second]))
    with torch.no_grad():
        maps = head.eval().maps(batch, pairs, classes)
    gradients = {
        name: 0.0 if p.grad is None else p.grad.norm().item() for name, p in head.named_parameters()
    }
    return Golden(expected, {k: v.item() for k, v in losses.items()}, gradients, maps)


def test_state_dict_is_the_released_one() -> None:
    shapes = json.loads(shared("golden", "tvsl_released_state_dict.json").read_text())
    state = ReleasedTVSL().state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == shapes


@pytest.mark.parametrize("name", LOSSES)
def test_golden_loss(golden: Golden, name: str) -> None:
    expected = float(golden.expected[f"loss_{LOSSES[name]}_loss"])
    assert golden.losses[name] == pytest.approx(expected, rel=1e-5)


def test_golden_losses_are_all_there_are(golden: Golden) -> None:
    assert golden.losses.keys() == LOSSES.keys()
    expected = sum(float(golden.expected[f"loss_{name}_loss"]) for name in LOSSES.values())
    assert sum(golden.losses.values()) == pytest.approx(expected, rel=1e-5)


def test_golden_gradients(golden: Golden) -> None:
    expected = {
        name.removeprefix("gradnorm."): float(value)
        for name, value in golden.expected.items()
        if name.startswith("gradnorm.")
    }
    assert len(expected) == 35
    assert golden.gradients == pytest.approx(expected, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("source", [1, 2])
def test_golden_maps(golden: Golden, source: int) -> None:
    expected = golden.expected[f"heat{source}"][:, 0]
    found = golden.maps[4 * (source - 1) : 4 * source].numpy()
    assert found.shape == expected.shape == (4, 7, 14)
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


PAIRS = ((3, 2), (0, 1), (3, 0), (1, 5), (0, 6))


def test_maps_do_not_depend_on_order_or_on_other_clips() -> None:
    head, batch, words = released(), tokens(4), vocabulary()
    maps = head.maps(batch, queries(*PAIRS), words)
    torch.testing.assert_close(head.maps(batch, queries(*PAIRS[::-1]), words), maps.flip(0))
    for row, (which, label) in enumerate(PAIRS):
        alone = head.maps(clip(batch, [which]), queries((0, label)), words)[0]
        torch.testing.assert_close(alone, maps[row])


def test_more_queries_than_a_chunk_equal_single_ones() -> None:
    head, batch, words = released(), tokens(3), vocabulary()
    pairs = [(k % 3, (5 * k) % 7) for k in range(41)]
    maps = head.maps(batch, queries(*pairs), words)
    assert maps.shape == (41, 3, 4)
    for row in (0, 15, 16, 17, 40):
        torch.testing.assert_close(head.maps(batch, queries(pairs[row]), words)[0], maps[row])


def test_maps_have_unit_length() -> None:
    maps = released().maps(tokens(4), queries(*PAIRS), vocabulary())
    torch.testing.assert_close(maps.flatten(1).norm(dim=1), torch.ones(5).double())


def test_visual_tokens_enter_at_unit_length_and_audio_tokens_as_they_are() -> None:
    head, batch, words = released(), tokens(4), vocabulary()
    maps = head.maps(batch, queries(*PAIRS), words)
    seen = with_tokens(batch, visual=5 * batch.visual)
    heard = with_tokens(batch, audio=5 * batch.audio)
    torch.testing.assert_close(head.maps(seen, queries(*PAIRS), words), maps)
    assert not torch.allclose(head.maps(heard, queries(*PAIRS), words), maps, atol=1e-4)


def test_no_query_gives_no_map() -> None:
    nothing = Queries.from_lists([[], [], [], []])
    assert released().maps(tokens(4), nothing, vocabulary()).shape == (0, 3, 4)


@pytest.mark.parametrize("counts", [[1], [1, 2], [3, 1, 2, 2], [7, 7]])
def test_every_parameter_is_trained_for_any_number_of_sources(counts: list[int]) -> None:
    head = released()
    losses = head.losses(tokens(len(counts)), ragged_labels(counts), vocabulary())
    total(losses).backward()
    # A single pair has no negatives: nothing to learn about correspondence.
    spared = ("aip_w", "iap_w", "aud_img_proj", "img_aud_proj") if counts == [1] else ()
    for name, parameter in head.named_parameters():
        if not name.startswith(spared):
            assert parameter.grad is not None, name
            assert parameter.grad.norm() > 0, name


def test_detection_gives_the_probabilities_that_training_fits() -> None:
    head, batch, words = released(), tokens(4), vocabulary()
    labels = ragged_labels([1, 2, 3, 1])
    scores = head.detect(batch, words)
    expected = F.binary_cross_entropy(scores, labels.double())
    torch.testing.assert_close(head.losses(batch, labels, words)["mcid"], expected)


def test_mixed_precision_agrees() -> None:
    head, batch, words = released().float(), tokens(4), vocabulary()
    words = Vocabulary(words.names, words.embeddings.float())
    batch = Tokens(*(getattr(batch, side).float() for side in SIDES), batch.grid)
    labels = ragged_labels([1, 2, 3, 1])
    expected = head.maps(batch, queries(*PAIRS), words)
    with torch.autocast("cpu", torch.bfloat16):
        assert total(head.losses(batch, labels, words)).isfinite()
        found = head.maps(batch, queries(*PAIRS), words)
        assert head.detect(batch, words).isfinite().all()
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0)


SIDES = ("visual", "audio", "image", "sound")


@pytest.mark.parametrize("case", ["zero token", "orthogonal text"])
def test_degenerate_tokens_stay_finite(case: str) -> None:
    head = released()
    batch, words = degenerate(case)
    losses = head.losses(batch, ragged_labels([1, 2, 3]), words)
    total(losses).backward()
    assert all(loss.isfinite() for loss in losses.values())
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def degenerate(case: str) -> tuple[Tokens, Vocabulary]:
    batch, words = tokens(3), vocabulary()
    visual, audio, text = batch.visual.clone(), batch.audio.clone(), words.embeddings.clone()
    if case == "zero token":
        visual[0, 3] = 0
        audio[1, 2] = 0
    else:
        visual[..., 8:] = 0
        audio[..., 8:] = 0
        text[:, :8] = 0
    batch = Tokens(visual, audio, visual.mean(dim=1), audio.mean(dim=1), batch.grid)
    return batch, Vocabulary(words.names, F.normalize(text, dim=-1))


def projected(x: NDArray[np.float64], head: ReleasedTVSL, name: str) -> NDArray[np.float64]:
    """A projector by NumPy: linear, exact GELU, linear."""
    get = {key: value.detach().numpy() for key, value in head.state_dict().items()}
    hidden = x @ get[f"{name}.0.weight"].T + get[f"{name}.0.bias"]
    hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
    out: NDArray[np.float64] = hidden @ get[f"{name}.2.weight"].T + get[f"{name}.2.bias"]
    return out


def by_the_description(
    head: ReleasedTVSL,
    given: Tokens,
    words: Vocabulary,
    sources: tuple[list[int], list[int]],
    scales: tuple[float, float, float],
) -> dict[str, float]:
    """The losses as golden/README.md describes them, class 1 of all clips and then class 2.

    `scales` are the logit scales themselves: of image and text, audio and text, audio and image.
    """
    get = {key: value.detach().numpy() for key, value in head.state_dict().items()}

    def unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    def gate(weight: str, name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return get[weight] * x + (1 - get[weight]) * projected(x, head, name)

    def entropy(logits: NDArray[np.float64], label: NDArray[np.int64]) -> float:
        rows = logsumexp(logits, axis=1) - logits[np.arange(len(label)), label]
        return float(rows.mean())

    text = words.embeddings.numpy()
    image, audio, both = (float(np.clip(np.exp(scale), 1, 100)) for scale in scales)
    seen = gate("vp_w", "visual_proj", unit(given.visual.numpy()))
    heard = gate("ap_w", "audio_proj", given.audio.numpy())
    means = np.concatenate([seen.mean(axis=1), heard.mean(axis=1)], axis=-1)
    seen, heard = unit(seen), unit(heard)
    hot = sum(np.eye(len(text))[source] for source in sources)
    fused = unit(projected(means, head, "fusion_proj"))
    logits = np.clip(np.exp(get["logit_scale_ml"]), 1, 100) * fused @ unit(np.hstack([text] * 2)).T
    multi = (np.logaddexp(0, logits) - hot * logits).mean()
    of_image, of_audio, rows, queries_ = [], [], [], []
    for source in sources:
        query, label = text[source][:, :, None], np.array(source)
        seen_class = (unit((seen @ query)[..., 0])[..., None] * seen).mean(axis=1)
        heard_class = (unit((heard @ query)[..., 0])[..., None] * heard).mean(axis=1)
        f = unit(gate("icp_w", "img_cls_proj", seen_class))
        g = unit(gate("acp_w", "aud_cls_proj", heard_class))
        of_image.append(entropy(image * f @ text.T, label))
        of_audio.append(entropy(audio * g @ text.T, label))
        rows.append(unit(gate("iap_w", "img_aud_proj", seen_class)))
        queries_.append(unit(gate("aip_w", "aud_img_proj", heard_class)))
    table = both * np.concatenate(queries_) @ np.concatenate(rows).T
    target = np.arange(len(table))
    return {
        "mcid": float(multi),
        "image_cls": float(np.mean(of_image)),
        "audio_cls": float(np.mean(of_audio)),
        "av": (entropy(table, target) + entropy(table.T, target)) / 2,
    }


TWO = ([0, 3, 5, 2], [3, 1, 5, 2])  # in the last two clips both sources are of one class


def counted(sources: tuple[list[int], list[int]]) -> Tensor:
    counts = torch.zeros(4, 7, dtype=torch.int64)
    for source in sources:
        counts[torch.arange(4), torch.tensor(source)] += 1
    return counts


@pytest.mark.parametrize(
    "scales", [(4.605170186, 4.605170186, 4.605170186), (3.0, 2.5, 4.0), (-1.0, 9.0, 1.1)]
)
def test_losses_with_the_scales_of_the_encoder(scales: tuple[float, float, float]) -> None:
    head, batch, words = released(), tokens(4), vocabulary()
    randomise(head, spread=0.5)  # so far that no loss is near 0
    with torch.no_grad():
        head.logit_scale_ml.fill_(2.0)
    factors = [min(max(math.exp(scale), 1.0), 100.0) for scale in scales]
    head.config = head.config.model_copy(update=dict(zip(SCALES, factors, strict=True)))
    expected = by_the_description(head, batch, words, TWO, scales)
    found = {k: v.item() for k, v in head.losses(batch, counted(TWO), words).items()}
    assert found == pytest.approx(expected, rel=1e-9)
    merged = head.losses(batch, counted(TWO).bool(), words)  # one row for both sources
    for name, loss in merged.items():
        assert abs(loss.item() - expected[name]) > 1e-3 * expected[name]


SCALES = ("image_text_scale", "audio_text_scale", "audio_image_scale")


def test_the_head_takes_the_logit_scales_of_its_encoder_and_keeps_them(tmp_path: Path) -> None:
    model = world_model()
    with torch.no_grad():
        for name, scale in (("", 3.0), ("_at", 2.5), ("_ai", 9.0)):
            getattr(model, f"logit_scale{name}").fill_(scale)
    encoder = AudioCLIPEncoder(model, image_tokens="released")
    expected = pytest.approx([math.exp(3.0), math.exp(2.5), 100.0])
    config = ReleasedConfig(embedding=32, hidden=8)
    head = ReleasedTVSL.on_encoder(config, encoder)
    assert [getattr(head.config, name) for name in SCALES] == expected
    folder = save_head(head, encoder, tmp_path / "head")
    assert [read_head(folder).config.model_dump()[name] for name in SCALES] == expected
    loaded = read_head(folder).build(encoder)
    assert [getattr(loaded.config, name) for name in SCALES] == expected
    # A head that was stored before there were any finds them with its encoder.
    path = folder / "config.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    for name in SCALES:
        del record["config"][name]
    path.write_text(json.dumps(record), encoding="utf-8")
    found = read_head(folder).build(encoder)
    assert [getattr(found.config, name) for name in SCALES] == expected
    given = ReleasedTVSL.on_encoder(config.model_copy(update={SCALES[0]: 7.0}), encoder)
    assert given.config.image_text_scale == 7.0
    assert given.config.audio_image_scale == 100.0
