from __future__ import annotations

import pytest
import torch

from tests.everyday.made_model import made_tokenizer
from tvsl.everyday.model_file import EverydayNetworks
from tvsl.everyday.text import SentenceEncoder

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
