from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.methods.golden import (
    GRID,
    assert_golden_gradients,
    five_classes,
    golden,
    inputs,
    relative,
    uniform,
)
from tests.methods.tvsl.inputs import queries, ragged_labels, tokens, vocabulary
from tvsl.errors import ShapeError
from tvsl.methods.audioclip import AudioCLIPFinetuned, AudioCLIPSimilarity, FinetunedConfig
from tvsl.tokens import Queries, Tokens, Vocabulary

NO_LABELS = ragged_labels([1] * 6, classes=5)
OWN = torch.eye(6, dtype=torch.bool)


def official(text: bool = False) -> AudioCLIPFinetuned:
    """The untrained head: the official loss alone, on features as they are."""
    head = AudioCLIPFinetuned(FinetunedConfig(embedding=512, text=text)).double()
    for name in head.scales:
        set_scale(head, name, 100.0)  # its double precision
    return head


def set_scale(head: AudioCLIPFinetuned, name: str, value: float) -> None:
    with torch.no_grad():
        head.scales[name].get_parameter("log_scale").fill_(math.log(value))


def frames() -> Tensor:
    return uniform("base", 1, 512) + 0.35 * uniform("frames", 6, 3, 512)


def texts() -> Tensor:
    return uniform("base", 1, 512) + 0.35 * uniform("text", 6, 512)


def as_tokens(pictures: Tensor, sound: Tensor) -> Tokens:
    visual, _ = inputs()
    return Tokens(visual, sound[:, None], pictures, sound, GRID)


def test_loss_and_gradients_are_golden() -> None:
    pictures, sound = (given.requires_grad_() for given in (frames(), inputs()[1]))
    losses = official().losses(as_tokens(pictures[:, 0], sound), NO_LABELS, five_classes())
    assert losses.keys() == {"audio_image"}
    assert relative(losses["audio_image"], golden("audioclip.loss")) < 1e-9
    assert_golden_gradients(losses["audio_image"], pictures, sound, "audioclip")


def test_logits_are_golden() -> None:
    given = as_tokens(frames()[:, 0], inputs()[1])
    cosines = torch.cosine_similarity(given.sound[:, None], given.image[None], dim=-1)
    assert relative(official().scales["audio_image"](cosines), golden("audioclip.logits")) < 1e-9


@pytest.mark.parametrize("scale", [20, 150])
def test_the_scale_is_learned_and_clamped(scale: int) -> None:
    head = official()
    set_scale(head, "audio_image", float(scale))
    losses = head.losses(as_tokens(frames()[:, 0], inputs()[1]), NO_LABELS, five_classes())
    assert relative(losses["audio_image"], golden(f"audioclip.loss_scale_{scale}")) < 1e-9


def test_the_scale_can_leave_its_start() -> None:
    """It starts at the clamp, where rounding must not keep the gradient away."""
    head = AudioCLIPFinetuned(FinetunedConfig(embedding=16))
    given = tokens(4)
    single = Tokens(
        given.visual.float(), given.audio.float(), given.image.float(), given.sound.float(), (3, 4)
    )
    names = vocabulary()
    names = Vocabulary(names.names, names.embeddings.float())
    head.losses(single, ragged_labels([1] * 4), names)["audio_image"].backward()
    gradient = head.scales["audio_image"].get_parameter("log_scale").grad
    assert gradient is not None
    assert float(gradient.abs()) > 0


def test_the_pair_of_sound_and_text_is_golden() -> None:
    losses = official().losses(as_tokens(texts(), inputs()[1]), NO_LABELS, five_classes())
    assert relative(losses["audio_image"], golden("audioclip.loss_audio_text")) < 1e-9


def test_three_modalities_are_golden() -> None:
    pictures, sound = (given.requires_grad_() for given in (frames(), inputs()[1]))
    names = Vocabulary(tuple("abcdef"), F.normalize(texts(), dim=-1))
    losses = official(text=True).losses(as_tokens(pictures[:, 0], sound), OWN, names)
    assert losses.keys() == {"audio_image", "audio_text", "image_text"}
    total = torch.stack(list(losses.values())).sum()
    assert relative(total, golden("audioclip.loss_three_modalities")) < 1e-9
    assert_golden_gradients(total, pictures, sound, "audioclip.three_modalities")


def test_the_text_of_several_classes_is_their_mean() -> None:
    head = AudioCLIPFinetuned(FinetunedConfig(embedding=16, text=True)).double()
    labels, names, given = ragged_labels([1, 3, 2, 1]), vocabulary(), tokens(4)
    losses = head.losses(given, labels, names)
    means = torch.stack([names.embeddings[row].mean(dim=0) for row in labels])
    cosines = 100 * torch.cosine_similarity(given.sound[:, None], means[None], dim=-1)
    nce = cosines.log_softmax(1).diag().mean() + cosines.log_softmax(0).diag().mean()
    torch.testing.assert_close(losses["audio_text"], -nce / 6, rtol=1e-6, atol=0)
    with pytest.raises(ShapeError, match="no label"):
        head.losses(given, labels & False, names)


def test_maps_are_golden_and_untuned_those_of_audioclip() -> None:
    every = Queries(torch.arange(6), torch.zeros(6, dtype=torch.int64))
    given = as_tokens(frames()[:, 0], inputs()[1])
    assert relative(official().maps(given, every, five_classes()), golden("lvs.map")) < 1e-9
    head, asked = AudioCLIPFinetuned(FinetunedConfig(embedding=16)).double(), queries((1, 0))
    plain = AudioCLIPSimilarity().maps(tokens(2), asked, vocabulary())
    torch.testing.assert_close(head.maps(tokens(2), asked, vocabulary()), plain)
