"""Devices of torch, the faster precision on each, and the memory allocator."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Any, Literal

from tvsl.errors import UsageError, shown

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

Precision = Literal["float32", "bfloat16"]
PrecisionChoice = Literal["float32", "bfloat16", "auto"]

# Torch has more device types: some hold no values (meta), others need further packages.
_ACCELERATORS = ("cuda", "mps", "xpu")


def choose_precision(name: PrecisionChoice, device: torch.device) -> Precision:
    """Choose the precision that a user named.

    Args:
        name: ``auto`` for bfloat16 where the device has fast units for it: a GPU that knows it, or
            a CPU with matrix units (AMX). The bfloat16 units of other CPUs are no faster than
            their float32 units, or slower.
        device: The device of the computation.
    """
    import torch

    if name != "auto":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    has_matrix_units = getattr(torch.cpu, "_is_amx_tile_supported", None)
    fast = device.type == "cpu" and has_matrix_units is not None and has_matrix_units()
    return "bfloat16" if fast else "float32"


def check_device(name: str) -> str:
    """Check the name of a device, without importing torch.

    Raises:
        UsageError: There is no such kind of device.
    """
    kind, colon, number = name.partition(":")
    known = kind in (*_ACCELERATORS, "cpu") and (
        not colon or (number.isascii() and number.isdigit())
    )
    if name != "auto" and not known:
        raise UsageError(
            f"There is no device {shown(name)}.",
            "Use auto or cpu, or cuda, cuda:0, … where there are GPUs.",
        )
    return name


def choose_device(name: str) -> torch.device:
    """Choose the device that a user named.

    Args:
        name: ``auto`` for a GPU if there is one, else a device of torch.

    Returns:
        The device; it exists.

    Raises:
        UsageError: This machine has no such device.
    """
    import torch

    check_device(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name in ("cpu", "cpu:0"):  # torch accepts any number, other libraries do not
        return torch.device("cpu")
    problem = f"There is no device {shown(name)} here."
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    remedy = f"Use {', '.join(['auto', 'cpu', *(f'cuda:{index}' for index in range(count))])}."
    if name.startswith("cpu"):
        raise UsageError(problem, remedy)
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # raised by torch for a missing device
        raise UsageError(problem, remedy) from error
    return device


def to_array(values: Any) -> NDArray[Any]:
    """Values as an array of NumPy, those of a tensor from whatever device it is on.

    Args:
        values: A tensor, an array, or a list of numbers.

    Returns:
        The array. Brain floats, which NumPy does not have, become float32.

    Raises:
        ValueError: A list of lists of different lengths.
    """
    import numpy as np

    if not hasattr(values, "detach"):
        array: NDArray[Any] = np.asarray(values)
        return array
    plain: torch.Tensor = values.detach().cpu().resolve_conj().resolve_neg()
    return (plain.float() if plain.is_floating_point() else plain).numpy()


_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_THRESHOLD = 1 << 30


def keep_freed_memory() -> bool:
    """Let glibc keep up to 1 GiB of freed memory in the process.

    By default it returns the activations of one clip to the system and requests them again for the
    next one, page by page; on virtual machines this can cost as much as the computation. It changes
    the whole process, so only the commands call it, never library code.

    Returns:
        Whether glibc is in use and accepted the options.
    """
    library = _glibc()
    return library is not None and all(
        library.mallopt(option, _THRESHOLD) == 1 for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD)
    )


def return_freed_memory() -> bool:
    """Give memory that glibc keeps back to the system.

    Between files of different sizes the memory that is kept falls to pieces, and grows with every
    file; without anything that holds on to it.

    Returns:
        Whether glibc is in use and had memory to give back.
    """
    library = _glibc()
    return library is not None and library.malloc_trim(0) == 1


def _glibc() -> ctypes.CDLL | None:
    """The C library, where it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def normal(*shape: int, times: float = 1.0, over: float = 1.0) -> torch.Tensor:
    """Draw what ``times * torch.randn(*shape) / over`` draws; on ``meta`` nothing is drawn.

    There to draw and to scale would import torch's compiler, which takes two seconds.

    Args:
        shape: Sizes.
        times: Factor.
        over: Divisor.
    """
    import torch

    values = torch.empty(*shape)
    return values if values.is_meta else values.normal_().mul_(times).div_(over)
