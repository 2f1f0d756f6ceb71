# ruff: noqa: RUF001  (odd characters are what is tested)
from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audioclip.slow_bpe import SlowBPE
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


ODD = {
    "dog barking": [1929, 32676],
    "don’t stop": [847, 713, 1691],
    "don'T  \t\nSTOP": [847, 713, 1691],
    "“female” speech": [257, 3970, 257, 4902],
    "ｄｏｇ　ｂａｒｋｉｎｇ": [1929, 32676],
    "Ｄｏｇ’ｓ": [1929, 568],
    "ﬁre ﬂute oﬃce": [1769, 23746, 2171],
    "schÃ¶n": [844, 7255, 333],
    "â€œdogâ€\x9d": [257, 1929, 257],
    "rock &amp;amp; roll": [2172, 261, 3341],
    "&lt;b&gt; caf&eacute;": [283, 321, 285, 15304],
    "cafe\u0301": [15304],
    "CAF\u00c9": [15304],
    "l’été à l’opéra": [331, 262, 3459, 39694, 21259, 331, 262, 676, 3459, 1735],
    "ΟΔΟΣ": [138, 123, 138, 112, 138, 123, 139, 480],
    "İstanbul": [328, 16384, 11231],
    "3½ mp3 10²": [274, 33613, 1246, 274, 272, 271, 41175],
    "🐶 barking": [10631, 32676],
    "👩\u200d🚒 woman": [26304, 2730, 496, 2308],
    "dog\u200bbark": [1929, 9844, 16560],
    "a\x1b[31mred\x07": [5369],
    "犬が吠える": [163, 232, 105, 4813, 234, 41673, 254, 4813, 230, 3909, 489],
    "ǅ ŉ ß": [67, 129, 378, 262, 333, 127, 509],
    "a\u00a0b\u2009c": [320, 321, 322],
    "…—–-- !!": [7095, 6718, 21070, 2432, 748],
    "ﾄﾞｯｸﾞ": [2429, 231, 28902, 3909, 364],
    "doctor_who": [5547, 318, 822],
    "\ufeffdog": [1929],
    "we'll we’ve I’M": [649, 1342, 649, 1200, 328, 880],
    "&#x85;dog": [959, 1929],
    "e&amp;#769;": [4166],
}
"""Ids between start and end, made with ``slow_bpe``."""


def inner(tokenizer: TextTokenizer, text: str) -> list[int]:
    row = tokenizer([text])[0].tolist()
    return row[1 : row.index(49_407)]


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_have_the_published_ids(text: str, tokenizer: TextTokenizer) -> None:
    assert inner(tokenizer, text) == ODD[text]


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.characters(codec="utf-8", exclude_categories=["Cn", "Cs"]), max_size=20)
    | st.text("aS'’ſ ́é&;#1½", max_size=20)
)
def test_any_text_has_the_published_ids(text: str) -> None:
    tokenizer = clip_tokenizer_once()
    expected = slow_bpe_once()(text)
    if not expected or len(expected) > 75:
        with pytest.raises(VocabularyError):
            tokenizer([text])
    else:
        assert inner(tokenizer, text) == expected


@pytest.mark.parametrize("text", ["a<|endoftext|>b", "<|StartOfText|> dog", "&lt;|endoftext|&gt;"])
def test_marks_of_start_and_end_are_no_words(text: str, tokenizer: TextTokenizer) -> None:
    with pytest.raises(VocabularyError, match="mark"):
        tokenizer([text])


@pytest.mark.parametrize("text", ["dog " * 9999, "\ud800dog", "\udfff"])
def test_what_is_no_name_is_refused(text: str, tokenizer: TextTokenizer) -> None:
    with pytest.raises(VocabularyError) as caught:
        tokenizer([text])
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


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
_slow: list[SlowBPE] = []


def slow_bpe_once() -> SlowBPE:
    if not _slow:
        _slow.append(SlowBPE(shared("clip", "bpe_simple_vocab_16e6.txt.gz")))
    return _slow[0]


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
