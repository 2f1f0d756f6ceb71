"""Devices of torch, the faster precision on each, its threads, and the memory allocator."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import statistics
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tvsl.errors import ShapeError, TvslError, UsageError, shown
from tvsl.utils.files import home, write_json

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
        name: ``auto`` for bfloat16 where a convolution is measured to be faster in it by a fifth.
            What was measured is kept for the processor and this version of torch.
        device: The device of the computation.
    """
    if name != "auto":
        return name
    if device.type not in ("cpu", "cuda"):
        return "float32"
    gain = measured_gain(device)
    return "bfloat16" if gain is not None and gain >= _LEAST_GAIN else "float32"


_LEAST_GAIN = 1.2
_ROUNDS = 3
_GAINS_FILE = "bfloat16.json"


def measured_gain(device: torch.device) -> float | None:
    """Speed of a convolution of this device in bfloat16, over its speed in float32.

    It is measured once, in well under a second, and kept in the folder of cached files.

    Args:
        device: A CPU or a GPU.

    Returns:
        The ratio; None for a device that cannot compute in bfloat16.
    """
    import torch

    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return None
    path = home() / _GAINS_FILE
    key = f"{_device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    known = _known_gains(path)
    if key not in known:
        known[key] = round(_measure_gain(device), 3)
        # Another process may measure at the same time: the last one's file stays, and is whole.
        with suppress(OSError, TvslError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(known, path, force=True)
    return known[key]


def _known_gains(path: Path) -> dict[str, float]:
    """Ratios that were measured before; none where the file is absent or not ours."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, float)}


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}"


_PROCESSORS_FILE = Path("/proc/cpuinfo")
_PROCESSOR_KEYS = ("vendor_id", "cpu family", "model", "model name", "stepping", "CPU part")


def _processor() -> str:
    """The processor as the system describes it.

    Machines that share a home folder may have the same set of instructions at other speeds.
    """
    words = [platform.machine(), platform.processor()]
    with suppress(OSError):
        text = _PROCESSORS_FILE.read_text(encoding="utf-8", errors="replace")
        lines = [line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line]
        stated = {name.strip(): value.strip() for name, value in lines}
        words += [stated[name] for name in _PROCESSOR_KEYS if name in stated]
    return " ".join(word for word in words if word)


def _measure_gain(device: torch.device) -> float:
    """Ratio of the medians of alternating runs of a convolution like those of the encoders."""
    import torch

    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    layers = {
        dtype: torch.nn.Conv2d(64, 64, 3, padding=1, device=device, dtype=dtype)
        for dtype in seconds
    }
    features = torch.full((1, 64, 28, 56), 0.5, device=device)
    with torch.inference_mode():
        for number in range(_ROUNDS + 1):
            for dtype, layer in layers.items():
                given = features.to(dtype, memory_format=torch.channels_last)
                layer(given)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                start = time.process_time() if device.type == "cpu" else time.perf_counter()
                for _ in range(1 if device.type == "cpu" else 20):
                    layer(given)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                end = time.process_time() if device.type == "cpu" else time.perf_counter()
                if number:  # the first round loads kernels
                    seconds[dtype].append(end - start)
    medians = {dtype: statistics.median(found) for dtype, found in seconds.items()}
    return medians[torch.float32] / max(medians[torch.bfloat16], 1e-9)


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
    """Choose the device that a user named, which exists.

    Args:
        name: ``auto`` for a GPU if there is one, else a device of torch.

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
        ShapeError: A tensor without plain values, such as a sparse one.
    """
    import numpy as np

    if not hasattr(values, "detach"):
        array: NDArray[Any] = np.asarray(values)
        return array
    try:
        plain: torch.Tensor = values.detach().cpu().resolve_conj().resolve_neg()
        return (plain.float() if plain.is_floating_point() else plain).numpy()
    except (TypeError, RuntimeError) as error:
        raise ShapeError(
            f"A tensor of {values.layout} on {values.device} holds no plain values.",
            "Give a dense tensor with values.",
        ) from error


def sleep_while_waiting() -> None:
    """Let threads of torch that wait for each other sleep sooner: after a thirtieth of the default.

    GNU's OpenMP lets them spin 300,000 times first, which on a processor with other work takes the
    time of the thread that they wait for. It reads this when torch is imported; what the user has
    set stays. It concerns the whole process, so only the commands call it, never library code.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


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
    """Give memory that glibc keeps back to the system; tell whether there was some.

    Between files of different sizes the memory that is kept falls to pieces, and grows with every
    file; without anything that holds on to it.
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
