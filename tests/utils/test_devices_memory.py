from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource, sys
from tvsl.utils.devices import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
if sys.argv[1] == "command":
    from contextlib import suppress
    from tvsl.cli.main import main
    sys.argv = ["tvsl", "--version"]
    with suppress(SystemExit):
        main()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
size = 40_000_000  # by itself glibc gives everything over 32 MiB back at once
def work():
    place = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size)))
    ctypes.memset(place, 1, size)
    libc.free(place)
for _ in range(3):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> tuple[str, int]:
    command = [sys.executable, "-c", FAULTS, mode]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    *_, kept, count = printed.split()
    return kept, int(count)


def test_freed_memory_is_not_faulted_in_again() -> None:
    kept, count = faults("keep")
    if kept == "False":
        pytest.skip("no glibc here")
    assert count < 1_000
    assert count < faults("default")[1] / 10
    assert faults("command")[1] < 1_000  # every command does it


RETURNED = """
import ctypes
from tvsl.utils.devices import keep_freed_memory, return_freed_memory
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
if not keep_freed_memory():
    print("none")
else:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    size = 40_000_000
    places = [ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size))) for _ in range(2)]
    for place in places:
        ctypes.memset(place, 1, size)
    libc.free(places[0])  # the other one lies above it, so that the heap cannot shrink by itself
    before = resident()
    given = return_freed_memory()
    print(given, before - resident())
"""


def test_freed_memory_is_given_back_between_files() -> None:
    command = [sys.executable, "-c", RETURNED]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if printed == ["none"]:
        pytest.skip("no glibc here")
    assert printed[0] == "True"
    assert int(printed[1]) > 30_000_000
