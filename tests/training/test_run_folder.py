from __future__ import annotations

import json
from collections.abc import Set
from pathlib import Path

import pytest

from tests.leftovers import leave_half
from tvsl.errors import OutputError, UsageError
from tvsl.staging import locked
from tvsl.training.pretrain import PretrainConfig
from tvsl.training.recipe import TrainConfig
from tvsl.training.run_folder import OF_HEADS, OF_MODELS, check_run_folder

HEADS = json.dumps({**TrainConfig().model_dump(mode="json"), "encoder": "0" * 64})
MODELS = PretrainConfig().model_dump_json()


@pytest.mark.parametrize("kind", [OF_HEADS, OF_MODELS])
def test_a_run_begins_where_nothing_is(kind: Set[str], tmp_path: Path) -> None:
    check_run_folder(tmp_path / "new", False, kind)
    check_run_folder(tmp_path, False, kind)
    with locked(tmp_path):
        check_run_folder(tmp_path, False, kind)


def test_what_a_killed_run_gathered_is_nothing(tmp_path: Path) -> None:
    leave_half(tmp_path)
    check_run_folder(tmp_path, False, OF_HEADS)


@pytest.mark.parametrize(("kind", "text"), [(OF_HEADS, HEADS), (OF_MODELS, MODELS)])
def test_a_run_begins_anew_that_had_no_checkpoint(
    kind: Set[str], text: str, tmp_path: Path
) -> None:
    (tmp_path / "recipe.json").write_text(text)
    (tmp_path / "metrics.csv").write_text("step\n")
    check_run_folder(tmp_path, False, kind)
    with pytest.raises(UsageError, match="no run to resume"):
        check_run_folder(tmp_path, True, kind)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    check_run_folder(tmp_path, True, kind)
    with pytest.raises(OutputError, match="run in this folder already"):
        check_run_folder(tmp_path, False, kind)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (OF_HEADS, "thesis.txt", "mine"),
        (OF_HEADS, "metrics.csv", "mine"),
        (OF_HEADS, "checkpoints/mine.ckpt", "mine"),
        (OF_HEADS, ".hidden", "mine"),
        (OF_HEADS, "recipe.json", "mine"),
        (OF_HEADS, "recipe.json", "[]"),
        (OF_HEADS, "recipe.json", '{"method": "bake", "flour": 300}'),
        (OF_HEADS, "recipe.json", MODELS),
        (OF_MODELS, "recipe.json", HEADS),
        (OF_MODELS, "recipe.json", "[" * 100_000),
        (OF_MODELS, "thesis.txt", "mine"),
        (OF_MODELS, "model/config.json", "{}"),
    ],
)
def test_a_folder_of_others_is_refused(
    kind: Set[str], name: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(OutputError):
        check_run_folder(tmp_path, False, kind)
    assert path.read_text() == text


def test_the_token_store_may_lie_in_there(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    (tokens / "manifest.json").write_text("{}")
    check_run_folder(tmp_path, False, OF_HEADS, tokens)
    check_run_folder(tmp_path / "run", False, OF_HEADS, tmp_path / "new" / "tokens")
    with pytest.raises(OutputError, match="not empty"):
        check_run_folder(tmp_path, False, OF_HEADS)


def test_recipes_are_told_apart() -> None:
    heads, models = set(json.loads(HEADS)), set(PretrainConfig.model_fields)
    assert heads >= OF_HEADS
    assert models >= OF_MODELS
    assert not heads & OF_MODELS
    assert not models & OF_HEADS
