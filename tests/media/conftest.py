"""Fixtures of the media tests; the makers themselves stand in media_makers.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_makers import make_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Two seconds of video at 25 pictures per second, without sound."""
    return make_video(tmp_path / "plain.mp4")
