"""The worker process as the queue holds it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tvsl.serve.config import ServeConfig
from tvsl.serve.jobs import Jobs, WorkerProcess


class Started(WorkerProcess):
    """A worker whose start is over when it is told."""

    def __init__(self) -> None:
        super().__init__((), {})
        self.over = asyncio.Event()

    async def _begin(self) -> dict[str, Any]:
        await self.over.wait()
        return {"ready": True}


@pytest.mark.parametrize("steps", range(6))
def test_a_cancelled_start_is_cancelled_however_late(steps: int) -> None:
    """Else the queue goes on while the service waits for its end."""

    async def cancel_late() -> tuple[bool, bool]:
        worker = Started()
        task = asyncio.create_task(worker.start())
        await asyncio.sleep(0.01)
        worker.over.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        asked = task.cancel()
        await asyncio.wait([task])
        return asked, task.cancelled()

    asked, cancelled = asyncio.run(cancel_late())
    assert asked == cancelled


_OWN_METHOD = """
import os
from pathlib import Path
from tvsl.methods.base import Centre
from tvsl.utils.files import home

Path(__file__).with_name("seen.txt").write_text(f"{home()}\\n{os.environ['PYTHONPATH']}")


class Mine(Centre):
    name = "mine"
"""


def test_paths_and_names_mean_what_they_mean_where_the_service_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_in = tmp_path / "work"
    (started_in / "mini").mkdir(parents=True)  # no model: the embedded one has this name
    (started_in / "mine.py").write_text(_OWN_METHOD)
    (started_in / "torch.py").write_text("raise SystemExit")
    monkeypatch.chdir(started_in)
    monkeypatch.setenv("TVSL_HOME", "cache")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "lib", os.environ.get("PYTHONPATH", "")]))
    model = {"name_or_path": "mini", "method": "mine.py:Mine", "device": "cpu"}

    async def start() -> None:
        async with Jobs(ServeConfig(model=model), tmp_path):
            pass

    asyncio.run(start())
    cache, modules = (started_in / "seen.txt").read_text().splitlines()
    assert cache == str(started_in / "cache")
    assert modules.split(os.pathsep)[0] == str(started_in / "lib")
