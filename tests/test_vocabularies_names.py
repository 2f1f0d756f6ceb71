# ruff: noqa: RUF001  (odd characters are what is tested)
from __future__ import annotations

import csv

import pytest

from tests.shared_files import shared
from tvsl.audioclip.tokenizer import clip_tokenizer
from tvsl.errors import VocabularyError
from tvsl.vocabularies import check_names, everyday_sounds, plain_text, same_name, same_names

SPELLINGS = [
    ("dog barking", "Dog  Barking"),
    ("dog barking", " dog\tbarking\n"),
    ("dog barking", "dog\u00a0barking"),
    ("dog barking", "ｄｏｇ　ｂａｒｋｉｎｇ"),
    ("caf\u00e9", "CAFE\u0301"),
    ("dog's bark", "dog’s bark"),
    ("fire", "ﬁre"),
    ("rock & roll", "rock &amp; roll"),
    ("rock & roll", "rock&roll"),
    ("tick-tock", "tick - tock"),
    ("mp3", "mp 3"),
    ("schön", "schÃ¶n"),
    ("\u1e9b\u0323", "\u1e9b\u0323"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_spellings_of_one_class(one: str, other: str) -> None:
    assert same_name(one) == same_name(other)
    tokenizer = clip_tokenizer(shared("clip", "bpe_simple_vocab_16e6.txt.gz"))
    assert tokenizer([one]).tolist() == tokenizer([other]).tolist()
    with pytest.raises(VocabularyError) as caught:
        check_names(["cat", one, other])
    assert repr(one) in str(caught.value)
    assert repr(other) in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dog", "dogs"),
        ("dog bark", "dogbark"),
        ("cafe", "café"),
        ("mp3", "mp4"),
        ("dog", "dog\u200b"),
        ("a.b", "a,b"),
        ("violin, fiddle", "violin fiddle"),
        ("don't", "dont"),
        ("10", "1"),
    ],
)
def test_different_classes_stay_different(one: str, other: str) -> None:
    check_names([one, other])
    tokenizer = clip_tokenizer(shared("clip", "bpe_simple_vocab_16e6.txt.gz"))
    assert tokenizer([one]).tolist() != tokenizer([other]).tolist()


def test_the_form_is_one_for_all_and_itself() -> None:
    for name in everyday_sounds():
        assert same_name(same_name(name)) == same_name(name)
        assert plain_text(name.upper()) == plain_text(name)
    assert len(set(same_names(everyday_sounds()))) == len(everyday_sounds())


def test_no_classes_of_a_data_set_fall_together() -> None:
    text = shared("metadata", "vggsound_stat.csv").read_text(encoding="utf-8")
    names = [row[0] for row in csv.reader(text.splitlines())]
    assert len(names) > 300
    check_names(names)


@pytest.mark.parametrize("names", [[], [""], ["\x00"], [" \u3000 "], ["a", 3], [None], ["\ud83d"]])
def test_what_is_no_list_of_classes(names: list[str]) -> None:
    with pytest.raises(VocabularyError) as caught:
        check_names(names)
    assert str(caught.value).isprintable()


def test_many_doubles_are_cut_short() -> None:
    names = [f"n{number}" for number in range(50)]
    with pytest.raises(VocabularyError, match="and 45 more") as caught:
        check_names(names + [name.upper() for name in names])
    assert len(str(caught.value)) < 500


def test_a_name_has_a_length_that_can_be_read() -> None:
    check_names(["x" * 10_000])
    with pytest.raises(VocabularyError, match="10001 characters"):
        check_names(["x" * 10_001])
