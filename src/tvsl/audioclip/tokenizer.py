"""CLIP's byte-pair encoding, on top of Hugging Face ``tokenizers``.

Source: Radford et al., 2021; byte-pair encoding after Sennrich et al., 2016. The merges come
from the public vocabulary file, which is fetched with the weights.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from tvsl.audioclip.config import TextEncoderConfig
from tvsl.errors import ShapeError, VocabularyError, WeightsError, shown
from tvsl.names import WORD_PATTERN, check_names, plain_text
from tvsl.paths import weights_folder
from tvsl.small_files import LARGEST_CONFIG, read_small

VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"
VOCABULARY_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
VOCABULARY_IDS = 49_408
_REMEDY = "Fetch it again with `tvsl weights fetch clip-vocabulary`."
_END_OF_WORD = "</w>"
SPECIAL = ("<|startoftext|>", "<|endoftext|>")
"""Start and end of a text, in every tokenizer of this package."""


class TextTokenizer:
    """Texts to padded token ids.

    Args:
        tokenizer: Gives the ids of a text, without padding, start and end.
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
        """Encode texts.

        Args:
            texts: One or more; they are mended first, see ``plain_text``.

        Returns:
            Token ids, (len(texts), context), int64, padded with 0.

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
            if any(mark in text for mark in SPECIAL):  # what follows an end would not be read
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

        Args:
            names: Different class names.

        Returns:
            Token ids, (len(names), context), int64, padded with 0.

        Raises:
            VocabularyError: No name, one twice or in two spellings, or one that is empty, too
                long or not to be expressed.
        """
        check_names(names)
        ids = self(names)
        first: dict[tuple[int, ...], str] = {}
        for name, row in zip(names, ids.tolist(), strict=True):
            other = first.setdefault(tuple(row), name)
            if other is not name:  # a model's own tokenizer may see less than the names' form
                raise VocabularyError(
                    f"The model cannot tell {shown(other)} from {shown(name)}.",
                    "Give one of the two.",
                )
        return ids

    @property
    def size(self) -> int:
        """Number of ids: the ``vocabulary`` of the text encoder's config."""
        count: int = self._tokenizer.get_vocab_size()
        return count

    def check_words(self, texts: Sequence[str]) -> None:
        """Let through only texts whose every word has an id, as with byte-pair encoding all do.

        Args:
            texts: Any number of texts.

        Raises:
            VocabularyError: Words have none; the message names them.
        """

    def save(self, path: Path) -> None:
        """Write it in the format of Hugging Face ``tokenizers``, for ``load_tokenizer``.

        Args:
            path: The file, ``tokenizer.json``.
        """
        path.write_text(self._tokenizer.to_str(), encoding="utf-8")


def clip_tokenizer(path: str | Path, context: int = 77) -> TextTokenizer:
    """Build CLIP's tokenizer from its vocabulary file.

    Args:
        path: ``bpe_simple_vocab_16e6.txt.gz``.
        context: Ids of one text.

    Returns:
        The tokenizer.

    Raises:
        WeightsError: The file cannot be read or is not that vocabulary.
    """
    merges = _read_merges(Path(path))
    alphabet = _byte_alphabet()
    tokens = [*alphabet, *(letter + _END_OF_WORD for letter in alphabet)]
    tokens += ["".join(merge) for merge in merges]
    tokens += SPECIAL
    return bpe_tokenizer({token: number for number, token in enumerate(tokens)}, merges, context)


def bpe_tokenizer(
    vocabulary: dict[str, int], merges: list[tuple[str, str]], context: int
) -> TextTokenizer:
    """Build a tokenizer of CLIP's kind.

    Args:
        vocabulary: All tokens with their ids, start and end among them.
        merges: Pairs of tokens that are joined, the first first.
        context: Ids of one text.

    Returns:
        The tokenizer.

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
    """Build CLIP's tokenizer from its vocabulary file, wherever that is.

    Args:
        config: Sizes of the text encoder.
        beside: A checkpoint; its folder is looked into before the weights folder.

    Returns:
        The tokenizer, or None where the file is in neither or the encoder is not CLIP's.

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
