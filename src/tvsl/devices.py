"""Where tensors live."""

from __future__ import annotations

import torch

from tvsl.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The device that a user named.

    Args:
        name: ``auto`` for a GPU where there is one, else a device of torch.

    Returns:
        The device; it exists.

    Raises:
        UsageError: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"There is no device '{name}' here.", "Use auto or cpu.") from error
    return device
