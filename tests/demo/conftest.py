from __future__ import annotations

import pytest

from tests.demo_models import Models
from tvsl.demo.run import Demo


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("demo"), flip_average="turn")


@pytest.fixture(scope="package")
def demo(models: Models) -> Demo:
    return models.run()
