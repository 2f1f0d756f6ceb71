from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared_files import shared
from tvsl.audioclip.config import TextEncoderConfig
from tvsl.audioclip.tokenizer import (
    WordTokenizer,
    build_word_tokenizer,
    clip_tokenizer,
    load_tokenizer,
)
from tvsl.errors import VocabularyError, WeightsError

WORDS = ["Red", "blue", "star", "caf\u00e9"]
SIZES = TextEncoderConfig(vocabulary=8, context=6, width=8, layers=1, heads=1)


@pytest.fixture(scope="module")
def tokenizer() -> WordTokenizer:
    return build_word_tokenizer(WORDS, context=6)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("red", [6, 1, 7, 0, 0, 0]),
        ("red star", [6, 1, 3, 7, 0, 0]),
        ("  RED\n\tStar ", [6, 1, 3, 7, 0, 0]),
        ("star star blue red", [6, 3, 3, 2, 1, 7]),
        ("Cafe\u0301", [6, 4, 7, 0, 0, 0]),
    ],
)
def test_ids(text: str, ids: list[int], tokenizer: WordTokenizer) -> None:
    """0 pads, words count from 1, then unknown (5), start (6) and end (7)."""
    assert tokenizer([text]).tolist() == [ids]


def test_the_end_is_the_highest_id(tokenizer: WordTokenizer) -> None:
    rows = tokenizer(["red", "blue star"])
    assert rows.max() == tokenizer.size - 1 == len(WORDS) + 3
    assert rows.argmax(dim=1).tolist() == [2, 3]
    assert tokenizer.words == ("red", "blue", "star", "caf\u00e9")


@pytest.mark.parametrize(
    ("texts", "unknown"),
    [
        (["dog barking"], ["dog", "barking"]),
        (["red dog"], ["dog"]),
        (["red star", "Dog", "blue cat dog"], ["dog", "cat"]),
        (["red-star"], ["red-star"]),
        (["red,"], ["red,"]),
        (["\u72ac"], ["\u72ac"]),
        (["<|endoftext|> <|startoftext|>"], ["<|endoftext|>", "<|startoftext|>"]),
        (["red <|padding|> <|unknown|>"], ["<|padding|>", "<|unknown|>"]),
    ],
)
def test_exactly_the_unknown_words_are_named(
    texts: Sequence[str], unknown: list[str], tokenizer: WordTokenizer
) -> None:
    with pytest.raises(VocabularyError) as caught:
        tokenizer(texts)
    assert caught.value.problem.endswith(", ".join(f"'{word}'" for word in unknown) + ".")
    for part in ("red, blue, star, caf\u00e9", "--model everyday"):
        assert part in caught.value.remedy


def test_many_words_are_cut_short() -> None:
    many = [f"word{number}" for number in range(100)]
    with pytest.raises(VocabularyError) as caught:
        build_word_tokenizer(many, 6)([" ".join(f"other{number}" for number in range(90))])
    assert "'other39', and 50 more." in caught.value.problem
    assert "word39, and 60 more;" in caught.value.remedy
    assert "word40" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"), [("", "empty"), (" \n", "empty"), ("red red red red red", "4 that fit")]
)
def test_empty_and_long_texts_are_refused(text: str, says: str, tokenizer: WordTokenizer) -> None:
    with pytest.raises(VocabularyError, match=says):
        tokenizer([text])


@given(text=st.text(max_size=20))
def test_any_text_is_encoded_or_refused(text: str) -> None:
    tokenizer = build_word_tokenizer(["a", "b"], context=8)
    try:
        row = tokenizer([text])[0].tolist()
    except VocabularyError:
        return
    inner = row[1 : row.index(5)]
    assert row[0] == 4
    assert inner
    assert set(inner) <= {1, 2}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["red", "red"],
        ["red", "RED"],
        [""],
        [" "],
        ["big dog"],
        ["dog\n"],
        ["<|endoftext|>"],
        ["<|padding|>"],
    ],
    ids=repr,
)
def test_what_are_no_words(words: list[str]) -> None:
    with pytest.raises(VocabularyError, match="word"):
        build_word_tokenizer(words, 6)


def test_it_comes_back_from_its_file(tmp_path: Path, tokenizer: WordTokenizer) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    content = json.loads(path.read_text(encoding="utf-8"))  # the format of `tokenizers`
    assert content["model"]["type"] == "WordLevel"
    assert content["model"]["vocab"]["star"] == 3
    loaded = load_tokenizer(path, SIZES)
    assert isinstance(loaded, WordTokenizer)
    texts = ["red star", "Blue"]
    assert loaded(texts).tolist() == tokenizer(texts).tolist()
    with pytest.raises(VocabularyError, match="'dog'"):
        loaded(["dog"])


def test_clip_s_comes_back_from_its_file_too(tmp_path: Path) -> None:
    clip = clip_tokenizer(shared("clip", "bpe_simple_vocab_16e6.txt.gz"))
    clip.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json", TextEncoderConfig())
    assert not isinstance(loaded, WordTokenizer)
    assert loaded.size == clip.size == 49_408
    texts = ["Dog  barking", "caf\u00e9 & rock 'n roll", "\u72ac"]
    assert loaded(texts).tolist() == clip(texts).tolist()


def _change(path: Path, **vocabulary: int) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["vocab"] = vocabulary
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("no json"),
        lambda path: path.write_text("{}"),
        lambda path: path.write_text("[1]"),
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: _change(path, a=0, b=1, c=2, d=3, e=4, f=5, g=6, h=7),
        lambda path: _change(path, red=0),
        lambda path: _change(
            path,
            **{"<|startoftext|>": 0, "a": 1, "b": 2, "c": 3, "d": 4, "<|unknown|>": 5},
            **{"<|padding|>": 6, "<|endoftext|>": 7},
        ),
    ],
    ids=[
        "absent", "empty", "bytes", "text", "object", "list", "truncated", "no specials", "small",
        "order",
    ],
)  # fmt: skip
def test_wrong_files_are_refused(damage, tmp_path: Path, tokenizer: WordTokenizer) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    damage(path)
    with pytest.raises(WeightsError, match=str(path)):
        load_tokenizer(path, SIZES)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, tokenizer: WordTokenizer) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    with pytest.raises(WeightsError, match=r"8 ids.*has 9"):
        load_tokenizer(path, SIZES.model_copy(update={"vocabulary": 9}))
