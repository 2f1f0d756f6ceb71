# ruff: noqa: RUF001  (odd characters are what is tested)
"""CLIP's tokenizer once more, slowly, from the published algorithm: an oracle for tests.

Mend with ftfy, resolve HTML twice, one space, lower case; cut into words; merge pairs of symbols
by their rank in the public file, the lowest first. Nothing of tvsl is used.
"""

from __future__ import annotations

import gzip
import html
import re
from itertools import pairwise
from pathlib import Path
from unicodedata import category

import ftfy

_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


class SlowBPE:
    def __init__(self, path: Path) -> None:
        lines = gzip.decompress(path.read_bytes()).decode().split("\n")
        merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
        self.ranks = {merge: rank for rank, merge in enumerate(merges)}
        plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        rest = [byte for byte in range(256) if byte not in plain]
        self.letters = {byte: chr(byte) for byte in plain}
        self.letters.update({byte: chr(256 + number) for number, byte in enumerate(rest)})
        symbols = [self.letters[byte] for byte in plain + rest]
        tokens = symbols + [symbol + "</w>" for symbol in symbols]
        tokens += ["".join(merge) for merge in merges]
        self.ids = {token: number for number, token in enumerate(tokens)}

    def __call__(self, text: str) -> list[int]:
        text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
        text = re.sub(r"\s+", " ", text).strip().lower()
        return [number for word in _words(text) for number in self._merged(word)]

    def _merged(self, word: str) -> list[int]:
        symbols = [self.letters[byte] for byte in word.encode()]
        symbols[-1] += "</w>"
        while len(symbols) > 1:
            pairs = list(pairwise(symbols))
            best = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            joined: list[str] = []
            while symbols:
                if tuple(symbols[:2]) == best:
                    joined.append(symbols.pop(0) + symbols.pop(0))
                else:
                    joined.append(symbols.pop(0))
            symbols = joined
        return [self.ids[symbol] for symbol in symbols]


def _words(text: str) -> list[str]:
    words: list[str] = []
    at = 0
    while at < len(text):
        # Case does not count here: the long s is an s.
        found = [part for part in _CONTRACTIONS if _same(text[at : at + len(part)], part)]
        end = at + (len(found[0]) if found else 0)
        if not found and _kind(text[at]) == "N":
            end = at + 1
        elif not found:
            while end < len(text) and _kind(text[end]) == _kind(text[at]):
                end += 1
        if text[at:end].strip():
            words.append(text[at:end])
        at = end
    return words


def _same(text: str, part: str) -> bool:
    return text.replace("ſ", "s") == part


def _kind(character: str) -> str:
    if character.isspace():
        return " "
    return category(character)[0] if category(character)[0] in "LN" else "other"
