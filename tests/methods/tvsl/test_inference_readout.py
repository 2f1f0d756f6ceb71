from __future__ import annotations

import typing

import pytest
import torch

from tvsl.methods.operations import AFFINITY
from tvsl.methods.tvsl import TVSL, TVSLConfig
from tvsl.methods.tvsl.inference import READOUTS, possible_readouts
from tvsl.methods.tvsl.method import Readout

TEXT = torch.tensor([[0.8, -0.2, 0.5, -0.1], [-0.9, -0.1, 0.3, 0.2]])
AUDIO = torch.tensor([[0.2, -0.6, -0.4, 0.9], [0.7, 0.4, -0.2, -0.3]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cosine", [[0.2, 0.6, 0.4, 0.9], [0.7, 0.4, 0.2, 0.3]]),
        ("signed", [[0.2, -0.6, -0.4, 0.9], [0.7, 0.4, -0.2, -0.3]]),
        ("text", [[0.8, -0.2, 0.5, -0.1], [-0.9, -0.1, 0.3, 0.2]]),
        ("sum", [[1.0, -0.8, 0.1, 0.8], [-0.2, 0.3, 0.1, -0.1]]),
        # Row 1 agrees nowhere: the smaller of both.
        ("evidence", [[0.4, 0.0, 0.0, 0.0], [-0.9, -0.1, -0.2, -0.3]]),
    ],
)
def test_formula(name: str, expected: list[list[float]]) -> None:
    torch.testing.assert_close(READOUTS[name](TEXT, AUDIO, 0.5), torch.tensor(expected))


@pytest.mark.parametrize(("exponent", "expected"), [(0.5, 0.4), (1.0, 0.16), (2.0, 0.0256)])
def test_evidence_takes_the_exponent(exponent: float, expected: float) -> None:
    assert READOUTS["evidence"](TEXT, AUDIO, exponent)[0, 0].item() == pytest.approx(expected)


def test_every_readout_of_the_config_exists() -> None:
    assert set(READOUTS) == set(typing.get_args(Readout))


def test_without_image_conditioning_the_text_has_no_say() -> None:
    generator = torch.Generator().manual_seed(0)
    text, audio, other = (torch.randn(3, 9, generator=generator) for _ in range(3))
    for name, readout in READOUTS.items():
        deaf_to_text = torch.equal(readout(text, audio, 0.5), readout(other, audio, 0.5))
        assert (name in possible_readouts(image_conditioning=False)) is deaf_to_text
    assert possible_readouts(image_conditioning=True) == tuple(READOUTS)
    for conditioned in (True, False):
        head = TVSL(TVSLConfig(embedding=4, image_conditioning=conditioned))
        names = possible_readouts(conditioned)
        choices = [(choice["readout"], choice["affinity"]) for choice in head.readouts()]
        assert choices == [(name, affinity) for name in names for affinity in (0.0, AFFINITY)]
