"""The mini model as a folder, untrained, with a head on it."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.small_model import random_head
from tvsl.audioclip.checkpoint import save_audioclip
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.methods.checkpoint_io import save_head
from tvsl.training.pretraining import new_mini_model


def write_mini_bundle(folder: Path, seed: int = 0, **decided: object) -> Path:
    """Write the model and a head of made-up weights, its hyperparameters as ``decided``."""
    torch.manual_seed(seed)
    save_audioclip(new_mini_model().freeze(), folder)
    head = random_head(embedding=128, seed=seed, **decided)
    save_head(head, AudioCLIPEncoder(load_audioclip(folder)), folder / "head")
    return folder
