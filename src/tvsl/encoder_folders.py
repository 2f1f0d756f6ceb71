"""Kinds of encoders that are stored as folders, and the functions that read each.

The package of a kind is imported when it is asked for: neither encoder waits for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tvsl.encoder import Encoder, EncoderOptions
from tvsl.utils.model_folder import CONFIG_FILE, read_json

_REMEDY = "Get the model again: its files belong together."


@dataclass(frozen=True)
class EncoderKind:
    """Functions that read encoders of one kind.

    Attributes:
        load: Loads the encoder of a folder; that of AudioCLIP also takes a file or a name.
        fingerprint: Fingerprint of the encoder of a folder under a waveform scale, its own when
            None; None if the folder holds no encoder.
        check_names: Refuses class names that the encoder of a folder cannot express, without its
            weights; None for a kind that can say so only once it is loaded.
    """

    load: Callable[[str | Path, EncoderOptions], Encoder]
    fingerprint: Callable[[Path, float | None], str | None]
    check_names: Callable[[str | Path, Sequence[str]], None] | None


def _audioclip() -> EncoderKind:
    from tvsl.audioclip.checkpoint import encoder_fingerprint
    from tvsl.audioclip.encoder import check_names, load

    return EncoderKind(load, encoder_fingerprint, check_names)


def _everyday() -> EncoderKind:
    from tvsl.everyday.encoder import load
    from tvsl.everyday.model_file import folder_fingerprint

    return EncoderKind(load, lambda folder, _: folder_fingerprint(folder), None)


AUDIOCLIP: Final = "audioclip"
KINDS: Mapping[str, Callable[[], EncoderKind]] = {AUDIOCLIP: _audioclip, "everyday": _everyday}
"""Kinds by the word ``encoder`` of their ``config.json``; AudioCLIP's states none."""


def kind_of(folder: Path | None) -> EncoderKind:
    """Kind of the encoder in a folder.

    Args:
        folder: The folder; None for a single file or a public one, which are AudioCLIP's.

    Returns:
        Its kind; AudioCLIP where the folder states none, whatever it holds.

    Raises:
        WeightsError: Its ``config.json`` is damaged.
    """
    path = None if folder is None else folder / CONFIG_FILE
    stated = None if path is None or not path.is_file() else read_json(path, _REMEDY).get("encoder")
    return KINDS.get(str(stated), KINDS[AUDIOCLIP])()
