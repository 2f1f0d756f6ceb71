"""Files of AudioCLIP models: the official checkpoint, and this package's folders."""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple, TypeGuard

import torch
from pydantic import ValidationError
from torch import Tensor

from tvsl.audioclip.config import AudioCLIPConfig
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import TextTokenizer, find_clip_tokenizer, load_tokenizer
from tvsl.errors import OutputError, WeightsError, first_problem, shown
from tvsl.models import GIVE_A_FILE, existing_file, free_target
from tvsl.utils.atomic import locked, writable, write_whole
from tvsl.utils.model_folder import (
    CARD_FILE,
    CARD_TITLES,
    CONFIG_FILE,
    HEAD_FOLDER,
    LARGEST_TENSORS,
    TENSORS_FILE,
    TOKENIZER_FILE,
    check_tensors,
    existing_folder,
    fingerprint,
    is_encoder,
    read_json,
    read_tensors,
    storable,
    write_tensors,
    writing,
)

CONFIG_KEY = "tvsl_audioclip_config"
"""Key of the model's sizes in a safetensors header."""

_SAVE_PLAIN = "Save the model's `state_dict()` alone with `torch.save`, or get the official file."
# Names under which training scripts keep the model's state dict beside other things.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# Prefixes that DataParallel, Lightning and `torch.compile` put before each name.
_PREFIXES = ("module.", "model.", "_orig_mod.")
_DEEPEST_WRAPPING = 4
_ALIGNMENT = 64  # bytes; torch's own alignment of tensors on CPUs
_LEGACY_PICKLES = 5  # a magic number, a version, the machine, the content, the storages' names
# The public model's pickle has 0.1 MB and 40,000 instructions: tensors lie beside it.
_LARGEST_PICKLE = 1 << 20
_MOST_INSTRUCTIONS = 300_000
_HIGHEST_STACK = 20_000
_MOST_PARTS = 10_000_000
_MOST_LEVELS = 5000  # each tensor that is added to a mapping counts as one

_REMEDY = "Get the model again: its files belong together."


def read_state(path: Path) -> tuple[dict[str, Tensor], AudioCLIPConfig]:
    """Read the tensors of a checkpoint, and its sizes if the file states them.

    Args:
        path: Official ``.pt`` file or safetensors file.

    Returns:
        The state dict, and the config; the public model's if the file states none.

    Raises:
        WeightsError: The file is damaged, unsafe or no state dict.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_official(path), AudioCLIPConfig()


def build(state: Mapping[str, Tensor], config: AudioCLIPConfig, path: Path) -> AudioCLIP:
    """Build a frozen model in float32 around tensors, without initialising it first.

    Args:
        state: Its state dict.
        config: Its sizes.
        path: The file of the tensors, for the message.

    Raises:
        WeightsError: Names or shapes are not this model's, or no model has such sizes.
    """
    held = sum(value.numel() for value in state.values())
    if config.weights > held:
        raise WeightsError(
            f"This is the checkpoint of another model: one of these sizes has {config.weights:,} "
            f"weights, the file holds {held:,} numbers.",
            "Give an AudioCLIP checkpoint; `tvsl weights list` names the public ones.",
            path,
        )
    try:
        with torch.device("meta"):
            model = AudioCLIP(config)
    except Exception as error:
        raise WeightsError(
            f"The sizes contradict each other ({error}).", "Get the model again.", path
        ) from error
    check_tensors(
        model.state_dict(),
        state,
        path,
        "This is the checkpoint of another model",
        "Give an AudioCLIP checkpoint; `tvsl weights list` names the public ones.",
    )
    counters = {name for name in state if name.endswith("num_batches_tracked")}
    tensors = {
        name: value if name in counters else _aligned(value.float().contiguous())
        for name, value in state.items()
    }
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.freeze()


def _aligned(value: Tensor) -> Tensor:
    """Copy a tensor that is not aligned as torch aligns its own.

    Tensors from a file may start at any address, where some kernels add in another order: a model
    would give other last digits before it is saved than after.
    """
    return value if value.data_ptr() % _ALIGNMENT == 0 else value.clone()


def convert(source: Path, target: Path, force: bool = False) -> Path:
    """Write a checkpoint as safetensors, with its sizes in the header.

    Args:
        source: Official ``.pt`` file or safetensors file.
        target: Path that ends in ``.safetensors``.
        force: Whether an existing file may be replaced.

    Raises:
        WeightsError: The source cannot be used.
        OutputError: The target exists, has another ending or cannot be written.
    """
    with locked(target.parent):
        free_target(target, force)
        state, config = read_state(existing_file(source, GIVE_A_FILE))
        model = build(state, config, source)
        header = {CONFIG_KEY: config.model_dump_json(), "format": "pt"}
        tensors = model.state_dict()
        with writable(target, "file"):
            write_whole(target, lambda part: write_tensors(tensors, part, header))
    return target


def _read_official(path: Path) -> dict[str, Tensor]:
    """Read what ``torch.save`` wrote of a state dict, in its present or its first format."""
    remedy = "Fetch the official file again with `tvsl weights fetch audioclip`."
    try:
        _check_pickles(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters becomes one error below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except _UnfitError as error:
        raise WeightsError(str(error), error.remedy or remedy, path) from error
    except pickle.UnpicklingError as error:
        raise WeightsError(
            "The file is no plain state dict: loading it could run code, so it was not loaded.",
            _SAVE_PLAIN,
            path,
        ) from error
    except Exception as error:
        raise WeightsError("The file is truncated or damaged.", remedy, path) from error
    return _unwrapped(content, path)


class _Extent(NamedTuple):
    """Number of parts and levels of an object that a pickle builds."""

    parts: int
    levels: int


class _UnfitError(Exception):
    """Error for a file that is refused unread, with the reason and an optional remedy."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.remedy = remedy


