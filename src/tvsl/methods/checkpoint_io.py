"""Trained heads as folders: the head alone, and which encoder it belongs to.

The same code serves every method of the registry. Nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from pydantic import ConfigDict, Field, JsonValue, ValidationError

from tvsl.encoder import Encoder
from tvsl.encoder_folders import kind_of
from tvsl.errors import OutputError, UsageError, WeightsError, first_problem, shown
from tvsl.methods import METHODS
from tvsl.methods.base import Method, MethodConfig, with_overrides
from tvsl.registry import Origin
from tvsl.utils.model_folder import (
    CARD_FILE,
    CARD_TITLES,
    CONFIG_FILE,
    HEAD_FOLDER,
    TENSORS_FILE,
    check_tensors,
    existing_folder,
    read_json,
    read_tensors,
    storable,
    write_tensors,
    writing,
)
from tvsl.utils.strict_model import StrictModel

FORMAT: Final = 1
_REMEDY = "Give the folder of a head that `tvsl train` wrote, whole and unchanged."


class _HeadRecord(StrictModel):
    """Content of ``config.json``.

    Attributes:
        format: Version of the format.
        method: Name of the method.
        source: Package or file of its class, for those who lack it; it is not imported. None
            for a method of tvsl.
        encoder_sha256: Fingerprint of the encoder.
        config: Fields of the method's config.
        notes: Notes on the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = FORMAT
    method: str
    source: Origin | None = None
    encoder_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    config: dict[str, JsonValue]
    notes: dict[str, JsonValue] = Field({})


@dataclass(frozen=True)
class StoredHead:
    """A head's folder, read as far as needs no encoder.

    Attributes:
        folder: The folder.
        method: Its class.
        config: Its sizes and hyperparameters, with what validation decided.
        encoder_sha256: Fingerprint of the encoder that it belongs to.
        notes: Notes on its training.
    """

    folder: Path
    method: type[Method]
    config: MethodConfig
    encoder_sha256: str
    notes: Mapping[str, Any]

    def build(self, encoder: Encoder) -> Method:
        """Build the head on its encoder.

        Returns:
            The head, in evaluation mode, on the encoder's device.

        Raises:
            WeightsError: It belongs to another encoder, or its tensors are damaged or others.
        """
        self._check(encoder)
        path = self.folder / TENSORS_FILE
        tensors, _ = read_tensors(path, _REMEDY)
        problem = "The tensors are not those of the head that config.json describes"
        try:
            with torch.device("meta"):  # takes no memory, whatever sizes the config states
                described = self.method.from_config(self.config, encoder.text_encoder)
            check_tensors(described.state_dict(), tensors, path, problem, _REMEDY)
            with torch.random.fork_rng(devices=[]):  # to load a head must not change what follows
                head = self.method.on_encoder(self.config, encoder)
        except UsageError as error:
            raise WeightsError(error.problem, error.remedy, self.folder / CONFIG_FILE) from error
        head.load_state_dict(tensors, strict=True)
        return head.to(encoder.device).eval()

    def _check(self, encoder: Encoder) -> None:
        path = self.folder / CONFIG_FILE
        if self.encoder_sha256 != encoder.fingerprint:
            raise WeightsError(
                f"This head belongs to another encoder: to that with SHA-256 "
                f"{self.encoder_sha256[:12]}…, this one has {encoder.fingerprint[:12]}….",
                "Load it with the model that it was trained on, or train a head for this one.",
                path,
            )
        wanted = self.config.image_tokens
        if wanted is not None and wanted != encoder.image_tokens:
            raise WeightsError(
                f"This head is for image tokens '{wanted}', the encoder gives "
                f"'{encoder.image_tokens}'.",
                f"Build the encoder with image_tokens='{wanted}'.",
                path,
            )


