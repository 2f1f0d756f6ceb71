"""The public weight files: where they are, what they must hash to, and how they are read."""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tvsl.audioclip.config import AudioCLIPConfig
from tvsl.audioclip.download import Progress, download
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import TextTokenizer, clip_tokenizer
from tvsl.errors import OutputError, WeightsError
from tvsl.paths import weights_folder

_RELEASE = "https://github.com/AndreyGuzhov/AudioCLIP/releases/download/v0.1/"
_CONFIG_KEY = "tvsl_audioclip_config"
VOCABULARY_NAME = "clip-vocabulary"


@dataclass(frozen=True)
class WeightFile:
    """A public file.

    Attributes:
        name: What the command line calls it.
        file: Its file name.
        url: Where it is.
        sha256: What it must hash to.
        size: Bytes.
        holds: What is in it.
    """

    name: str
    file: str
    url: str
    sha256: str
    size: int
    holds: str

    @property
    def path(self) -> Path:
        """Where it belongs on this machine."""
        return weights_folder() / self.file


def _file(name: str, file: str, sha256: str, size: int, holds: str) -> WeightFile:
    return WeightFile(name, file, _RELEASE + file, sha256, size, holds)


PUBLIC_FILES: Mapping[str, WeightFile] = {
    entry.name: entry
    for entry in (
        _file(
            "audioclip",
            "AudioCLIP-Full-Training.pt",
            "2441d35b353352c8b1bbfb8f7c687f46314c3d2909e940eaf763b8c17f632c44",
            537_302_068,
            "AudioCLIP, all three encoders trained on AudioSet",
        ),
        _file(
            "audioclip-partial",
            "AudioCLIP-Partial-Training.pt",
            "1921885b6c3b5de0619f2ef4a9700ecbade758a398b34eb064230c30baef0c75",
            537_302_068,
            "AudioCLIP, audio encoder trained against CLIP's unchanged image and text encoders",
        ),
        _file(
            "clip",
            "CLIP.pt",
            "124e6d59d54c0837c456c953b3147adf438a21570d5c5b01ad83f6ad3e78d15e",
            408_415_159,
            "CLIP's RN50 image and text encoders alone (not loadable as an AudioCLIP)",
        ),
        _file(
            "esresnext",
            "ESRNXFBSP.pt",
            "acfcc6b0a0f07025cc660ed6dcf9b5a05fbd7c8ebf65edaa0a81d88a92ff6834",
            124_795_647,
            "the audio encoder before AudioCLIP's training (not loadable as an AudioCLIP)",
        ),
        _file(
            VOCABULARY_NAME,
            "bpe_simple_vocab_16e6.txt.gz",
            "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
            1_356_917,
            "CLIP's text vocabulary, needed with every checkpoint",
        ),
    )
}


def public_file(name: str) -> WeightFile:
    """Look a public file up.

    Args:
        name: A name of ``PUBLIC_FILES``.

    Returns:
        The file's entry.

    Raises:
        WeightsError: There is no such name.
    """
    if name not in PUBLIC_FILES:
        raise WeightsError(
            f"'{name}' is neither a file nor a known name.",
            f"Known names: {', '.join(PUBLIC_FILES)}.",
        )
    return PUBLIC_FILES[name]


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Give the path of a public file, downloading it first where it is absent.

    A download that breaks off goes on where it stopped; a file appears under its name only when
    it is whole and its checksum is right.

    Args:
        name: A name of ``PUBLIC_FILES``.
        progress: Called with bytes so far and bytes in all.

    Returns:
        The file in the weights folder.

    Raises:
        WeightsError: Unknown name, no network, or a wrong checksum; the message says what to
            download by hand and where to put it.
    """
    entry = public_file(name)
    return download(entry.url, entry.path, entry.sha256, progress)


def fetch_with_vocabulary(name: str, progress: Progress | None = None) -> Path:
    """``fetch`` a file, and before it the vocabulary without which a checkpoint reads no text.

    Args:
        name: A name of ``PUBLIC_FILES``.
        progress: Called with bytes so far and bytes in all.

    Returns:
        The file that was asked for.

    Raises:
        WeightsError: As for ``fetch``.
    """
    public_file(name)
    fetch(VOCABULARY_NAME, progress)
    return fetch(name, progress)


def find_entry(name_or_path: str) -> tuple[WeightFile, Path]:
    """Which public file is meant: by its name, or by the file name of a path.

    Args:
        name_or_path: A name of ``PUBLIC_FILES`` or a path that ends in a public file's name.

    Returns:
        The entry, and the path that is to be looked at.

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


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a file in hexadecimal.

    Raises:
        WeightsError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        total = path.stat().st_size
        with path.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
                if progress is not None:
                    progress(stream.tell(), total)
    except OSError as error:
        raise WeightsError(
            f"The file cannot be read ({error.strerror}).", "Check the path.", path
        ) from error
    return digest.hexdigest()


