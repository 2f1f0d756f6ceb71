"""The public weight files and the embedded model: names, addresses, checksums, loading."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tvsl.audioclip.checkpoint import build, folder_tokenizer, load_folder, read_state
from tvsl.audioclip.checkpoint_file import existing_file
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import TextTokenizer, clip_tokenizer, find_clip_tokenizer
from tvsl.errors import WeightsError
from tvsl.models import PUBLIC_FILES, VOCABULARY_NAME, WeightFile, model_folder
from tvsl.utils.download import download
from tvsl.utils.progress import Progress, no_progress


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Path of a public file, which is downloaded first if it is absent.

    CLIP's vocabulary, which every model needs to read text, is fetched with a model. A download
    that breaks off is resumed; a file appears under its name only when it is whole and its checksum
    is right.

    Args:
        name: A name of ``PUBLIC_FILES``.
        progress: Called with bytes so far and bytes in all.

    Returns:
        The file in the weights folder.

    Raises:
        WeightsError: Unknown name, no network, or a wrong checksum; the message says what to
            download by hand and where to put it.
    """
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


def load_audioclip(
    path_or_name: str | Path, waveform_scale: float | None = None, progress: Progress | None = None
) -> AudioCLIP:
    """Load a frozen AudioCLIP, strictly and without running any code from the file.

    Args:
        path_or_name: ``mini``, which comes with the package; ``audioclip`` or
            ``audioclip-partial``, fetched where absent; or the path of an official ``.pt`` file,
            of a ``.safetensors`` file written by ``convert``, or of a folder written by
            ``save_audioclip``.
        waveform_scale: Overrides the config's; 1 for what the released T-VSL computes.
        progress: Called with bytes so far and bytes in all while fetching.

    Returns:
        The model, frozen, on the CPU, with its tokenizer: the folder's own, or CLIP's where its
        vocabulary file is found beside the checkpoint or in the weights folder.

    Raises:
        WeightsError: The file is missing, damaged, unsafe, or of another model.
    """
    folder = model_folder(path_or_name)
    if folder is not None:
        return load_folder(folder, waveform_scale)
    path = _checkpoint_path(path_or_name, progress)
    state, config = read_state(path)
    if waveform_scale is not None:
        config = config.model_copy(update={"waveform_scale": waveform_scale})
    model = build(state, config, path)
    model.tokenizer = find_clip_tokenizer(config.text, beside=path)
    return model


def known_tokenizer(path_or_name: str | Path) -> TextTokenizer | None:
    """Load the tokenizer of a model before its weights are fetched or read.

    Args:
        path_or_name: As for ``load_audioclip``.

    Returns:
        The tokenizer; None if it follows from the weights alone, or is not installed.

    Raises:
        WeightsError: A file of the model is missing, damaged, or of another model.
    """
    folder = model_folder(path_or_name)
    if folder is not None:
        return folder_tokenizer(folder)
    vocabulary = PUBLIC_FILES[VOCABULARY_NAME].path
    if str(path_or_name) in PUBLIC_FILES and vocabulary.is_file():
        return clip_tokenizer(vocabulary)
    return None


def _checkpoint_path(path_or_name: str | Path, progress: Progress | None = None) -> Path:
    """File of a checkpoint by its path, or by the name of a public model, which is fetched."""
    models = [entry.name for entry in PUBLIC_FILES.values() if entry.is_model]
    if str(path_or_name) in models:
        return fetch(str(path_or_name), progress)
    path = Path(path_or_name).expanduser()
    if str(path_or_name) in PUBLIC_FILES:
        raise WeightsError(
            f"'{path_or_name}' is no AudioCLIP model.", f"Models: {', '.join(models)}."
        )
    return existing_file(path)
