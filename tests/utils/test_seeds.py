from __future__ import annotations

import numpy as np
import pytest
import torch

from tvsl.data.synthetic import SyntheticData
from tvsl.utils.seeds import added, seed_of_step

LARGEST = 2**63 - 1


@pytest.mark.parametrize("seed", [0, 1, 20_261_130_120_000, LARGEST])
@pytest.mark.parametrize("step", [0, 7, 10**9])
def test_every_seed_of_a_recipe_seeds_torch(seed: int, step: int) -> None:
    torch.Generator().manual_seed(seed_of_step(seed, step))
    assert seed_of_step(seed, step) != seed_of_step(seed, step + 1)


def test_seeds_that_fit_are_as_before() -> None:
    assert seed_of_step(3, 5) == 3 * 1_000_003 + 5
    assert added(1_000_000, 5) == 1_000_005


@pytest.mark.parametrize("seed", [5, LARGEST])
def test_the_seed_of_a_data_set_is_added_to_that_of_a_recipe(seed: int) -> None:
    clips = SyntheticData(seed=seed, split="train").clips(2, LARGEST)
    assert clips.seed == (seed + LARGEST) % 2**63
    assert np.isfinite(clips.read([0], 16_000).waveforms).all()
    assert clips.description()["seed"] == clips.seed
