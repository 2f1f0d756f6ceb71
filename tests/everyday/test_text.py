from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
import torch

from tests.everyday.made_model import made_tokenizer
from tvsl.everyday.encoder import load
from tvsl.everyday.model_file import EverydayNetworks
from tvsl.everyday.text import KEPT_FILE, SentenceEncoder, kept_vectors

TOKENIZER = made_tokenizer()


@pytest.fixture(scope="module")
def network(networks: EverydayNetworks) -> SentenceEncoder:
    return networks.reading


def test_padding_changes_nothing(network: SentenceEncoder) -> None:
    alone = network.embed(["dog"], TOKENIZER)
    beside = network.embed(["dog", "a long description of quite another thing"], TOKENIZER)
    assert beside.shape == (2, 384)
    torch.testing.assert_close(beside[:1], alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(beside.norm(dim=-1), torch.ones(2))
    assert (beside[0] @ beside[1]).item() < 0.999


def test_what_the_mask_hides_counts_for_nothing(network: SentenceEncoder) -> None:
    mask = torch.tensor([[True, True, True, False]])
    with torch.no_grad():
        one = network(torch.tensor([[2, 5, 3, 0]]), mask)
        other = network(torch.tensor([[2, 5, 3, 9]]), mask)
        full = network(torch.tensor([[2, 5, 3, 9]]), torch.ones(1, 4, dtype=torch.bool))
    assert torch.equal(one, other)
    assert not torch.allclose(one, full, atol=1e-3)


def test_a_long_text_is_cut(network: SentenceEncoder) -> None:
    # 64 pieces are [CLS], 62 of the text and [SEP]
    most = network.embed(["dog " * 62], TOKENIZER)
    more = network.embed(["dog " * 62 + "bell " * 40], TOKENIZER)
    assert torch.equal(most, more)
    fewer = network.embed(["dog " * 61], TOKENIZER)
    assert not torch.equal(most, fewer)


def test_the_order_of_words_counts(network: SentenceEncoder) -> None:
    one, other = network.embed(["dog car", "car dog"], TOKENIZER)
    assert not torch.allclose(one, other, atol=1e-3)


def test_many_texts_keep_their_order(network: SentenceEncoder) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [f"{letters[n % 26]} {letters[n // 26]}" for n in range(70)]
    found = network.embed(texts, TOKENIZER)
    assert found.shape == (70, 384)
    for number in (0, 63, 64, 69):
        alone = network.embed([texts[number]], TOKENIZER)[0]
        torch.testing.assert_close(found[number], alone, atol=1e-5, rtol=1e-5)


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
    content = (home / KEPT_FILE).read_bytes()
    broken = {
        "flipped": content[:-2] + bytes([content[-2] ^ 1]) + content[-1:],
        "cut": content[:-5],
        "retyped": content.replace(b'"F32"', b'"I32"'),
        "foreign": b"a shopping list",
        "empty": b"",
    }
    (home / KEPT_FILE).write_bytes(broken[damage])
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
