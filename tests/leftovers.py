"""Leftovers of a killed run, made as they are made in earnest: by a process that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

_CODE = """
import os, signal, sys
from pathlib import Path
from tvsl.utils import atomic

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
with atomic._temporary(folder) as work:
    (work / "new").mkdir()
    (work / "new" / "half.png").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def leave_half(folder: Path) -> None:
    """Have a process killed that gathers files for a folder.

    Args:
        folder: The folder; it is made where it is missing.
    """
    ran = subprocess.run([sys.executable, "-c", _CODE, folder], env=os.environ, check=False)
    assert ran.returncode == -signal.SIGKILL
    assert any(folder.iterdir())
