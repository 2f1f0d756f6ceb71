from __future__ import annotations

import pytest
import torch

from tvsl.methods.tvsl.modules import FusionProjector


@pytest.mark.parametrize(("layers", "within"), [(1, 1e-6), (2, 0.05)])
def test_fusion_starts_near_the_mean_of_both_halves(layers: int, within: float) -> None:
    torch.manual_seed(0)
    heard, seen = torch.randn(2, 5, 8)
    fused = FusionProjector(8, layers, identity_start=True)(torch.cat([heard, seen], dim=-1))
    assert (fused - (heard + seen) / 2).abs().max() < within


@pytest.mark.parametrize("identity_start", [False, True])
def test_fusion_trains_every_layer_from_the_start(identity_start: bool) -> None:
    torch.manual_seed(0)
    projector = FusionProjector(8, 2, identity_start)
    projector(torch.randn(5, 16)).square().sum().backward()
    for name, parameter in projector.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.norm() > 1e-4, name


@pytest.mark.parametrize(("layers", "count"), [(1, 8 * 17), (2, 8 * 17 + 16 * 17 + 8 * 17)])
def test_fusion_has_the_stated_layers(layers: int, count: int) -> None:
    projector = FusionProjector(8, layers, identity_start=True)
    assert sum(p.numel() for p in projector.parameters()) == count