def verify(path: Path, entry: WeightFile, progress: Progress | None = None) -> None:
    """Check a file against a public file's size and checksum.

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


def load_audioclip(
    path_or_name: str | Path,
    waveform_scale: float | None = None,
    progress: Progress | None = None,
) -> AudioCLIP:
    """Load a frozen AudioCLIP, strictly and without running any code from the file.

    Args:
        path_or_name: ``audioclip`` or ``audioclip-partial`` (fetched where absent), the path of
            an official ``.pt`` file, or of a ``.safetensors`` file written by ``convert``.
        waveform_scale: Overrides the config's; 1 for what the released T-VSL computes.
        progress: Called with bytes so far and bytes in all while fetching.

    Returns:
        The model, frozen, on the CPU, with its tokenizer where the vocabulary file is found
        beside the checkpoint or in the weights folder.

    Raises:
        WeightsError: The file is missing, damaged, unsafe, or of another model.
    """
    name = str(path_or_name)
    if name in PUBLIC_FILES:
        path = fetch_with_vocabulary(name, progress)
    else:
        path = _existing(Path(path_or_name).expanduser())
    state, config = read_state(path)
    if waveform_scale is not None:
        config = config.model_copy(update={"waveform_scale": waveform_scale})
    model = build(state, config, path)
    model.tokenizer = find_tokenizer(path, config)
    return model


def build(state: Mapping[str, Tensor], config: AudioCLIPConfig, path: Path) -> AudioCLIP:
    """Build a frozen model around tensors, without initialising it first.

    Raises:
        WeightsError: Names or shapes are not this model's.
    """
    with torch.device("meta"):
        model = AudioCLIP(config)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    if expected != found:
        raise WeightsError(
            f"This is the checkpoint of another model: {_difference(expected, found)}.",
            "Give an AudioCLIP checkpoint; `tvsl weights list` names the public ones.",
            path,
        )
    counters = {name for name in state if name.endswith("num_batches_tracked")}
    tensors = {
        name: value if name in counters else value.float().contiguous()
        for name, value in state.items()
    }
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise WeightsError(
            f"{len(broken)} tensors hold values that are not finite, among them {broken[0]}.",
            "The file is damaged: fetch or convert it again.",
            path,
        )
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.freeze()


def read_state(path: Path) -> tuple[dict[str, Tensor], AudioCLIPConfig]:
    """Read the tensors of a checkpoint, and its sizes where the file states them.

    Raises:
        WeightsError: The file is damaged, unsafe or no state dict.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_official(path), AudioCLIPConfig()


def convert(source: Path, target: Path, force: bool = False) -> Path:
    """Write a checkpoint as safetensors, with its sizes in the header.

    Args:
        source: Official ``.pt`` file or safetensors file.
        target: Path that ends in ``.safetensors``.
        force: Whether an existing file may be replaced.

    Returns:
        The file that was written.

    Raises:
        WeightsError: The source cannot be used.
        OutputError: The target exists, has another ending or cannot be written.
    """
    if target.suffix != ".safetensors":
        raise OutputError("The name must end in .safetensors.", "Choose another name.", target)
    if target.exists() and not force:
        raise OutputError("This file exists already.", "Choose another name or force it.", target)
    state, config = read_state(_existing(source))
    model = build(state, config, source)
    partial = target.with_name(target.name + ".part")
    header = {_CONFIG_KEY: config.model_dump_json(), "format": "pt"}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, partial, header)
        partial.replace(target)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"The file cannot be written ({error}).", "Check the place and the free space.", target
        ) from error
    return target


def find_tokenizer(checkpoint: Path, config: AudioCLIPConfig) -> TextTokenizer | None:
    """CLIP's tokenizer from beside the checkpoint, else from the weights folder, else None.

    Raises:
        WeightsError: A vocabulary file is there but is not the public one.
    """
    entry = PUBLIC_FILES[VOCABULARY_NAME]
    for path in (checkpoint.parent / entry.file, entry.path):
        if path.is_file():
            verify(path, entry)
            return clip_tokenizer(path, config.text.context)
    return None


def _existing(path: Path) -> Path:
    remedy = f"Give a checkpoint file, or one of the names {', '.join(PUBLIC_FILES)}."
    if not path.is_file():
        raise WeightsError("There is no such checkpoint file.", remedy, path)
    if path.stat().st_size == 0:
        raise WeightsError("The file is empty.", remedy, path)
    return path


def _difference(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> str:
    missing, surplus = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing or surplus:
        example = sorted(missing or surplus)[0]
        return f"{len(missing)} tensors missing, {len(surplus)} unknown, among them '{example}'"
    name = next(name for name in sorted(expected) if expected[name] != found[name])
    return f"'{name}' has shape {found[name]}, not {expected[name]}"


def _read_official(path: Path) -> dict[str, Tensor]:
    remedy = "Fetch it again with `tvsl weights fetch audioclip`."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters becomes one error below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            "The file is no plain state dict: loading it could run code, so it was not loaded.",
            remedy,
            path,
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            "The file is truncated or damaged, or not written by torch.", remedy, path
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise WeightsError("The file holds no state dict.", remedy, path)
    return dict(state)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], AudioCLIPConfig]:
    remedy = "Convert the official file again with `tvsl weights convert`."
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError("The file is truncated or damaged.", remedy, path) from error
    if _CONFIG_KEY not in metadata:
        raise WeightsError("The file does not state its sizes.", remedy, path)
    try:
        config = AudioCLIPConfig.model_validate(json.loads(metadata[_CONFIG_KEY]))
    except (ValidationError, json.JSONDecodeError) as error:
        raise WeightsError("The sizes in the file's header are wrong.", remedy, path) from error
    return state, config
