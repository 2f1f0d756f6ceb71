from __future__ import annotations

from pathlib import Path

import pytest

from tests.mini_bundle import write_mini_bundle
from tvsl import Localizer


@pytest.fixture(scope="package")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mini_bundle(tmp_path_factory.mktemp("evaluation") / "tiny", flip_average="turn")


@pytest.fixture(scope="package")
def localizer(bundle: Path) -> Localizer:
    return Localizer.from_pretrained(bundle, device="cpu")
