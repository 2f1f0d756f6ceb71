from __future__ import annotations

import torch

from tvsl.everyday.model_file import EverydayNetworks


def test_two_sizes_of_features(networks: EverydayNetworks) -> None:
    with torch.no_grad():
        found = networks.seeing(torch.zeros(2, 3, 64, 96))
    assert found.fine.shape == (2, 112, 4, 6)
    assert found.last.shape == (2, 1280, 2, 3)
    assert found.last.min() >= 0
    assert found.last.max() <= 6
