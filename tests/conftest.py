from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor

from tests.data.real_benchmarks import BENCHMARKS
from tests.localization_schema import check_written
from tests.shared_files import fill, shared
from tvsl.audioclip.config import AudioCLIPConfig
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import clip_tokenizer
from tvsl.data import DATA_SETS
from tvsl.loading import ENCODERS
from tvsl.methods import METHODS
from tvsl.metrics.protocols import PROTOCOLS
from tvsl.registry import Registry
from tvsl.utils import files

# The same command gives the same result, on a busy machine, too: what is drawn depends on the test
# alone, and an example may take its time.
settings.register_profile("tvsl", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("tvsl")


@pytest.fixture(scope="module", autouse=True)
def _registries() -> Iterator[None]:
    """Forget after a module of tests what its tests registered."""
    registries: tuple[Registry[Any], ...] = (METHODS, DATA_SETS, ENCODERS, PROTOCOLS)
    before = [(dict(one._added), dict(one._sources)) for one in registries]
    yield
    for registry, (added, sources) in zip(registries, before, strict=True):
        for known, kept in ((registry._added, added), (registry._sources, sources)):
            known.clear()
            known.update(kept)


@pytest.fixture(scope="session", autouse=True)
def _results_follow_the_schema() -> Iterator[None]:
    """Check every result of a localization that any test writes by the published schema."""
    to_json = files.to_json

    def checked(content: Any) -> str:
        check_written(content)
        return to_json(content)

    with mock.patch.object(files, "to_json", checked):
        yield


def filled_state(model: AudioCLIP) -> dict[str, Tensor]:
    """The model's state with the golden values, made from the names alone."""
    make = fill().weight
    values = (
        (name, value, make(name, tuple(value.shape))) for name, value in model.state_dict().items()
    )
    return {
        name: old if new is None else torch.from_numpy(np.asarray(new)) for name, old, new in values
    }


@pytest.fixture(scope="session")
def full_model() -> AudioCLIP:
    """Full size, golden weights, fed as the goldens were (waveforms in [-1, 1])."""
    model = AudioCLIP(AudioCLIPConfig(waveform_scale=1.0))
    model.load_state_dict(filled_state(model), strict=True)
    model.tokenizer = clip_tokenizer(shared("clip", "bpe_simple_vocab_16e6.txt.gz"))
    return model.freeze()


@pytest.fixture(scope="session")
def full_checkpoint(full_model: AudioCLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as a file in the official format, with the vocabulary beside it."""
    path = tmp_path_factory.mktemp("full") / "made-up.pt"
    torch.save(full_model.state_dict(), path)
    vocabulary = shared("clip", "bpe_simple_vocab_16e6.txt.gz")
    shutil.copyfile(vocabulary, path.with_name(vocabulary.name))
    return path


@pytest.fixture(scope="session")
def real_benchmark(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes one of the small benchmarks of real media, once, and gives its folder."""

    @cache
    def folder(name: str) -> Path:
        root = tmp_path_factory.mktemp("benchmark")
        BENCHMARKS[name].write(root)
        return root

    return folder
