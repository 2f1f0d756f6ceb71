"""Tokenizers: CLIP's byte pairs and the whole words of small models.

Source: Radford et al., 2021; byte-pair encoding after Sennrich et al., 2016. The merges come
from the public vocabulary file, which is fetched with the weights.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from tvsl.audioclip.config import TextEncoderConfig
from tvsl.errors import ShapeError, VocabularyError, WeightsError, first_few, shown
from tvsl.models import VOCABULARY_FILE, VOCABULARY_SHA256
from tvsl.utils.files import LARGEST_CONFIG, read_small, read_small_json, weights_folder
from tvsl.vocabularies import WORD_PATTERN, check_distinct, check_names, plain_text

VOCABULARY_IDS = 49_408
_REMEDY = "Fetch it again with `tvsl weights fetch clip-vocabulary`."
_END_OF_WORD = "</w>"
SPECIAL = ("<|startoftext|>", "<|endoftext|>")
"""Start and end of a text, in every tokenizer of this package."""

_PADDING = "<|padding|>"
_UNKNOWN = "<|unknown|>"
_MOST_NAMED = 40


class TextTokenizer:
    """Texts to padded token ids.

    Args:
        tokenizer: The library's tokenizer, without padding, start and end.
        start: Id that opens a text.
        end: Id that closes a text; the highest of all, since the encoder looks for it.
        context: Ids of one text, padding included.
    """

    def __init__(self, tokenizer: Tokenizer, start: int, end: int, context: int) -> None:
        self._tokenizer = tokenizer
        self._start = start
        self._end = end
        self._context = context

    def __getstate__(self) -> dict[str, Any]:
        """The library's object as text: pickling protocols before 2 do not know the object."""
        return {**vars(self), "_tokenizer": self._tokenizer.to_str()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _tokenizer=Tokenizer.from_str(state["_tokenizer"]))

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Encode texts: token ids, (len(texts), context), int64, padded with 0.

        Args:
            texts: One or more; they are normalised first, see ``plain_text``.

        Raises:
            ShapeError: No text, or a single string in place of a sequence.
            VocabularyError: A text is empty, too long for the context, holds the mark of a text's
                start or end, or has words that the model does not know.
        """
        if isinstance(texts, str) or not texts:
            raise ShapeError("Texts must be a sequence of strings.", "Give a list such as ['dog'].")
        plain = [plain_text(text) for text in texts]
        self.check_words(plain)
        for text in plain:
            if any(mark in text for mark in SPECIAL):  # the encoder ignores words after an end
                raise VocabularyError(
                    f"The text {shown(text)} holds a mark of the tokenizer.", "Leave it out."
                )
        ids = torch.zeros(len(texts), self._context, dtype=torch.int64)
        for row, text in enumerate(plain):
            words = self._tokenizer.encode(text).ids
            if not words:
                raise VocabularyError("A text is empty.", "Give each class a name.")
            if len(words) > self._context - 2:
                raise VocabularyError(
                    f"The text {shown(text)} has {len(words)} tokens, more than the "
                    f"{self._context - 2} that fit.",
                    "Shorten the class name.",
                )
            encoded = torch.tensor([self._start, *words, self._end])
            ids[row, : len(encoded)] = encoded
        return ids

    def class_ids(self, names: Sequence[str]) -> Tensor:
        """Encode class names, which must differ.

        Returns:
            Token ids, (len(names), context), int64, padded with 0.

        Raises:
            VocabularyError: No name, one twice or in two spellings, or one that is empty, too
                long or not to be expressed.
        """
        check_names(names)
        ids = self(names)
        check_distinct(names, ids.tolist())
        return ids

    @property
    def size(self) -> int:
        """Number of ids: the ``vocabulary`` of the text encoder's config."""
        count: int = self._tokenizer.get_vocab_size()
        return count

    def check_words(self, texts: Sequence[str]) -> None:
        """Refuse texts with words that have no id; with byte-pair encoding every word has one.

        Raises:
            VocabularyError: Words have none; the message names them.
        """

    def save(self, path: Path) -> None:
        """Write it in the format of Hugging Face ``tokenizers``, for ``load_tokenizer``."""
        path.write_text(self._tokenizer.to_str(), encoding="utf-8")


