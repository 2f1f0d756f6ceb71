"""Word-level tokenizers for small models, and tokenizers of either kind from their file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tvsl.audioclip.config import TextEncoderConfig
from tvsl.audioclip.tokenizer import SPECIAL, TextTokenizer
from tvsl.errors import VocabularyError, WeightsError, first_few
from tvsl.small_files import LARGEST_CONFIG, read_small_text

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
    text = read_small_text(path, LARGEST_CONFIG, WeightsError, remedy)
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more special
        raise WeightsError("The file is damaged: it holds no tokenizer.", remedy, path) from error
    start, end = (tokenizer.token_to_id(token) for token in SPECIAL)
    size = tokenizer.get_vocab_size()
    if size != config.vocabulary or start is None or end != size - 1:
        raise WeightsError(
            f"The tokenizer has {size} ids and its end is {end}: the text encoder has "
            f"{config.vocabulary}, of which the last is the end.",
            remedy,
            path,
        )
    if not isinstance(tokenizer.model, models.WordLevel):
        return TextTokenizer(tokenizer, start, end, config.context)
    try:
        found = build_word_tokenizer(_words(tokenizer.get_vocab()), config.context)
    except VocabularyError as error:
        raise WeightsError(error.problem, remedy, path) from error
    if found.ids != tokenizer.get_vocab():
        raise WeightsError("The words' ids are not in this package's order.", remedy, path)
    return found


def _words(ids: Mapping[str, int]) -> tuple[str, ...]:
    """The words of a tokenizer in the order of their ids."""
    return tuple(sorted(ids.keys() - {_PADDING, _UNKNOWN, *SPECIAL}, key=ids.__getitem__))


def _listed(words: Sequence[str]) -> str:
    """Words in one line, a long list cut short."""
    return ", ".join(first_few(words, _MOST_NAMED))
