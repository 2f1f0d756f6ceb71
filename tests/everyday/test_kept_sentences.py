from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
import torch

from tvsl.everyday.encoder import load
from tvsl.everyday.kept_sentences import FILE, kept_vectors

VECTORS = torch.arange(12.0).reshape(3, 4)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TVSL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def never(*_: object) -> NoReturn:
    raise AssertionError("computed again")


def other() -> torch.Tensor:
    return VECTORS + 1


def test_vectors_are_computed_once_for_each_state() -> None:
    assert torch.equal(kept_vectors("one", lambda: VECTORS), VECTORS)
    assert torch.equal(kept_vectors("one", never), VECTORS)
    assert torch.equal(kept_vectors("two", other), VECTORS + 1)
    assert torch.equal(kept_vectors("two", never), VECTORS + 1)


@pytest.mark.parametrize("damage", ["flipped", "cut", "retyped", "foreign", "empty"])
def test_a_damaged_file_is_replaced(damage: str, home: Path) -> None:
    kept_vectors("one", other)
    content = (home / FILE).read_bytes()
    broken = {
        "flipped": content[:-2] + bytes([content[-2] ^ 1]) + content[-1:],
        "cut": content[:-5],
        "retyped": content.replace(b'"F32"', b'"I32"'),
        "foreign": b"a shopping list",
        "empty": b"",
    }
    (home / FILE).write_bytes(broken[damage])
    assert torch.equal(kept_vectors("one", lambda: VECTORS), VECTORS)
    assert torch.equal(kept_vectors("one", never), VECTORS)


def test_where_nothing_can_be_kept_vectors_are_computed(home: Path) -> None:
    home.write_text("a file in place of the folder")
    for _ in range(2):
        assert torch.equal(kept_vectors("one", lambda: VECTORS), VECTORS)


def test_the_everyday_names_are_read_once(
    model: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvsl.everyday.encoder.everyday_sounds", lambda: ("Dog", "train"))
    first = load(model).embed(["dog"])  # no whole vocabulary
    assert not home.exists()
    vocabulary = load(model).embed(["Dog", "train"])
    torch.testing.assert_close(vocabulary[:1], first)
    again = load(model)
    monkeypatch.setattr(again.networks.reading, "embed", never)
    assert torch.equal(again.embed(["dog", "train"]), vocabulary)
    changed = load(model)
    changed.fingerprint = "another"
    monkeypatch.setattr(changed.networks.reading, "embed", never)
    with pytest.raises(AssertionError):
        changed.embed(["dog", "train"])
