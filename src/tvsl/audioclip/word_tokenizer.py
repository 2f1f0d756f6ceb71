"""Word-level tokenizers for small models, and tokenizers of either kind from their file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tvsl.audioclip.config import TextEncoderConfig
from tvsl.audioclip.tokenizer import SPECIAL, TextTokenizer, bpe_tokenizer
from tvsl.errors import VocabularyError, WeightsError, first_few, shown
from tvsl.small_files import LARGEST_CONFIG, read_small_json

_PADDING = "<|padding|>"
_UNKNOWN = "<|unknown|>"
_MOST_NAMED = 40


class WordTokenizer(TextTokenizer):
    """Texts of known words to padded token ids; any other word is an error.

    Args:
        tokenizer: A word-level tokenizer.
        start: Id that opens a text.
        end: Id that closes a text; the highest of all.
        context: Ids of one text, padding included.

    Attributes:
        words: The words that it knows.
        ids: All tokens with their ids.
    """

    def __init__(self, tokenizer: Tokenizer, start: int, end: int, context: int) -> None:
        super().__init__(tokenizer, start, end, context)
        self.ids: dict[str, int] = tokenizer.get_vocab()
        self.words = _words(self.ids)

    def check_words(self, texts: Sequence[str]) -> None:
        """Let through only texts of known words; see the base class.

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
                "`--model audioclip`.",
            )


def build_word_tokenizer(words: Sequence[str], context: int) -> WordTokenizer:
    """Build a tokenizer that knows some words and no others; case does not matter.

    Its ids are 0 for padding, then the words in their order, one for what is unknown, start and
    end: four more than there are words.

    Args:
        words: Different words.
        context: Ids of one text, padding, start and end included.

    Returns:
        The tokenizer.

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

    Returns:
        The tokenizer, of the kind that was saved.

    Raises:
        WeightsError: The file cannot be read, or belongs to another text encoder.
    """
    remedy = "Get the model again; the file belongs to it."
    content = read_small_json(path, LARGEST_CONFIG, WeightsError, remedy)
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or model.get("type") not in ("WordLevel", "BPE"):
        raise WeightsError("The file is damaged: it holds no tokenizer of words.", remedy, path)
    ids = model.get("vocab")
    if not isinstance(ids, dict) or sorted(ids.values(), key=repr) != sorted(
        range(len(ids)), key=repr
    ):
        raise WeightsError("The tokenizer's ids are not the numbers from 0 on.", remedy, path)
    if (
        len(ids) != config.vocabulary
        or ids.get(SPECIAL[0]) is None
        or ids.get(SPECIAL[1]) != (len(ids) - 1)
    ):
        raise WeightsError(
            f"The tokenizer has {len(ids)} ids and its end is {shown(ids.get(SPECIAL[1]))}: the "
            f"text encoder has {config.vocabulary}, of which the last is the end.",
            remedy,
            path,
        )
    # Built anew from its words: expressions and steps from a file could take for ever.
    try:
        if model["type"] == "BPE":
            return bpe_tokenizer(ids, _merges(model.get("merges")), config.context)
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
