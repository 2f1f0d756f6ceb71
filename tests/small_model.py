"""A small AudioCLIP with made-up weights, and small inputs to try it on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from tvsl.audioclip.checkpoint import CONFIG_KEY, save_audioclip
from tvsl.audioclip.config import (
    AudioCLIPConfig,
    AudioEncoderConfig,
    ImageEncoderConfig,
    ModulationAudioEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import build_word_tokenizer
from tvsl.methods.base import Method
from tvsl.methods.checkpoint_io import save_head
from tvsl.methods.tvsl import TVSL, TVSLConfig

from .shared_files import shared

RATE = 44_100
VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"

SMALL = AudioCLIPConfig(
    embedding=32,
    image=ImageEncoderConfig(width=8, blocks=(1, 1, 1, 1), heads=4),
    audio=AudioEncoderConfig(stem_width=8, blocks=(1, 1, 1, 1), groups=2),
    text=TextEncoderConfig(width=32, layers=1, heads=2),
)

SMALL_MODULATION = ModulationAudioEncoderConfig(
    sample_rate=800,
    frames=16,
    hop_length=20,
    window_length=64,
    bands=16,
    lowest=25.0,
    highest=390.0,
    modulations=8,
    widths=(4, 6, 8, 10),
)

WORDS = ("red", "blue", "star", "ring", "small", "large")
CLASSES = ("red star", "blue star", "red ring", "blue ring")
WORLD = SMALL.model_copy(
    update={
        "text": TextEncoderConfig(vocabulary=10, context=8, width=32, layers=1, heads=2),
        "classes": CLASSES,
    }
)
"""A model of a world with few words, as the embedded one."""


def world_model(seed: int = 0) -> AudioCLIP:
    """A model with its own words and made-up weights, neither of them trained."""
    torch.manual_seed(seed)
    model = AudioCLIP(WORLD, build_word_tokenizer(WORDS, WORLD.text.context))
    for name, value in model.named_buffers():  # as after training: not at their start
        if name.endswith("running_mean"):
            value.normal_(0, 0.2)
    return model.freeze()


def random_head(embedding: int = 32, seed: int = 1, **decided: object) -> Method:
    """A T-VSL head whose projectors are not where they start."""
    torch.manual_seed(seed)
    head = TVSL(TVSLConfig(embedding=embedding))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    head.set_tuned(**decided)
    return head


def write_bundle(folder: Path, head: Method | None = None, seed: int = 0) -> Path:
    """Write a model with its own words as a folder, with a head in it if there is one."""
    save_audioclip(world_model(seed), folder)
    if head is not None:
        save_head(head, AudioCLIPEncoder(load_audioclip(folder)), folder / "head")
    return folder


def write_small_checkpoint(folder: Path, seed: int = 0) -> Path:
    """Write a checkpoint with the vocabulary beside it."""
    vocabulary = shared("clip", VOCABULARY_FILE)
    torch.manual_seed(seed)
    state = AudioCLIP(SMALL).state_dict()
    path = folder / "small.safetensors"
    save_file(
        {name: value.contiguous() for name, value in state.items()},
        path,
        {CONFIG_KEY: SMALL.model_dump_json(), "format": "pt"},
    )
    shutil.copyfile(vocabulary, folder / VOCABULARY_FILE)
    return path


def scene(height: int = 60, width: int = 80, seed: int = 0) -> NDArray[np.uint8]:
    """A picture of coloured blocks on noise: no two of its corners are alike."""
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 60, (height, width, 3), dtype=np.uint8)
    image[: height // 2, : width // 3, 0] = 255
    image[height // 3 :, width // 2 :, 2] = 200
    return image


def tone(seconds: float = 1.0, rate: int = RATE, frequency: float = 440.0) -> NDArray[np.float32]:
    """A tone with a tremolo, (S,), float32."""
    time = np.arange(round(seconds * rate)) / rate
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)
    return (0.4 * swell * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def write_picture(path: Path, image: NDArray[np.uint8] | None = None) -> Path:
    """Write a picture without loss."""
    Image.fromarray(scene() if image is None else image).save(path)
    return path
