"""The public weight files and the embedded model: names, addresses, checksums, loading."""

from __future__ import annotations

from pathlib import Path

from tvsl.audioclip.checkpoint import build, folder_tokenizer, load_folder, read_state
from tvsl.audioclip.checkpoint_file import existing_file
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import TextTokenizer, clip_tokenizer, find_clip_tokenizer
from tvsl.errors import WeightsError
from tvsl.models import PUBLIC_FILES, VOCABULARY_NAME, fetch, model_folder
from tvsl.utils.progress import Progress


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
