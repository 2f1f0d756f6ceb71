from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shared_files import shared
from tvsl.audioclip.tokenizer import TextTokenizer, clip_tokenizer
from tvsl.errors import ShapeError, VocabularyError, WeightsError


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return clip_tokenizer(shared("clip", "bpe_simple_vocab_16e6.txt.gz"))


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("Dog  Barking", "dog barking"),
        (" dog\n\tbarking ", "dog barking"),
        ("rock &amp;amp; roll", "rock & roll"),
        ("cafe\u0301", "caf\u00e9"),
    ],
)
def test_spelling_that_does_not_matter(text: str, same_as: str, tokenizer: TextTokenizer) -> None:
    assert tokenizer([text]).tolist() == tokenizer([same_as]).tolist()


def test_start_and_end_frame_the_text(tokenizer: TextTokenizer) -> None:
    row = tokenizer(["dog"])[0].tolist()
    assert row[0] == 49_406
    assert row[2] == 49_407
    assert row[3:] == [0] * 74


@settings(max_examples=60)
@given(text=st.text(min_size=1, max_size=30))
def test_any_text_is_encoded_or_refused(text: str) -> None:
    tokenizer = clip_tokenizer_once()
    try:
        row = tokenizer([text])[0]
    except VocabularyError:
        return
    assert row.shape == (77,)
    assert int(row.max()) == 49_407
    assert int((row == 49_407).sum()) >= 1


_kept: list[TextTokenizer] = []


def clip_tokenizer_once() -> TextTokenizer:
    if not _kept:
        _kept.append(clip_tokenizer(shared("clip", "bpe_simple_vocab_16e6.txt.gz")))
    return _kept[0]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_empty_text_is_refused(text: str, tokenizer: TextTokenizer) -> None:
    with pytest.raises(VocabularyError, match="empty"):
        tokenizer([text])


def test_long_text_is_refused(tokenizer: TextTokenizer) -> None:
    assert tokenizer(["dog " * 75]).shape == (1, 77)
    with pytest.raises(VocabularyError, match="76 tokens"):
        tokenizer(["dog " * 76])


@pytest.mark.parametrize("texts", ["dog", []])
def test_not_a_sequence_of_texts(texts: object, tokenizer: TextTokenizer) -> None:
    with pytest.raises(ShapeError):
        tokenizer(texts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"a b\nc d\n"), gzip.compress(b"\xff\xfe"), b""],
    ids=["text", "short", "binary", "empty"],
)
def test_wrong_vocabulary_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bpe.gz"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=str(path)):
        clip_tokenizer(path)
