"""An everyday encoder with made-up weights and a tokenizer of few words and all letters."""

from __future__ import annotations

import string

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn

from tvsl.everyday.model_file import EverydayNetworks
from tvsl.everyday.space import SpaceConfig

SPACE = SpaceConfig(meaning=6, sounding=5, seen=4, heard=3)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("dog", "bark", "car", "horn", "bell")
PIECES = (
    *SPECIAL,
    *WORDS,
    *string.ascii_lowercase,
    *(f"##{letter}" for letter in string.ascii_lowercase),
)


def made_tokenizer(pieces: tuple[str, ...] = PIECES) -> Tokenizer:
    """Word pieces as BERT's, between [CLS] and [SEP]."""
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = (("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.post_processor = processors.BertProcessing(*ends)
    return tokenizer


def randomize(module: nn.Module, seed: int) -> None:
    """Fill all that is stored with numbers that keep the signal's size from layer to layer."""
    generator = torch.Generator().manual_seed(seed)

    def values(like: Tensor, size: float) -> Tensor:
        return torch.randn(like.shape, generator=generator) * size

    with torch.no_grad():
        for name, value in module.state_dict().items():
            fan_in = value[0].numel() if value.ndim > 1 else 100
            if name.endswith("norm.weight"):
                value.fill_(1)
            elif name.endswith("prior"):
                value.copy_(values(value, 0.05).abs())
            else:
                value.copy_(values(value, (1.5 / max(fan_in, 1)) ** 0.5))


def made_networks(config: SpaceConfig, seed: int = 0) -> EverydayNetworks:
    """The networks, untrained."""
    with torch.device("meta"):  # else torch fills them once more
        networks = EverydayNetworks(config, len(PIECES))
    networks.to_empty(device="cpu")
    networks.hearing.make_tables()
    randomize(networks, seed)
    return networks.eval()
