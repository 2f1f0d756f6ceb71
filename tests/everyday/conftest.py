from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.everyday.made_model import SPACE, made_networks, made_tokenizer
from tvsl.everyday.encoder import EverydayEncoder
from tvsl.everyday.model_file import EverydayNetworks, save


@pytest.fixture(scope="session")
def networks() -> EverydayNetworks:
    """Networks with made-up weights; nobody changes them."""
    return made_networks(SPACE)


@pytest.fixture(scope="session")
def model(networks: EverydayNetworks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their folder; nobody changes it."""
    folder = tmp_path_factory.mktemp("everyday") / "made-up"
    folder.mkdir()
    save(networks, made_tokenizer(), folder, {"NOTICE": "made up"})
    return folder


@pytest.fixture(scope="session")
def encoder(networks: EverydayNetworks) -> EverydayEncoder:
    return EverydayEncoder(networks, made_tokenizer(), "0" * 64)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
