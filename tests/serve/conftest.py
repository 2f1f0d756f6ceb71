from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.serve.service import FAKE, Service, running_service
from tvsl.serve.config import ServeConfig


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service whose worker is a fake, with small limits."""
    config = ServeConfig(max_upload=100_000, max_waiting=2, max_job_seconds=20)
    with running_service(config, tmp_path / "service", FAKE) as found:
        yield found


@pytest.fixture
def client(service: Service) -> TestClient:
    return service.client
