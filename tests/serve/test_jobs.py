"""The worker process as the queue holds it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tvsl.serve.jobs import WorkerProcess


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
