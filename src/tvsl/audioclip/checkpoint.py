"""Checkpoints of AudioCLIP: read strictly, without running any code from the file, and written."""

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

from tvsl.audioclip.checkpoint_file import existing_file, free_target
from tvsl.audioclip.config import AudioCLIPConfig
from tvsl.audioclip.model import AudioCLIP
from tvsl.errors import WeightsError, first_problem, shown
from tvsl.model_folder import LARGEST_TENSORS, check_tensors, read_tensors, write_tensors
from tvsl.staging import locked, writable, write_whole

CONFIG_KEY = "tvsl_audioclip_config"
"""Where a safetensors header states the model's sizes."""

_SAVE_PLAIN = "Save the model's `state_dict()` alone with `torch.save`, or get the official file."
# Names under which training scripts keep the model's state dict beside other things.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# What DataParallel, Lightning and `torch.compile` put before each name.
_PREFIXES = ("module.", "model.", "_orig_mod.")
_DEEPEST_WRAPPING = 4
_ALIGNMENT = 64  # bytes; where torch puts the numbers of a tensor on CPUs
_LEGACY_PICKLES = 5  # a magic number, a version, the machine, the content, the storages' names
# The public model's pickle has 0.1 MB and 40,000 instructions: tensors lie beside it.
_LARGEST_PICKLE = 1 << 20
_MOST_INSTRUCTIONS = 300_000
_HIGHEST_STACK = 20_000
_MOST_PARTS = 10_000_000
_MOST_LEVELS = 5000  # each tensor that is added to a mapping counts as one


def read_state(path: Path) -> tuple[dict[str, Tensor], AudioCLIPConfig]:
    """Read the tensors of a checkpoint, and its sizes where the file states them.

    Raises:
        WeightsError: The file is damaged, unsafe or no state dict.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_official(path), AudioCLIPConfig()


def build(state: Mapping[str, Tensor], config: AudioCLIPConfig, path: Path) -> AudioCLIP:
    """Build a frozen model around tensors, without initialising it first.

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
    """Numbers where torch itself would have put them in memory.

    A file holds them anywhere, and the sums of some kernels are taken in another order there: one
    model would give other last digits before it is saved than after.
    """
    return value if value.data_ptr() % _ALIGNMENT == 0 else value.clone()


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
    with locked(target.parent):
        free_target(target, force)
        state, config = read_state(existing_file(source))
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
    """Parts and levels of what a pickle builds."""

    parts: int
    levels: int


class _UnfitError(Exception):
    """A file that is not even to be tried, with the reason and a remedy of its own, if any."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.remedy = remedy


def _check_pickles(path: Path) -> None:
    """Refuse files that torch would take for something else, or that would never come to an end.

    Raises:
        _UnfitError: They do.
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
            _follow(io.BytesIO(archive.read(pickles[0])))
        return
    with path.open("rb") as stream:
        if not stream.read(1) == pickle.PROTO:
            raise _UnfitError("The file is truncated or damaged, or no checkpoint of torch.")
        stream.seek(0)
        for _ in range(_LEGACY_PICKLES):
            _follow(stream)


def _follow(stream: IO[bytes]) -> None:
    """Follow a pickle without building anything, and refuse one that would grow without bound.

    A few hundred bytes can name a structure of 2 ** 100 parts by naming the same part again and
    again, or one so deep that comparing it overflows the stack. So parts are counted as often as
    they are named, and levels are counted.
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
        kept = [name for name in _WRAPPERS if inner.get(name) is not None]
        wrapped = [name for name in kept if isinstance(inner[name], Mapping) and inner[name]]
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
    """A state dict without what wrappers of models put before every name."""
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
