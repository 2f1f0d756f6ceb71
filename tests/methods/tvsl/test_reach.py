"""Outputs that each part of a head reaches, found by replacing its parameters with noise."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.methods.tvsl.inputs import SIZE, ragged_labels, tokens, vocabulary
from tvsl.methods.tvsl import TVSL
from tvsl.methods.tvsl.method import TVSLConfig, preset
from tvsl.tokens import Queries

DETECTORS = ("evidence", "decomposition", "fusion", "joint")
QUERIES = Queries.from_labels(ragged_labels((1, 2, 3, 1)))


def reached(head: TVSL, part: str) -> set[str]:
    """Outputs of a head that noise in a part of it changes."""
    noisy = copy.deepcopy(head)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in noisy.get_submodule(part).parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    found = set()
    for name in ("maps", *DETECTORS):
        before, after = (outputs(one, name) for one in (head, noisy))
        if not torch.equal(before, after):
            found.add(name)
    return found


@torch.inference_mode()
def outputs(head: TVSL, name: str) -> torch.Tensor:
    if name == "maps":
        return head.maps(tokens(), QUERIES, vocabulary())
    head.set_tuned(detector=name)
    return head.detect(tokens(), vocabulary())


def head(**changes: object) -> TVSL:
    torch.manual_seed(0)
    config = preset("tvsl", embedding=SIZE, **changes)
    assert isinstance(config, TVSLConfig)
    return TVSL(config).double().eval()


@pytest.mark.parametrize(
    ("part", "reaches"),
    [
        ("project_audio_correspondence", {"maps"}),
        ("project_visual_correspondence", set()),
        ("project_audio_class", {"joint"}),
        ("project_visual_class", {"joint"}),
        ("fusion", {"fusion", "joint"}),
        ("detection_scale", {"fusion", "joint"}),
        ("class_scale", {"joint"}),
        ("correspondence_scale", set()),
    ],
)
def test_parts_of_the_preset(part: str, reaches: set[str]) -> None:
    made = head()
    assert list(made.get_submodule(part).parameters())
    assert reached(made, part) == reaches


@pytest.mark.parametrize("part", ["project_audio", "project_visual"])
def test_trained_token_projectors_reach_everything(part: str) -> None:
    assert list(head(token_projectors="identity").get_submodule(part).parameters()) == []
    assert reached(head(), part) == {"maps", *DETECTORS}


@pytest.mark.parametrize("part", ["project_audio", "project_audio_correspondence"])
def test_what_a_map_of_the_text_is_read_from(part: str) -> None:
    """Neither the sound nor P_av; of the picture P_v alone."""
    assert "maps" not in reached(head(readout="text"), part)
    assert "maps" in reached(head(readout="text"), "project_visual")


def test_every_part_of_the_preset_is_in_the_list() -> None:
    """The parts above are all that there are."""
    parts = {name.split(".")[0] for name, _ in head().named_parameters()}
    assert len(parts) == 10
