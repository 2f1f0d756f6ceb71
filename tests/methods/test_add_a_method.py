"""The page ``docs/add-a-method.md``: its method is built, trained and used as the page says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.training.tiny import tiny_model
from tvsl import Localizer
from tvsl.audioclip.checkpoint import save_audioclip
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.weights import load_audioclip
from tvsl.methods import METHODS
from tvsl.methods.base import Method
from tvsl.methods.checkpoint_io import read_head
from tvsl.tokens import Queries
from tvsl.training.config import recipe
from tvsl.training.fit import train_head

PAGE = Path(__file__).parents[2] / "docs" / "add-a-method.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
MODULE = "tvsl.methods.bilinear"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> type[Method]:
    """The page's class, from its module, in the registry."""
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    exec(compile(BLOCKS[0], "bilinear.py", "exec"), module.__dict__)
    entry: dict[str, Any] = {}
    exec(BLOCKS[1], entry)
    kind: type[Method] = entry["Bilinear"]
    monkeypatch.setitem(METHODS._added, kind.name, kind)
    return kind


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tiny model, untrained."""
    torch.manual_seed(0)
    folder = tmp_path / "model"
    save_audioclip(tiny_model(), folder)
    return folder


def test_the_page_keeps_its_promise() -> None:
    assert len(BLOCKS) == 3
    assert len(BLOCKS[0].splitlines()) < 60


def test_the_method_of_the_page_is_trained_and_used(
    registered: type[Method],
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder = AudioCLIPEncoder(load_audioclip(model))
    config = recipe(
        method="bilinear",
        hyperparameters={"temperature": 0.1},
        clips=16,
        batch=8,
        steps=4,
        validate_every=2,
        validation_scenes=2,
        most_sources=2,
    )
    folder = train_head(config, encoder, tmp_path / "run")
    assert folder == tmp_path / "run" / "head"
    assert read_head(folder).method is registered
    head = read_head(folder).build(encoder)
    assert vars(head.config)["temperature"] == 0.1
    assert not torch.equal(head.get_parameter("matrix"), torch.eye(head.config.embedding))

    tokens = encoder.encode(torch.rand(3, 3, 112, 112), torch.rand(3, 16_000) - 0.5)
    queries = Queries.from_lists([[0], [1, 2], []])
    maps = head.maps(tokens, queries, encoder.vocabulary(encoder.classes[:3]))
    assert maps.shape == (3, *tokens.grid)
    assert torch.equal(maps[1], maps[2])

    monkeypatch.chdir(tmp_path)
    used: dict[str, Any] = {}
    exec(BLOCKS[2].replace('"mini"', '"model"'), used)
    localizer: Localizer = used["localizer"]
    assert localizer.name == "model/bilinear (head)"
    assert torch.equal(localizer.method.get_parameter("matrix"), head.get_parameter("matrix"))
    assert [source.label for source in used["result"].sources] == list(used["scene"].labels)
    printed = capsys.readouterr().out
    assert "'CAP'" in printed
    assert used["scene"].labels[0] in printed
