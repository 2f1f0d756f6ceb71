"""A model small enough to pre-train in a test, and a recipe for it."""

from __future__ import annotations

import torch

from tvsl.audioclip.config import (
    AudioCLIPConfig,
    ImageEncoderConfig,
    ModulationAudioEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import build_word_tokenizer
from tvsl.synthetic.vocabulary import CLASSES, FILLER_WORDS, SHAPES, SIZE_WORDS, SURFACES
from tvsl.training.config import PretrainConfig

WORDS = (*SURFACES, *SHAPES, *SIZE_WORDS, *FILLER_WORDS)
TINY = AudioCLIPConfig(
    embedding=16,
    waveform_scale=1.0,
    classes=CLASSES["seen"],
    image=ImageEncoderConfig(
        resolution=112,
        width=8,
        blocks=(1, 1, 1, 1),
        multiples=(1, 1, 1, 1),
        strides=(1, 2, 2, 1),
        heads=2,
    ),
    audio=ModulationAudioEncoderConfig(bands=32, widths=(4, 6, 8, 8)),
    text=TextEncoderConfig(vocabulary=len(WORDS) + 4, context=40, width=16, layers=1, heads=2),
)


def tiny_model() -> AudioCLIP:
    """An untrained one, whose values follow torch's seed."""
    return AudioCLIP(TINY, build_word_tokenizer(WORDS, TINY.text.context))


WEIGHTS = {
    "image_text": 1.0,
    "audio_text": 0.75,
    "image_audio": 0.5,
    "text_cells": 0.25,
    "audio_cells": 2.0,
}


def recipe(**changes: object) -> PretrainConfig:
    """Six steps of four clips, each term with another weight."""
    sizes: dict[str, object] = {"steps": 6, "batch": 4, "classes": 3, "clips": 12, "warm_up": 1}
    return PretrainConfig(**{**sizes, "terms": WEIGHTS, **changes})


def same_state(first: AudioCLIP, second: AudioCLIP) -> bool:
    others = second.state_dict()
    return all(torch.equal(value, others[name]) for name, value in first.state_dict().items())