def _check_pickles(path: Path) -> None:
    """Refuse files that torch would misread, or that would never come to an end.

    Raises:
        _UnfitError: The file is such a one.
    """
    if path.stat().st_size > LARGEST_TENSORS:
        raise _UnfitError(f"The file is too large: {LARGEST_TENSORS} bytes are allowed.")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = {entry.filename.rpartition("/")[2] for entry in entries}
            if "constants.pkl" in names:
                raise _UnfitError(
                    "The file is a TorchScript archive: a program with its weights, no state dict.",
                    "Where you trust it, save `torch.jit.load(FILE).state_dict()` with `torch.save`"
                    " and give that.",
                )
            pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            # torch stores its entries as they are; a packed one may grow a thousandfold.
            if len(pickles) != 1 or any(entry.compress_type for entry in entries):
                raise _UnfitError("The file is no checkpoint of torch.")
            if pickles[0].file_size > _LARGEST_PICKLE:
                raise _UnfitError("The file is damaged: its list of tensors has no end.")
            _check_growth(io.BytesIO(archive.read(pickles[0])))
        return
    with path.open("rb") as stream:
        if not stream.read(1) == pickle.PROTO:
            raise _UnfitError("The file is truncated or damaged, or no checkpoint of torch.")
        stream.seek(0)
        for _ in range(_LEGACY_PICKLES):
            _check_growth(stream)


def _check_growth(stream: IO[bytes]) -> None:
    """Refuse a pickle that would grow without bound; nothing is built.

    A few hundred bytes can describe an object of 2 ** 100 parts by naming the same part again and
    again, or one so deep that comparing it overflows the stack. So levels are counted, and each
    part as often as it is named.
    """
    stack: list[_Extent] = []
    marks: list[int] = []
    memo: dict[int, _Extent] = {}
    start = stream.tell()
    for done, (opcode, argument, position) in enumerate(pickletools.genops(stream)):
        too_long = position is None or position - start > _LARGEST_PICKLE
        if too_long or done > _MOST_INSTRUCTIONS or len(stack) > _HIGHEST_STACK:
            raise _UnfitError("The file is damaged: its list of tensors has no end.")
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(argument or 0)] = stack[-1]
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif opcode.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(argument or 0)])
        else:
            taken = len(opcode.stack_before)
            if pickletools.markobject in opcode.stack_before:
                below = opcode.stack_before.index(pickletools.markobject)
                taken = len(stack) - marks.pop() + below
            inner = stack[len(stack) - taken :]
            del stack[len(stack) - taken :]
            made = _Extent(
                1 + sum(extent.parts for extent in inner),
                1 + max((extent.levels for extent in inner), default=0),
            )
            stack.extend(made for _ in opcode.stack_after)
            if made.parts > _MOST_PARTS or made.levels > _MOST_LEVELS:
                raise _UnfitError("The file is damaged: its parts name each other without end.")


