from __future__ import annotations

import json
from collections.abc import Set
from pathlib import Path

import pytest

from tests.leftovers import leave_half
from tvsl.errors import OutputError, UsageError
from tvsl.training.config import PretrainConfig, TrainConfig
from tvsl.utils.atomic import locked
from tvsl.utils.run_folder import (
    HEAD_RECIPE_KEYS,
    MODEL_RECIPE_KEYS,
    changed_keys,
    check_run_folder,
    describe_changes,
    read_record,
)

HEADS = json.dumps({**TrainConfig().model_dump(mode="json"), "encoder": "0" * 64})
MODELS = PretrainConfig().model_dump_json()


@pytest.mark.parametrize("kind", [HEAD_RECIPE_KEYS, MODEL_RECIPE_KEYS])
def test_a_run_begins_where_nothing_is(kind: Set[str], tmp_path: Path) -> None:
    check_run_folder(tmp_path / "new", False, kind)
    check_run_folder(tmp_path, False, kind)
    with locked(tmp_path):
        check_run_folder(tmp_path, False, kind)


def test_what_a_killed_run_gathered_is_nothing(tmp_path: Path) -> None:
    leave_half(tmp_path)
    check_run_folder(tmp_path, False, HEAD_RECIPE_KEYS)


@pytest.mark.parametrize(("kind", "text"), [(HEAD_RECIPE_KEYS, HEADS), (MODEL_RECIPE_KEYS, MODELS)])
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
        (HEAD_RECIPE_KEYS, "thesis.txt", "mine"),
        (HEAD_RECIPE_KEYS, "metrics.csv", "mine"),
        (HEAD_RECIPE_KEYS, "checkpoints/mine.ckpt", "mine"),
        (HEAD_RECIPE_KEYS, ".hidden", "mine"),
        (HEAD_RECIPE_KEYS, "recipe.json", "mine"),
        (HEAD_RECIPE_KEYS, "recipe.json", "[]"),
        (HEAD_RECIPE_KEYS, "recipe.json", '{"method": "bake", "flour": 300}'),
        (HEAD_RECIPE_KEYS, "recipe.json", MODELS),
        (MODEL_RECIPE_KEYS, "recipe.json", HEADS),
        (MODEL_RECIPE_KEYS, "recipe.json", "[" * 100_000),
        (MODEL_RECIPE_KEYS, "thesis.txt", "mine"),
        (MODEL_RECIPE_KEYS, "model/config.json", "{}"),
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
    check_run_folder(tmp_path, False, HEAD_RECIPE_KEYS, tokens)
    check_run_folder(tmp_path / "run", False, HEAD_RECIPE_KEYS, tmp_path / "new" / "tokens")
    with pytest.raises(OutputError, match="not empty"):
        check_run_folder(tmp_path, False, HEAD_RECIPE_KEYS)


def test_recipes_are_told_apart() -> None:
    heads, models = set(json.loads(HEADS)), set(PretrainConfig.model_fields)
    assert heads >= HEAD_RECIPE_KEYS
    assert models >= MODEL_RECIPE_KEYS
    assert not heads & MODEL_RECIPE_KEYS
    assert not models & HEAD_RECIPE_KEYS


def test_changes_are_described_by_the_stored_values() -> None:
    earlier, now = {"seed": 1, "steps": 5, "old": "x"}, {"seed": 2, "steps": 5, "new": None}
    assert changed_keys(earlier, now) == ["old", "seed"]
    assert describe_changes(earlier, now) == "old was 'x', seed was 1"
    assert describe_changes(earlier, now, str) == "old was x, seed was 1"
    assert describe_changes(now, now) == ""


def test_a_record_has_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert read_record(path, {"tvsl"}) is None
    path.write_text('{"tvsl": "0.1", "seed": 1}')
    assert read_record(path, {"tvsl"}) == {"tvsl": "0.1", "seed": 1}
    for keys, text in ({"tables"}, '{"tvsl": 1}'), ({"tvsl"}, "[]"), ({"tvsl"}, "{"):
        path.write_text(text)
        with pytest.raises(OutputError) as caught:
            read_record(path, keys)
        assert caught.value.path == path
