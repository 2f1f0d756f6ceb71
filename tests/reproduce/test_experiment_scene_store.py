from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.evaluation.made_scenes import made_scenes
from tvsl.errors import OutputError, StoreError
from tvsl.reproduce.experiment import read_scenes, write_scenes
from tvsl.tokens import Vocabulary


@pytest.mark.parametrize(("count", "sources"), [(3, 1), (5, 2), (2, 3)])
def test_scenes_are_read_as_they_were_written(count: int, sources: int, tmp_path: Path) -> None:
    scenes = made_scenes(count, sources)
    path = tmp_path / "deep" / "scenes.safetensors"
    write_scenes(scenes, path)
    asked: list[tuple[str, ...]] = []

    def vocabulary(names: tuple[str, ...]) -> Vocabulary:
        asked.append(names)
        return scenes.vocabulary

    found = read_scenes(path, vocabulary, "cpu")
    assert asked == [scenes.vocabulary.names]
    assert (found.tokens.grid, found.tokens.panels) == (scenes.tokens.grid, scenes.tokens.panels)
    for name in ("visual", "audio", "image", "sound"):
        assert torch.equal(getattr(found.tokens, name), getattr(scenes.tokens, name))
    for name in ("labels", "masks", "targets", "twins"):
        assert torch.equal(getattr(found, name), getattr(scenes, name))
    assert torch.equal(found.queries.clip, scenes.queries.clip)
    assert torch.equal(found.queries.label, scenes.queries.label)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scenes.safetensors"
    write_scenes(made_scenes(3, 1), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="truncated or damaged") as raised:
        read_scenes(path, lambda _: made_scenes(3, 1).vocabulary, "cpu")
    assert raised.value.path == path


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError):
        write_scenes(made_scenes(2, 1), tmp_path / "file" / "scenes.safetensors")
