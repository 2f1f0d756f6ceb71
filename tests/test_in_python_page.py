"""The page ``docs/in-python.md``, run literally."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import huggingface_hub
import matplotlib as mpl
import numpy as np
import pytest

from tests.media.media_makers import make_sound, make_video
from tests.small_model import scene, tone, write_picture
from tests.test_add_pages import blocks
from tests.utils.test_hub import SECOND, Hub, hub  # noqa: F401  (a fixture)

PAGE = "in-python.md"


@pytest.mark.filterwarnings("ignore:OpenCV")
def test_the_page_runs(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    mpl.use("Agg")
    write_picture(Path("photo.jpg"), scene(120, 160))
    make_sound(Path("street.wav"), tone(2.0, 16_000), 16_000)
    make_video(Path("clip.mp4"), count=20, rate=10, sound=tone(2.0))

    def upload(self: Any, **options: Any) -> SimpleNamespace:
        hub.add(SECOND, options["folder_path"])
        return SimpleNamespace(oid=SECOND)

    used: dict[str, Any] = {}
    api = huggingface_hub.HfApi
    with (
        mock.patch.object(api, "create_repo"),
        mock.patch.object(api, "upload_folder", upload),
    ):
        for block in blocks(PAGE, "python"):
            exec(compile(block, PAGE, "exec"), used)
    assert len(used["moments"]) == 2
    assert [len(found.sources) for found in used["results"]] == [1, 1]
    with np.load("maps.npz") as maps:
        assert set(maps.files) == {"dog barking", "car passing by"}
    assert used["name"] == f"user/model@{SECOND}"
    fingerprints = {used[one].encoder.fingerprint for one in ("localizer", "shared", "pinned")}
    assert len(fingerprints) == 1
