"""``tvsl doctor``: what is installed, which devices there are, and what is cached."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

from tvsl.cli.output import print_lines

_PACKAGES = (
    "torch", "numpy", "scipy", "pillow", "av", "tokenizers", "ftfy", "safetensors", "pooch",
    "requests", "defusedxml", "jinja2", "platformdirs", "pydantic", "lightning", "torchmetrics",
    "typer", "rich", "typing-extensions",
)  # fmt: skip
_WIDTH = max(map(len, _PACKAGES))


def command() -> None:
    """Print versions, devices and caches, for a bug report."""
    from tvsl import __version__
    from tvsl.models import EMBEDDED, PUBLIC_FILES, embedded_path, is_installed
    from tvsl.utils.files import weights_folder

    print_lines(f"{'tvsl':{_WIDTH}} {__version__}")
    print_lines(f"{'python':{_WIDTH}} {platform.python_version()} ({sys.executable})")
    print_lines(f"{'system':{_WIDTH}} {platform.platform()}, {os.cpu_count()} cores")
    for package in _PACKAGES:
        print_lines(f"{package:{_WIDTH}} {_version(package)}")
    for name, value in _devices():
        print_lines(f"{name:{_WIDTH}} {value}")
    for name, value in _plugins():
        print_lines(f"{name:{_WIDTH}} {value}")
    for name in EMBEDDED:
        print_lines(f"{name:{_WIDTH}} {embedded_path(name) if is_installed(name) else 'missing'}")
    print_lines(f"{'weights':{_WIDTH}} {weights_folder()}")
    for entry in PUBLIC_FILES.values():
        state = f"{entry.path.stat().st_size} bytes" if entry.path.is_file() else "not here"
        print_lines(f"  {entry.name:18} {state}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _plugins() -> list[tuple[str, str]]:
    """Extensions of other packages, and their faults."""
    from tvsl.data import DATA_SETS
    from tvsl.loading import ENCODERS
    from tvsl.methods import METHODS
    from tvsl.metrics import PROTOCOLS

    rows = []
    for registry in (METHODS, DATA_SETS, ENCODERS, PROTOCOLS):
        found, problems = registry.load_all()
        for name in found:
            source = registry.source(name)
            if source is not None:
                rows.append(("plug-in", f"{registry.noun} {name}, {source}"))
        rows += [("plug-in", str(problem)) for problem in problems]
    return rows


def _devices() -> list[tuple[str, str]]:
    import av
    import torch

    rows = [
        (
            "ffmpeg",
            ", ".join(f"{n} {'.'.join(map(str, v))}" for n, v in av.library_versions.items()),
        ),
        ("cpu", f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"),
    ]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    rows += [(f"cuda:{index}", torch.cuda.get_device_name(index)) for index in range(count)]
    return rows if count else [*rows, ("cuda", "none")]
