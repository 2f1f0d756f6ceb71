from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tvsl.audioclip.checkpoint import save_audioclip
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import build_word_tokenizer
from tvsl.reproduce.experiment import Experiment, ExperimentConfig
from tvsl.reproduce.specs import reproduce_config
from tvsl.synthetic.vocabulary import FILLER_WORDS, SHAPES, SIZE_WORDS, SURFACES
from tvsl.training.pretraining import mini_config

MakeBench = Callable[..., Experiment]

FEW = {
    "clips": 24,
    "validation_scenes": 3,
    "test_scenes": 3,
    "steps": 2,
    "batches": (4,),
    "learning_rates": (1e-3, 1e-2),
    "seeds": 2,
}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained mini model, whose texts are too short for long prompts."""
    torch.manual_seed(0)
    config, context = mini_config(), 16
    text = config.text.model_copy(update={"context": context})
    words = (*SURFACES, *SHAPES, *SIZE_WORDS, *FILLER_WORDS)
    made = AudioCLIP(config.model_copy(update={"text": text}), build_word_tokenizer(words, context))
    return save_audioclip(made.freeze(), tmp_path_factory.mktemp("model") / "mini")


@pytest.fixture(scope="session")
def make_bench(model: Path) -> MakeBench:
    """Small reproductions on the world, in a folder, with fields of the recipe."""

    def made(folder: Path, **fields: object) -> Experiment:
        config = reproduce_config("synthetic", "quick", **{**FEW, **fields})
        return Experiment(ExperimentConfig(config, str(model), "synthetic", {}, folder, "cpu"))

    return made


@pytest.fixture(scope="module")
def experiment(make_bench: MakeBench, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """One with its training tokens and validation scenes."""
    made = make_bench(tmp_path_factory.mktemp("reproduction"))
    made.make_store()
    for wanted in made.validation_sets():
        for numbers in made.blocks(wanted):
            made.make_scenes(wanted, numbers)
    return made


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """So small a model is slower on several threads, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