def clip_tokenizer(path: str | Path, context: int = 77) -> TextTokenizer:
    """Build CLIP's tokenizer from its vocabulary file.

    Args:
        path: ``bpe_simple_vocab_16e6.txt.gz``.
        context: Ids of one text.

    Raises:
        WeightsError: The file cannot be read or is not that vocabulary.
    """
    merges = _read_merges(Path(path))
    alphabet = _byte_alphabet()
    tokens = [*alphabet, *(letter + _END_OF_WORD for letter in alphabet)]
    tokens += ["".join(merge) for merge in merges]
    tokens += SPECIAL
    return _bpe_tokenizer({token: number for number, token in enumerate(tokens)}, merges, context)


def _bpe_tokenizer(
    vocabulary: dict[str, int], merges: list[tuple[str, str]], context: int
) -> TextTokenizer:
    """Build a tokenizer of CLIP's kind from its tokens with their ids and its merges, in order.

    Raises:
        ValueError: The merges do not belong to the vocabulary, or it lacks a byte, so that some
            text would have no ids.
    """
    letters = _byte_alphabet()
    if not vocabulary.keys() >= {*letters, *(letter + _END_OF_WORD for letter in letters)}:
        raise ValueError("not every byte has an id")
    try:
        model = models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix=_END_OF_WORD)
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"merges and vocabulary disagree: {error}") from error
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD_PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = (vocabulary[token] for token in SPECIAL)
    return TextTokenizer(tokenizer, start, end, context)


def find_clip_tokenizer(
    config: TextEncoderConfig, beside: Path | None = None
) -> TextTokenizer | None:
    """Build CLIP's tokenizer from its vocabulary file, if that is installed.

    Args:
        config: Sizes of the text encoder.
        beside: A checkpoint; its folder is searched before the weights folder.

    Returns:
        The tokenizer, or None if the file is in neither or the encoder is not CLIP's.

    Raises:
        WeightsError: A file of that name is there but is not the public one.
    """
    if config.vocabulary != VOCABULARY_IDS:
        return None
    folders = ([] if beside is None else [beside.parent]) + [weights_folder()]
    for path in (folder / VOCABULARY_FILE for folder in folders):
        if path.is_file():
            return clip_tokenizer(path, config.context)
    return None


def _read_merges(path: Path) -> list[tuple[str, str]]:
    """The merges that CLIP uses: all that leave room in 49,408 ids for bytes and specials."""
    packed = read_small(path, LARGEST_CONFIG, WeightsError, _REMEDY)
    if hashlib.sha256(packed).hexdigest() != VOCABULARY_SHA256:
        raise WeightsError("This is not CLIP's vocabulary file.", _REMEDY, path)
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    merges = (line.split() for line in lines[1 : VOCABULARY_IDS - 512 - 2 + 1])
    return [(first, second) for first, second in merges]