def _unwrapped(content: object, path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint, which training scripts like to wrap.

    Raises:
        WeightsError: There is none, or more than one.
    """
    for _ in range(_DEEPEST_WRAPPING):
        if _is_state(content):
            return _without_prefix(content)
        inner = content if isinstance(content, Mapping) else {}
        plain = [name for name, value in inner.items() if _is_state(value)]
        wrapped = [
            name for name in _WRAPPERS if isinstance(inner.get(name), Mapping) and inner[name]
        ]
        chosen = [name for name in wrapped if name in plain] or plain or wrapped
        if len(chosen) > 1:
            raise WeightsError(
                f"The file holds several state dicts: {', '.join(map(shown, chosen))}.",
                "Save the one that is meant with `torch.save` and give that.",
                path,
            )
        if not chosen:
            break
        content = inner[chosen[0]]
    entries = [shown(name) for name in content][:5] if isinstance(content, Mapping) else []
    holds = f": it holds {', '.join(entries)}" if entries else ""
    raise WeightsError(f"The file holds no state dict{holds}.", _SAVE_PLAIN, path)


def _is_state(content: object) -> TypeGuard[Mapping[str, Tensor]]:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(name, str) for name in content)
        and all(isinstance(value, Tensor) for value in content.values())
    )


def _without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefixes that wrappers of models put before every name."""
    names = dict(state)
    while True:
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in names)), None)
        if prefix is None or not names:
            return names
        names = {name.removeprefix(prefix): value for name, value in names.items()}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], AudioCLIPConfig]:
    remedy = "Convert the official file again with `tvsl weights convert`."
    state, metadata = read_tensors(path, remedy)
    if CONFIG_KEY not in metadata:
        raise WeightsError("The file does not state its sizes.", remedy, path)
    try:
        config = AudioCLIPConfig.model_validate_json(metadata[CONFIG_KEY])
    except ValidationError as error:
        raise WeightsError(
            f"The sizes in the file's header are wrong: {first_problem(error)}.", remedy, path
        ) from error
    return _without_prefix(state), config


def load_folder(folder: Path, waveform_scale: float | None = None) -> AudioCLIP:
    """Load a frozen AudioCLIP in float32 from its folder.

    Args:
        folder: Holds ``config.json`` and ``model.safetensors``, of any floating-point type, and
            ``tokenizer.json`` where the tokenizer is not CLIP's.
        waveform_scale: Overrides the config's.

    Raises:
        WeightsError: A file is missing, damaged, or of another model.
    """
    config = _read_config(folder)
    if waveform_scale is not None:
        config = config.model_copy(update={"waveform_scale": waveform_scale})
    weights = folder / TENSORS_FILE
    model = build(read_tensors(weights, _REMEDY)[0], config, weights)
    model.tokenizer = _read_tokenizer(folder, config)
    return model


def folder_tokenizer(folder: Path) -> TextTokenizer | None:
    """Load the tokenizer of a model folder, without its weights.

    Args:
        folder: As for ``load_folder``.

    Returns:
        The tokenizer; None if CLIP's is needed and not installed.

    Raises:
        WeightsError: A file is missing, damaged, or of another model.
    """
    return _read_tokenizer(folder, _read_config(folder))


def _read_config(folder: Path) -> AudioCLIPConfig:
    existing_folder(folder, "an encoder")
    path = folder / CONFIG_FILE
    content = read_json(path, _REMEDY)
    if "method" in content:
        raise WeightsError(
            "This is the folder of a head, not of an encoder.",
            "Give it as the head (`--head`), and its encoder as the model.",
            folder,
        )
    try:
        return AudioCLIPConfig.model_validate(content)
    except ValidationError as error:
        raise WeightsError(
            f"These are no sizes of an encoder ({first_problem(error)}).", _REMEDY, path
        ) from error


