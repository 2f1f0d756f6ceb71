"""Keeping freed memory, so that the next picture does not pay for it again."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_KEPT = 1 << 30


def keep_freed_memory() -> bool:
    """Advise glibc to keep up to 1 GiB of freed memory in the process.

    By default it gives the activations of one clip back to the system and gets them again for the
    next one, page by page; on virtual machines this can cost as much as the arithmetic. It changes
    the whole process, so only programs of our own call it, and no library code.

    Returns:
        Whether there was a glibc that took the advice.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return all(library.mallopt(what, _KEPT) == 1 for what in (_TRIM_THRESHOLD, _MMAP_THRESHOLD))
