"""Two hosts with a shared folder: two network namespaces, joined by a cable that exists nowhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from tests.cli.running import run
from tests.preprocess.videos import contents, make_broken, make_clip
from tests.training.test_fit import checkpoint
from tvsl.audioclip.checkpoint import save_audioclip
from tvsl.evaluation.result_cache import OUTPUTS
from tvsl.training.pretraining import new_mini_model

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.usefixtures("one_thread"),
]

TRAIN = ("--batch", "8", "--most-sources", "2", "--device", "cpu", "--clips", "16")
SCENES = ("--validation-scenes", "4")
DUETS = ("--option", "sources=2", "--option", "count=10", "--batch", "4", "--threads", "1")
LONGEST = 400


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass
class Hosts:
    """Two hosts by their namespaces, and what runs on them."""

    names: tuple[str, str]
    net: str
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def address(self, host: int) -> str:
        return f"{self.net}.{host + 1}"

    def start(self, host: int, *command: str | Path) -> subprocess.Popen[str]:
        """Start `torchrun` with a command of tvsl on one of the hosts."""
        torchrun = (
            *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"),
            *("--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "tvsl"),
            *("--rdzv-endpoint", f"{self.address(0)}:29411", "--local-addr", self.address(host)),
            # Both have this machine's name, by which torch would tell who keeps the store.
            *("--rdzv-conf", f"is_host={'true' if host == 0 else 'false'}"),
        )
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.names[host], *torchrun, "-m", "tvsl", *map(str, command)],
            env={**os.environ, "GLOO_SOCKET_IFNAME": f"cable{host}", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *command: str | Path) -> list[tuple[int, str, str]]:
        """Run a command on both hosts: exit code, output and errors of each."""
        both = [self.start(host, *command) for host in (0, 1)]
        return [
            (one.returncode, out, err)
            for one in both
            for out, err in [one.communicate(timeout=LONGEST)]
        ]

    def kill(self, host: int) -> None:
        """Kill all that runs on a host."""
        found = ip("netns", "pids", self.names[host]).stdout.split()
        for number in map(int, found):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)

    def close(self) -> None:
        for host, name in enumerate(self.names):
            self.kill(host)
            ip("netns", "del", name)
        for process in self.started:
            process.kill()
            process.communicate(timeout=60)


def ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip`, which makes network namespaces")
    number = os.getpid()
    made = Hosts((f"tvsl{number}a", f"tvsl{number}b"), f"10.{77 + number % 100}.{number % 250}")
    steps = [("netns", "add", name) for name in made.names]
    ends = [("name", "cable0", "netns", made.names[0]), ("name", "cable1", "netns", made.names[1])]
    steps.append(("link", "add", *ends[0], "type", "veth", "peer", *ends[1]))
    for host, name in enumerate(made.names):
        within = ("-n", name)
        steps.append((*within, "addr", "add", f"{made.address(host)}/24", "dev", f"cable{host}"))
        steps += [(*within, "link", "set", device, "up") for device in (f"cable{host}", "lo")]
    try:
        for step in steps:
            done = ip(*step)
            if done.returncode:
                pytest.skip(f"network namespaces cannot be made here: {done.stderr.strip()}")
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return save_audioclip(new_mini_model().freeze(), tmp_path_factory.mktemp("model") / "mini")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    first = make_clip(folder / "goodvideo00_0.mp4", 2).read_bytes()
    for number in range(1, 12):
        (folder / f"goodvideo{number:02d}_{number}.mp4").write_bytes(first)
    make_broken(folder, 100)
    return folder


def prepare(videos: Path, root: Path) -> tuple[str | Path, ...]:
    return ("prepare", videos, "-o", root, "--layout", "vggsound", "--workers", "1")


def assert_same_head(one: Path, other: Path) -> None:
    mine, others = (checkpoint(folder, "last.ckpt")["state_dict"] for folder in (one, other))
    assert mine.keys() == others.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, others[name], atol=1e-5, rtol=0, msg=name)


def test_two_hosts_prepare_as_one(hosts: Hosts, videos: Path, tmp_path: Path) -> None:
    assert run(*prepare(videos, tmp_path / "one")).code == 1  # some are broken
    first, second = hosts.run(*prepare(videos, tmp_path / "two"))
    assert first[0] != 0
    assert "17 videos: 12 prepared, 5 failed" in first[1], first
    assert second[1] == ""
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_two_hosts_train_and_evaluate_as_one(hosts: Hosts, model: Path, tmp_path: Path) -> None:
    start = ("train", "--model", model, *TRAIN, *SCENES, "--steps", "4")
    assert run(*start, "-o", tmp_path / "one").code == 0
    first, second = hosts.run(*start, "-o", tmp_path / "two")
    assert (first[0], second[0]) == (0, 0), (first, second)
    assert first[1].startswith("The head is in")
    assert second[1] == ""
    assert_same_head(tmp_path / "one", tmp_path / "two")
    asked = ("evaluate", "--model", model, "--head", tmp_path / "one" / "head", *DUETS)
    assert run(*asked, "-o", tmp_path / "figures").code == 0
    both = hosts.run(*asked, "-o", tmp_path / "shared")
    assert [code for code, _, _ in both] == [0, 0], both
    for name in OUTPUTS:
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("figures", "shared"))
        assert one == two, name


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + LONGEST
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{path} does not come"
        time.sleep(0.1)


def test_one_host_is_killed_while_both_train(hosts: Hosts, model: Path, tmp_path: Path) -> None:
    start = ("train", "--model", model, *TRAIN, *SCENES, "--steps", "60", "--validate-every", "5")
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert run(*start, "-o", whole).code == 0
    left, killed = (hosts.start(host, *start, "-o", torn) for host in (0, 1))
    wait_for(torn / "checkpoints" / "last.ckpt", left)
    hosts.kill(1)
    killed.communicate(timeout=LONGEST)
    _, err = left.communicate(timeout=LONGEST)
    assert left.returncode != 0
    said = [line for line in err.splitlines() if line.startswith("tvsl: ")]
    assert len(said) == 1, err
    assert "Another process of the run has ended" in said[0]
    assert not (torn / "head").exists()
    assert 0 < checkpoint(torn, "last.ckpt")["global_step"] < 60
    again = run("train", "--model", model, "-o", torn, "--resume", "--device", "cpu")
    assert again.code == 0, again.err
    assert_same_head(whole, torn)


def test_one_host_is_killed_while_both_prepare(hosts: Hosts, videos: Path, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert run(*prepare(videos, whole)).code == 1
    left, killed = (hosts.start(host, *prepare(videos, torn)) for host in (0, 1))
    wait_for(torn / "journal-1.part", left)
    hosts.kill(1)
    killed.communicate(timeout=LONGEST)
    _, err = left.communicate(timeout=LONGEST)
    assert left.returncode != 0
    assert [line for line in err.splitlines() if "Another process of the run has ended" in line]
    assert run(*prepare(videos, torn)).code == 1
    assert contents(torn) == contents(whole)
