from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest
import torch

from tvsl.errors import WeightsError
from tvsl.training.trainer import WholeCheckpoints

FILES = WholeCheckpoints()


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    state = {"global_step": 3, "state_dict": {"weight": torch.arange(4.0)}, "loops": {"a": [1]}}
    FILES.save_checkpoint(state, path)
    found = FILES.load_checkpoint(path)
    assert torch.equal(found["state_dict"]["weight"], state["state_dict"]["weight"])  # type: ignore[index]
    assert (found["global_step"], found["loops"]) == (3, {"a": [1]})
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("fails", ["write_bytes", "replace"])
def test_a_full_disk_leaves_the_earlier_one(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    FILES.save_checkpoint({"global_step": 1}, path)
    real = Path.write_bytes

    def full(place: Path | str, content: bytes, **_: object) -> None:
        if fails == "write_bytes":
            real(Path(place), bytes(content)[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path if fails == "write_bytes" else os, fails, full)
        with pytest.raises(OSError, match="No space left"):
            FILES.save_checkpoint({"global_step": 2}, path)
    assert FILES.load_checkpoint(path) == {"global_step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    FILES.save_checkpoint({"global_step": 3}, path)
    assert FILES.load_checkpoint(path) == {"global_step": 3}


@pytest.mark.parametrize("keeps", [0, 10, 0.5, 0.95])
def test_a_damaged_checkpoint_is_an_error(keeps: float, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    FILES.save_checkpoint({"weight": torch.arange(5_000.0)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keeps if keeps >= 1 else keeps * len(whole))])
    with pytest.raises(WeightsError, match="damaged"):
        FILES.load_checkpoint(path)


def test_a_missing_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        FILES.load_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize("packed", [True, False], ids=["torch", "pickle"])
@pytest.mark.parametrize("asked", [True, False, None])
def test_a_checkpoint_never_runs_code(packed: bool, asked: bool | None, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    content = {"state_dict": Trap(tmp_path / "sprung")}
    if packed:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(WeightsError):
        FILES.load_checkpoint(path, weights_only=asked)
    assert not (tmp_path / "sprung").exists()