def _byte_alphabet() -> list[str]:
    """One printable character per byte, in CLIP's order: printable bytes first, then the rest."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = 256 - len(printable)
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(others)]


class WordTokenizer(TextTokenizer):
    """Texts of known words to padded token ids; any other word is an error.

    Args:
        tokenizer: A word-level tokenizer.
        start: Id that opens a text.
        end: Id that closes a text; the highest of all.
        context: Ids of one text, padding included.

    Attributes:
        words: Its words.
        ids: All tokens with their ids.
    """

    def __init__(self, tokenizer: Tokenizer, start: int, end: int, context: int) -> None:
        super().__init__(tokenizer, start, end, context)
        self.ids: dict[str, int] = tokenizer.get_vocab()
        self.words = _words(self.ids)

    def check_words(self, texts: Sequence[str]) -> None:
        """Refuse texts with unknown words; see the base class.

        Raises:
            VocabularyError: The message names the other words, each once.
        """
        normalizer, splitter = self._tokenizer.normalizer, self._tokenizer.pre_tokenizer
        known = frozenset(self.words)
        found = (
            word
            for text in texts
            for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
        )
        unknown = [f"'{word}'" for word in dict.fromkeys(found) if word not in known]
        if unknown:
            raise VocabularyError(
                f"The model does not know {'the word' if len(unknown) == 1 else 'the words'} "
                f"{_listed(unknown)}.",
                f"Its words are: {_listed(self.words)}; names of real things and sounds need "
                "another model, such as `--model everyday` (or `audioclip`).",
            )


def build_word_tokenizer(words: Sequence[str], context: int) -> WordTokenizer:
    """Build a tokenizer that knows some words and no others; case does not matter.

    Its ids are 0 for padding, then the words in their order, one for what is unknown, start and
    end: four more than there are words.

    Args:
        words: Different words.
        context: Ids of one text, padding, start and end included.

    Raises:
        VocabularyError: There is no word, one occurs twice, or one is not a single word.
    """
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    plain = [normalizer.normalize_str(word) for word in words]
    tokens = [_PADDING, *plain, _UNKNOWN, *SPECIAL]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if not words or len(vocabulary) != len(tokens):
        raise VocabularyError(
            "There is no word, or one occurs twice.", "Give different words; case does not count."
        )
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for number, word in enumerate(words, start=1):
        if tokenizer.encode(word).ids != [number]:
            raise VocabularyError(f"'{word}' is not a single word.", "Give words without spaces.")
    start, end = (vocabulary[token] for token in SPECIAL)
    return WordTokenizer(tokenizer, start, end, context)


def load_tokenizer(path: Path, config: TextEncoderConfig) -> TextTokenizer:
    """Read a tokenizer that ``TextTokenizer.save`` wrote.

    Args:
        path: ``tokenizer.json``.
        config: Sizes of the text encoder that it belongs to.

    Raises:
        WeightsError: The file cannot be read, or belongs to another text encoder.
    """
    remedy = "Get the model again; the file belongs to it."
    content = read_small_json(path, LARGEST_CONFIG, WeightsError, remedy)
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or model.get("type") not in ("WordLevel", "BPE"):
        raise WeightsError("The file is damaged: it holds no tokenizer of words.", remedy, path)
    ids = model.get("vocab")
    numbers = sorted(ids.values(), key=repr) if isinstance(ids, dict) else None
    if not isinstance(ids, dict) or numbers != sorted(range(len(ids)), key=repr):
        raise WeightsError("The tokenizer's ids are not the numbers from 0 on.", remedy, path)
    start, end = (ids.get(token) for token in SPECIAL)
    if len(ids) != config.vocabulary or start is None or end != len(ids) - 1:
        raise WeightsError(
            f"The tokenizer has {len(ids)} ids and its end is {shown(end)}: the "
            f"text encoder has {config.vocabulary}, of which the last is the end.",
            remedy,
            path,
        )
    # Built anew from its words: regular expressions from a file could take for ever.
    try:
        if model["type"] == "BPE":
            return _bpe_tokenizer(ids, _merges(model.get("merges")), config.context)
        found = build_word_tokenizer(_words(ids), config.context)
    except (ValueError, VocabularyError) as error:
        raise WeightsError(f"The tokenizer is damaged ({error}).", remedy, path) from error
    if found.ids != ids:
        raise WeightsError("The words' ids are not in this package's order.", remedy, path)
    return found


def _merges(stated: object) -> list[tuple[str, str]]:
    """The merges of byte-pair encoding, which are written as pairs or with a space between.

    Raises:
        ValueError: They are no pairs.
    """
    if not isinstance(stated, list) or not all(isinstance(pair, str | list) for pair in stated):
        raise ValueError("no merges")
    pairs = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in stated]
    if any(len(pair) != 2 or not all(isinstance(part, str) for part in pair) for pair in pairs):
        raise ValueError("a merge is no pair")
    return [(first, second) for first, second in pairs]


def _words(ids: Mapping[str, int]) -> tuple[str, ...]:
    """The words of a tokenizer in the order of their ids."""
    return tuple(sorted(ids.keys() - {_PADDING, _UNKNOWN, *SPECIAL}, key=ids.__getitem__))


def _listed(words: Sequence[str]) -> str:
    """Words in one line, a long list cut short."""
    return ", ".join(first_few(words, _MOST_NAMED))