def _read_tokenizer(folder: Path, config: AudioCLIPConfig) -> TextTokenizer | None:
    words = folder / TOKENIZER_FILE
    if words.exists():  # a device or a pipe in its place is an error
        return load_tokenizer(words, config.text)
    return find_clip_tokenizer(config.text, beside=folder / TENSORS_FILE)


def save_audioclip(
    model: AudioCLIP,
    folder: str | Path,
    dtype: torch.dtype = torch.float16,
    card: str | None = None,
    force: bool = False,
) -> Path:
    """Write a model as a folder that ``load_audioclip`` reads: all of it, or nothing.

    Half precision rounds the values, so the fingerprint differs from that of the model in memory.
    Saving the reloaded model changes nothing any more: train heads on the reloaded model.

    Args:
        model: The model, with its tokenizer if that is not CLIP's.
        folder: The folder to write; other files there, such as a head's folder, stay.
        dtype: float16 or float32, for the file alone.
        card: Text of ``README.md``; the bare facts when None.
        force: Whether a model that is there may be replaced.

    Raises:
        OutputError: The folder is not empty and ``force`` is not set, it cannot be written, a
            value does not fit into ``dtype``, a file that tvsl did not write is in the way, or
            the folder holds a head of another encoder.
        VocabularyError: The model cannot express its own classes.
    """
    folder = Path(folder).expanduser()
    if model.config.classes:
        model.require_tokenizer()(model.config.classes)
    tensors = storable(model.state_dict(), dtype, folder)
    _check_head(folder / HEAD_FOLDER, model, tensors)
    with writing(folder, force, "encoder") as work:
        text = model.config.model_dump_json(indent=2)
        (work / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
        (work / CARD_FILE).write_text(card or _card(model, dtype), encoding="utf-8")
        if model.tokenizer is not None:
            model.tokenizer.save(work / TOKENIZER_FILE)
        write_tensors(tensors, work / TENSORS_FILE)
    return folder


def encoder_fingerprint(folder: Path, waveform_scale: float | None) -> str | None:
    """Fingerprint of the encoder in a folder, for comparison with a head's.

    Args:
        folder: The folder.
        waveform_scale: The head's; the encoder's own when None.

    Returns:
        The fingerprint; None if the folder holds no encoder.

    Raises:
        WeightsError: It is damaged.
    """
    path = folder / CONFIG_FILE
    if not path.is_file() or not is_encoder(read_json(path, _REMEDY)):
        return None
    model = load_folder(folder, waveform_scale)
    return fingerprint(model.config.fingerprinted, model.state_dict())


def _check_head(folder: Path, model: AudioCLIP, stored: Mapping[str, Tensor]) -> None:
    """Refuse a folder that holds a head for other values than those that are stored."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        return
    record = read_json(path, _REMEDY)
    hyperparameters, config = record.get("config"), model.config
    if isinstance(hyperparameters, dict) and hyperparameters.get("waveform_scale") is not None:
        config = config.model_copy(update={"waveform_scale": hyperparameters["waveform_scale"]})
    # As they are read again: all in single precision but the counters.
    values = {
        name: value.float() if value.is_floating_point() else value
        for name, value in stored.items()
    }
    if record.get("encoder_sha256") != fingerprint(config.fingerprinted, values):
        raise OutputError(
            "This head would not fit the encoder that is to be stored beside it: it is one for "
            "another encoder, or for values that are rounded when they are stored.",
            "Store the encoder with dtype=torch.float32, or both with "
            "Localizer.save_pretrained, or move the head elsewhere.",
            folder,
        )


def _card(model: AudioCLIP, dtype: torch.dtype) -> str:
    """Text of a model card with the bare facts."""
    count = sum(parameter.numel() for parameter in model.parameters())
    classes = ", ".join(model.config.classes) or "not stated"
    return (
        f"{CARD_TITLES['encoder']}\n\n"
        f"{count:,} parameters, stored as {str(dtype).split('.')[-1]}; embeddings of size "
        f"{model.config.embedding}. Nothing is stated about its training.\n\n"
        f"Classes: {classes}.\n\n"
        "Load it with `tvsl.Localizer.from_pretrained(FOLDER)` or `tvsl localize --model FOLDER`.\n"
    )
