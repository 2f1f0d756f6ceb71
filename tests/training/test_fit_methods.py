"""Methods that are staged, bound to classes or nameless, by the code that trains T-VSL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.mini_model import reach

from tests.training.colour_encoder import ColourEncoder
from tests.training.test_fit import assert_same_run, checkpoint, column, failing, short
from tvsl.detecting import Classes
from tvsl.encoded import Encoded
from tvsl.errors import VocabularyError
from tvsl.evaluation.batch import encode_scenes
from tvsl.localization import Request, answer
from tvsl.methods.adapted import ClosedVocabulary
from tvsl.methods.checkpoint_io import read_head
from tvsl.synthetic.world import World
from tvsl.training.config import TrainConfig
from tvsl.training.fit import train_head

SMALL: dict[str, dict[str, Any]] = {
    "ots": {"dimension": 8},
    "coarse-to-fine": {"dimension": 8, "hidden": 16},
    "dsol": {"dimension": 8},
    "mix-and-localize": {"dimension": 8},
    "avgn": {"dimension": 8, "depth": 1},
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens") / "store"


def recipe(name: str, **fields: Any) -> TrainConfig:
    sizes = {"validation_scenes": 2, "most_sources": 2, "steps": 6}
    return short(**{**sizes, "method": name, "hyperparameters": SMALL[name], **fields})


@pytest.mark.parametrize("name", SMALL)
def test_a_method_is_trained_stored_and_used(name: str, tokens: Path, tmp_path: Path) -> None:
    encoder = ColourEncoder()
    folder = train_head(recipe(name), encoder, tmp_path / "run", tokens=tokens)
    assert len(column(tmp_path / "run", "validation/score")) == 2
    head = read_head(folder).build(encoder)
    best = checkpoint(tmp_path / "run", "best.ckpt")["state_dict"]
    for key, value in head.state_dict().items():
        assert torch.equal(value, best[f"method.{key}"]), key
    world = World("test")
    scenes = encode_scenes(encoder, world, 2, 2)
    figures = reach(head, scenes)
    assert set(figures["given"]) >= {"CAP", "CIoU@0.3", "AUC"}
    assert (figures["detection"] is None) != isinstance(head, ClosedVocabulary)
    one = encode_scenes(encoder, world, 2, 1)
    names = [world.names[row] for row in one.queries.label.tolist()]
    encoded = Encoded(one.tokens, one.size, None, (0.0, 1.0))
    told = answer(head, encoded, Request(labels=names), Classes(encoder.vocabulary(names)), name)
    assert [source.label for source in told.sources] == names
    if isinstance(head, ClosedVocabulary):
        assert read_head(folder).config == head.config
        assert head.config.classes == World("train").names
        with pytest.raises(VocabularyError, match="zero-shot"):
            reach(head, encode_scenes(encoder, World("test", "unseen"), 1, 1))


@pytest.mark.parametrize("name", ["coarse-to-fine", "dsol"])
def test_a_run_is_resumed_across_its_stages(
    name: str, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second stage begins in step 3, where the last checkpoint is."""
    config = recipe(name, hyperparameters={**SMALL[name], "first_stage": 0.5})
    train_head(config, ColourEncoder(), tmp_path / "whole", tokens=tokens)
    with failing(monkeypatch, 4, SystemExit()), pytest.raises(SystemExit):
        train_head(config, ColourEncoder(), tmp_path / "run", tokens=tokens)
    train_head(config, ColourEncoder(), tmp_path / "run", resume=True, tokens=tokens)
    assert_same_run(tmp_path / "whole", tmp_path / "run")
