"""The constants of the presets and of what is beside them, by their values and by what they do.

Typed by hand from docs/how-tvsl-works.md and the papers; whoever changes one has to change it here.
"""

from __future__ import annotations

import math

import pytest
import torch

from tests.methods.tvsl.inputs import head, queries, tokens, vocabulary
from tvsl.errors import UsageError
from tvsl.methods.operations import AFFINITY, LogitScale
from tvsl.methods.tvsl import preset
from tvsl.methods.tvsl.detection import agreement, decompose, decomposition, evidence, evidence_sum
from tvsl.methods.tvsl.inference import log_normaliser

OF_EVERY_HEAD = {
    "embedding": 1024,
    "polarity": 1,
    "clamp_negative": False,
    "exponent": 1.0,
    "affinity": 0.0,
    "detection_threshold": None,
    "heard_floor": None,
    "seen_floor": None,
    "flip_average": "none",
    "image_tokens": None,
    "waveform_scale": None,
    "square_pictures": False,
}
TVSL = {
    **OF_EVERY_HEAD,
    "token_projectors": "trained",
    "identity_start": True,
    "fusion_layers": 2,
    "detector": "evidence",
    "detach_detection": False,
    "audio_conditioning": True,
    "image_conditioning": True,
    "class_projectors": True,
    "class_negatives": True,
    "class_focus": 30.0,
    "class_weight": 1.0,
    "correspondence": True,
    "correspondence_projectors": "both",
    "correspondence_weight": 0.1,
    "pooled_weight": 0.0,
    "mask_same_class": True,
    "stages": 2,
    "prompt_length": 0,
    "prompt_classes": 64,
    "readout": "evidence",
    "readout_exponent": 0.5,
    "query_anchor": 0.5,
    "token_anchor": 0.0,
    "responsibility": 10.0,
    "printed_sums": False,
}
PRESETS = {
    "tvsl": TVSL,
    "paper": {
        **TVSL,
        "identity_start": False,
        "fusion_layers": 1,
        "detector": "fusion",
        "class_negatives": False,
        "class_focus": 0.0,
        "correspondence_weight": 1.0,
        "mask_same_class": False,
        "readout": "cosine",
        "query_anchor": 0.0,
        "responsibility": 0.0,
        "printed_sums": True,
    },
    "released": {
        **OF_EVERY_HEAD,
        "hidden": 2048,
        "image_text_scale": None,
        "audio_text_scale": None,
        "audio_image_scale": None,
        "polarity": -1,
        "detection_threshold": 0.5,
        "heard_floor": None,
        "seen_floor": None,
        "image_tokens": "released",
        "waveform_scale": 1.0,
        "square_pictures": True,
    },
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_what_the_docs_say(name: str) -> None:
    assert preset(name).model_dump() == PRESETS[name]


def test_prompts_have_up_to_32_vectors() -> None:
    assert preset("tvsl", prompt_length=32).model_dump()["prompt_length"] == 32
    for wrong in (-1, 33):
        with pytest.raises(UsageError):
            preset("tvsl", prompt_length=wrong)


ASKED = ((0, 1), (0, 4), (1, 2), (2, 0))
SPELLED = {"query_anchor": 0.5, "responsibility": 10.0, "readout_exponent": 0.5, "affinity": 0.0}


@pytest.mark.parametrize(
    ("hyperparameter", "other"),
    [
        ("query_anchor", 0.4),
        ("responsibility", 9.0),
        ("readout_exponent", 0.6),
        ("affinity", AFFINITY),
        ("readout", "cosine"),
        ("audio_conditioning", False),
    ],
)
def test_the_default_map_is_that_of_its_constants(hyperparameter: str, other: object) -> None:
    batch, words, asked = tokens(3), vocabulary(), queries(*ASKED)
    default = head().spread_maps(batch, asked, words)
    assert torch.equal(head(**SPELLED).spread_maps(batch, asked, words), default)
    changed = head(**{**SPELLED, hyperparameter: other}).spread_maps(batch, asked, words)
    assert not torch.equal(changed, default)


def test_the_best_few_cells_are_three_percent() -> None:
    """Of 100 cells along one class with the cosines 1, 0.99, ... 0.01: the mean of the best 3."""
    cosines = torch.arange(100, 0, -1, dtype=torch.float64) / 100
    cells = torch.stack([cosines, (1 - cosines**2).sqrt()], dim=1)[None]
    _, seen = evidence(torch.ones(1, 1, 2, dtype=torch.float64), cells, torch.eye(2).double())
    assert float(seen[0, 0]) == pytest.approx((1.0 + 0.99 + 0.98) / 3)
    _, seen = evidence(torch.ones(1, 1, 2).double(), cells[:, :34], torch.eye(2).double())
    assert float(seen[0, 0]) == pytest.approx((1.0 + 0.99) / 2)  # 3 % of 34 is over one


def test_detectors_by_hand() -> None:
    heard, seen = torch.tensor([[0.8, 0.1]]).double(), torch.tensor([[0.2, 0.3]]).double()
    classes = torch.eye(2).double()
    assert evidence_sum(heard, seen, classes)[0].tolist() == pytest.approx([1.0, 0.4])
    assert agreement(heard, seen, classes)[0].tolist() == pytest.approx([0.7, 0.3])
    # Of names at right angles: w = relu(heard + 0.5 (seen - mean seen)) / (1 + 0.1).
    weights = [(0.8 - 0.5 * 0.05) / 1.1, (0.1 + 0.5 * 0.05) / 1.1]
    assert decompose(heard, seen, classes)[0].tolist() == pytest.approx(weights, abs=2e-3)
    expected = [0.7 + 1.5 * weights[0], 0.3 + 1.5 * weights[1]]
    assert decomposition(heard, seen, classes)[0].tolist() == pytest.approx(expected, abs=3e-3)


def test_names_that_are_alike_share_the_weight_to_three_digits() -> None:
    """Two names of the cosine c: by symmetry w = h / (1 + c + 0.1); slow, since ill conditioned."""
    close = 0.999
    names = torch.tensor([[1.0, 0.0], [close, math.sqrt(1 - close**2)]]).double()
    heard = torch.tensor([[0.9, 0.9]]).double()
    found = decompose(heard, torch.zeros(1, 2).double(), names)
    assert found[0].tolist() == pytest.approx([0.9 / (2 - 0.001 + 0.1)] * 2, rel=1e-3)
    # Where one is heard a little better, the difference is 0.02 / (1 - c + 0.1), which takes
    # nearly all steps.
    heard = torch.tensor([[0.91, 0.89]]).double()
    found = decompose(heard, torch.zeros(1, 2).double(), names)
    middle, apart = 0.9 / 2.099, 0.01 / 0.101
    assert found[0].tolist() == pytest.approx([middle + apart, middle - apart], rel=2e-3)


def test_a_class_without_weight_keeps_a_thousandth() -> None:
    """log(sum w exp(beta cos)), by hand: one class is heard, the other is not at all."""
    classes = torch.eye(2).double()
    audio = torch.tensor([[[1.0, 0.0]]]).double()
    visual = torch.tensor([[[1.0, 0.0]]]).double()
    weight = (1 + 0.5 * 0.5) / 1.1
    expected = math.log((weight + 1e-3) * math.exp(10) + 1e-3)
    found = log_normaliser(audio, visual, classes, 10.0)
    assert float(found[0, 0]) == pytest.approx(expected, abs=2e-3)
    silent = log_normaliser(-audio, visual, classes, 0.0)
    # Heard -1 and 0, seen 1 and 0 (prior ±0.5): neither has any weight.
    assert float(silent[0, 0]) == pytest.approx(math.log(2e-3), rel=1e-6)


def test_affinity_and_clamp() -> None:
    assert AFFINITY == 40.0
    scale = LogitScale(20.0)
    assert float(scale(torch.ones(()))) == pytest.approx(20.0)
    with torch.no_grad():
        scale.log_scale.fill_(9.0)
    assert float(scale(torch.ones(()))) == pytest.approx(100.0, rel=1e-5)
