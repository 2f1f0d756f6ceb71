"""Models by name: those that come with the package, and AudioCLIP's public files; without torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tvsl.errors import OutputError, WeightsError
from tvsl.utils.atomic import check_free_file
from tvsl.utils.files import weights_folder
from tvsl.utils.hub import hub_model, snapshot
from tvsl.utils.model_folder import TENSORS_FILE
from tvsl.utils.processes import Progress, no_progress

_RELEASE = "https://github.com/AndreyGuzhov/AudioCLIP/releases/download/v0.1/"
_SAFETENSORS = ".safetensors"
VOCABULARY_NAME = "clip-vocabulary"
VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"
VOCABULARY_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"

EMBEDDED: Mapping[str, str] = {
    "everyday": "common things and sounds, from small pretrained networks",
    "mini": "a small model of tvsl's synthetic world, for trying things out",
    "mini-pooled": "mini's encoders, trained on pooled pairs alone: a benchmark's, without a head",
}
"""Descriptions of the embedded models by name."""


@dataclass(frozen=True)
class WeightFile:
    """A public file.

    Attributes:
        name: Its name on the command line.
        file: Its file name.
        sha256: Its checksum in hexadecimal.
        size: Bytes.
        holds: Its content in words.
        is_model: Whether it is an AudioCLIP that can be loaded.
        folder: Address of the folder that holds it.
    """

    name: str
    file: str
    sha256: str
    size: int
    holds: str
    is_model: bool = False
    folder: str = _RELEASE

    @property
    def url(self) -> str:
        """Its address."""
        return self.folder + self.file

    @property
    def path(self) -> Path:
        """Its path in the weights folder."""
        return weights_folder() / self.file


PUBLIC_FILES: Mapping[str, WeightFile] = {
    entry.name: entry
    for entry in (
        WeightFile(
            "audioclip",
            "AudioCLIP-Full-Training.pt",
            "2441d35b353352c8b1bbfb8f7c687f46314c3d2909e940eaf763b8c17f632c44",
            537_302_068,
            "AudioCLIP, all three encoders trained on AudioSet",
            is_model=True,
        ),
        WeightFile(
            "audioclip-partial",
            "AudioCLIP-Partial-Training.pt",
            "1921885b6c3b5de0619f2ef4a9700ecbade758a398b34eb064230c30baef0c75",
            537_302_068,
            "AudioCLIP, audio encoder trained against CLIP's unchanged image and text encoders",
            is_model=True,
        ),
        WeightFile(
            "clip",
            "CLIP.pt",
            "124e6d59d54c0837c456c953b3147adf438a21570d5c5b01ad83f6ad3e78d15e",
            408_415_159,
            "CLIP's RN50 image and text encoders alone",
        ),
        WeightFile(
            "esresnext",
            "ESRNXFBSP.pt",
            "acfcc6b0a0f07025cc660ed6dcf9b5a05fbd7c8ebf65edaa0a81d88a92ff6834",
            124_795_647,
            "the audio encoder before AudioCLIP's training",
        ),
        WeightFile(
            VOCABULARY_NAME,
            VOCABULARY_FILE,
            VOCABULARY_SHA256,
            1_356_917,
            "CLIP's text vocabulary, needed with either AudioCLIP",
        ),
    )
}

MODEL_NAMES = (*EMBEDDED, *(entry.name for entry in PUBLIC_FILES.values() if entry.is_model))
"""Names of the models of tvsl."""


def find_public_file(name_or_path: str) -> tuple[WeightFile, Path]:
    """Find a public file by its name, or by the file name of a path.

    Args:
        name_or_path: A name of ``PUBLIC_FILES`` or a path that ends in a public file's name.

    Raises:
        WeightsError: Neither.
    """
    for entry in PUBLIC_FILES.values():
        if name_or_path == entry.name:
            return entry, entry.path
        if Path(name_or_path).name == entry.file:
            return entry, Path(name_or_path)
    raise WeightsError(
        f"'{name_or_path}' is no public weight file.",
        f"Known: {', '.join(f'{entry.name} ({entry.file})' for entry in PUBLIC_FILES.values())}.",
    )


def model_folder(path_or_name: str | Path) -> Path | None:
    """Folder of a model that is stored as one; None for a single file or a public one.

    Args:
        path_or_name: A name of ``EMBEDDED`` or ``PUBLIC_FILES``, a path, or a name on the hub,
            from which it is fetched.

    Raises:
        WeightsError: This installation lacks the embedded model of that name, or the hub's cannot
            be had.
        UsageError: It is on the hub, and huggingface_hub is not installed.
    """
    if isinstance(path_or_name, str) and path_or_name in EMBEDDED:
        return embedded_folder(path_or_name)
    path = Path(path_or_name).expanduser()
    if path.is_dir() and str(path_or_name) not in PUBLIC_FILES:
        return path
    on_hub = hub_model(path_or_name)
    return None if on_hub is None else snapshot(on_hub)


def embedded_path(name: str) -> Path:
    """Folder of an embedded model's files, which may be missing."""
    return Path(str(resources.files("tvsl"))) / "pretrained" / name


