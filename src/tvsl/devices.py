"""Where tensors live, and in which arithmetic they are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tvsl.errors import UsageError, shown

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]
PrecisionChoice = Literal["float32", "bfloat16", "auto"]

# Torch has more types of devices: some hold no numbers (meta), others need packages of their own.
_ACCELERATORS = ("cuda", "mps", "xpu")


def choose_precision(name: PrecisionChoice, device: torch.device) -> Precision:
    """The arithmetic that a user named.

    Args:
        name: ``auto`` for bfloat16 where the device has fast units for it: a GPU that knows it, or
            a CPU with matrix units (AMX). The bfloat16 units of other CPUs are no faster than
            their float32 units, or slower.
        device: Where it is to be computed.

    Returns:
        The arithmetic.
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
    """Let through only what may be the name of a device; this takes no time.

    Args:
        name: What the user named.

    Returns:
        The same.

    Raises:
        UsageError: No computer has such a device.
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
    """The device that a user named.

    Args:
        name: ``auto`` for a GPU where there is one, else a device of torch.

    Returns:
        The device; it exists.

    Raises:
        UsageError: There is no such device here.
    """
    import torch

    check_device(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name in ("cpu", "cpu:0"):  # torch takes any number, others that it hands it to do not
        return torch.device("cpu")
    problem = f"There is no device {shown(name)} here."
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    remedy = f"Use {', '.join(['auto', 'cpu', *(f'cuda:{index}' for index in range(count))])}."
    if name.startswith("cpu"):
        raise UsageError(problem, remedy)
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # torch's own for a device that is not there
        raise UsageError(problem, remedy) from error
    return device