def save_head(
    head: Method,
    encoder: Encoder,
    folder: str | Path,
    notes: Mapping[str, JsonValue] | None = None,
    card: str | None = None,
    force: bool = False,
) -> Path:
    """Write a head as a folder that ``read_head`` reads: all of it, or nothing.

    What validation decided is a part of the head's config: see ``Method.set_tuned``.

    Args:
        head: The head, of a registered method.
        encoder: The encoder that it was trained on, as it is loaded from its own file.
        folder: The folder; other files in it stay.
        notes: Notes on its training, for the reader.
        card: Text of ``README.md``; the bare facts when None.
        force: Whether a head that is there may be replaced.

    Raises:
        UsageError: The method is not registered, or the head is for other image tokens.
        OutputError: The folder is not empty and ``force`` is not set, it cannot be written, a
            value is not finite, or it is the place for a head beside another encoder.
    """
    if METHODS.get(head.name) is not type(head):
        raise UsageError(
            f"{type(head).__name__} is not the registered method '{head.name}'.",
            "Add it by tvsl.register, so that its heads can be loaded.",
        )
    # A head that left the choice to its encoder is from now on one for the encoder's own choice.
    kept = head.config.image_tokens or encoder.image_tokens
    if kept != encoder.image_tokens:
        raise UsageError(
            f"The head is for image tokens '{kept}', the encoder gives '{encoder.image_tokens}'.",
            "Give the encoder that it was trained on.",
        )
    record = _HeadRecord(
        method=head.name,
        source=METHODS.source(head.name),
        encoder_sha256=encoder.fingerprint,
        config=with_overrides(head.config, image_tokens=kept).model_dump(mode="json"),
        notes=dict(notes or {}),
    )
    folder = Path(folder).expanduser()
    if folder.name == HEAD_FOLDER:
        beside = kind_of(folder.parent).fingerprint(folder.parent, head.config.waveform_scale)
        if beside not in (None, encoder.fingerprint):
            raise OutputError(
                "This head belongs to another encoder than the one in this folder.",
                "Save both with Localizer.save_pretrained, or choose another folder.",
                folder,
            )
    tensors = storable(head.state_dict(), torch.float32, folder)
    with writing(folder, force, "head") as work:
        text = record.model_dump_json(indent=2, exclude=None if record.source else {"source"})
        (work / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
        (work / CARD_FILE).write_text(card or _card(head, text), encoding="utf-8")
        write_tensors(tensors, work / TENSORS_FILE)
    return folder


def read_head(folder: str | Path, method: type[Method] | None = None) -> StoredHead:
    """Read the description of a head, before its encoder is loaded.

    Args:
        folder: A folder that ``save_head`` wrote.
        method: The class of its method; that of the registry when None.

    Returns:
        The head, still to be built.

    Raises:
        WeightsError: A file is missing or damaged, or the method is not known.
        UsageError: The head is of another method, or the package with its method is broken.
    """
    folder = existing_folder(Path(folder).expanduser(), "a head")
    path = folder / CONFIG_FILE
    record = _read_record(path)
    if method is None:
        method = _known_method(record, path)
    elif method.name != record.method:
        raise UsageError(
            f"This head is of the method {shown(record.method)}, not of '{method.name}'.",
            "Give another head, or no method: the head knows its own.",
            folder,
        )
    try:
        config = method.config_type.model_validate(record.config)
    except ValidationError as error:
        raise WeightsError(
            f"This is no config of '{record.method}' ({first_problem(error)}).", _REMEDY, path
        ) from error
    return StoredHead(folder, method, config, record.encoder_sha256, record.notes)


def _known_method(record: _HeadRecord, path: Path) -> type[Method]:
    """The registered method of a name; the class that the file names is not imported."""
    if record.method in METHODS:
        return METHODS[record.method]
    source = record.source
    if source is None:
        remedy = f"Methods: {', '.join(METHODS)}."
    elif source.distribution is not None:
        remedy = f"Install {shown(source.distribution)}, which the head's class was from."
    else:
        remedy = (
            f"Give its class by --method; when the head was trained it was {shown(str(source))}."
        )
    raise WeightsError(f"There is no method {shown(record.method)}.", remedy, path)


def _read_record(path: Path) -> _HeadRecord:
    content = read_json(path, _REMEDY)
    if "method" not in content:
        raise WeightsError("This describes no head.", _REMEDY, path)
    stated = content.get("format")
    if stated != FORMAT:
        newer = isinstance(stated, int) and stated > FORMAT
        raise WeightsError(
            f"The head is of format {shown(stated)}, this tvsl reads {FORMAT}.",
            "Update tvsl." if newer else _REMEDY,
            path,
        )
    try:
        return _HeadRecord.model_validate(content)
    except ValidationError as error:
        raise WeightsError(f"The file is wrong ({first_problem(error)}).", _REMEDY, path) from error


def _card(head: Method, record: str) -> str:
    """Text of ``README.md`` with the bare facts."""
    count = sum(parameter.numel() for parameter in head.parameters())
    return (
        f"{CARD_TITLES['head']}: {head.name}\n\n"
        f"{count:,} parameters; it works on the one encoder that is named below by its SHA-256.\n\n"
        "Load it with `tvsl localize --model MODEL --head FOLDER` or "
        "`tvsl.load(MODEL, head=FOLDER)`.\n\n"
        f"```json\n{record}\n```\n"
    )