def is_installed(name: str) -> bool:
    """Tell whether this installation holds an embedded model."""
    return (embedded_path(name) / TENSORS_FILE).is_file()


def embedded_folder(name: str) -> Path:
    """The folder of an embedded model, which is there.

    Raises:
        WeightsError: This installation came without it.
    """
    folder = embedded_path(name)
    if not is_installed(name):
        raise WeightsError(
            f"This installation of tvsl came without its embedded model '{name}'.",
            f"Install it again, make the model with `make {name}` in a checkout, or use another "
            "(`--model audioclip`).",
            folder,
        )
    return folder


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Path of a public file, which is downloaded first if it is absent.

    CLIP's vocabulary, which AudioCLIP needs to read text, is fetched with either of them. A
    download that breaks off is resumed; a file appears under its name only when it is whole and its
    checksum is right.

    Args:
        name: A name of ``PUBLIC_FILES``.
        progress: Called with bytes so far and bytes in all.

    Raises:
        WeightsError: Unknown name, no network, or a wrong checksum; the message says what to
            download by hand and where to put it.
    """
    from tvsl.utils.download import download  # not to list files

    if name not in PUBLIC_FILES:
        raise WeightsError(
            f"There is no public weight file '{name}'.", f"Known names: {', '.join(PUBLIC_FILES)}."
        )
    wanted = PUBLIC_FILES[name]
    files = [PUBLIC_FILES[VOCABULARY_NAME], wanted] if wanted.is_model else [wanted]
    absent = [entry for entry in files if not entry.path.is_file()]
    places = " and ".join(f"{entry.url} to {entry.path}" for entry in absent)
    for entry in files:
        download(entry.url, entry.path, entry.sha256, f"download by hand {places}", progress)
    return wanted.path


def sha256_of(path: Path, progress: Progress = no_progress) -> str:
    """SHA-256 of a file in hexadecimal.

    Args:
        path: The file.
        progress: Called with bytes so far and bytes in all.

    Raises:
        WeightsError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        total = path.stat().st_size
        with path.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
                progress(stream.tell(), total)
    except OSError as error:
        raise WeightsError(
            f"The file cannot be read ({error.strerror}).", "Check the path.", path
        ) from error
    return digest.hexdigest()


def verify(path: Path, entry: WeightFile, progress: Progress = no_progress) -> None:
    """Check a file against a public file's checksum.

    Args:
        path: The file.
        entry: The public file.
        progress: Called with bytes so far and bytes in all.

    Raises:
        WeightsError: It is missing, or it differs.
    """
    found = sha256_of(path, progress)
    if found != entry.sha256:
        raise WeightsError(
            f"The file differs from the public {entry.file}: {path.stat().st_size} bytes, "
            f"SHA-256 {found}, expected {entry.size} bytes, SHA-256 {entry.sha256}.",
            f"Delete it and run `tvsl weights fetch {entry.name}`.",
            path,
        )


GIVE_A_FILE = "Give the file of an AudioCLIP checkpoint."
_CHOICE = f"Give a checkpoint's file or folder, or a name: {', '.join(MODEL_NAMES)}."


def existing_file(path: Path, remedy: str = _CHOICE) -> Path:
    """Refuse a checkpoint that is missing or empty.

    Args:
        path: The file.
        remedy: What to do about it.

    Raises:
        WeightsError: It is missing or empty.
    """
    if not path.is_file():
        raise WeightsError("There is no such checkpoint file.", remedy, path)
    if path.stat().st_size == 0:
        raise WeightsError("The file is empty.", remedy, path)
    return path


def free_target(path: Path, force: bool) -> Path:
    """Refuse a path that is not a safetensors file that may be written.

    Args:
        path: The file to write.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: It exists, or has another ending.
    """
    if path.suffix != _SAFETENSORS:
        raise OutputError(f"The name must end in {_SAFETENSORS}.", "Choose another name.", path)
    if os.path.lexists(path):
        check_free_file(path, force)
    return path
