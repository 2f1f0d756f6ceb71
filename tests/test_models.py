from __future__ import annotations

from pathlib import Path

import pytest

import tvsl
from tests.small_model import write_bundle
from tvsl import models
from tvsl.audioclip.encoder import load_audioclip
from tvsl.errors import WeightsError
from tvsl.models import (
    EMBEDDED,
    MODEL_NAMES,
    PUBLIC_FILES,
    embedded_folder,
    embedded_path,
    existing_file,
    find_public_file,
    is_installed,
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder without any model."""
    monkeypatch.setattr(models.resources, "files", lambda _: tmp_path)
    return tmp_path


def test_mini_belongs_into_the_package() -> None:
    assert "mini" in EMBEDDED
    assert embedded_path("mini") == Path(tvsl.__file__).parent / "pretrained" / "mini"


def test_what_is_missing_is_said(package: Path) -> None:
    folder = package / "pretrained" / "mini"
    assert not is_installed("mini")
    for load in (embedded_folder, load_audioclip):
        with pytest.raises(WeightsError) as caught:
            load("mini")
        assert caught.value.path == folder
        for part in ("'mini'", "make mini", "--model audioclip"):
            assert part in str(caught.value)


def test_what_is_there_is_loaded(package: Path) -> None:
    folder = write_bundle(package / "pretrained" / "mini")
    assert is_installed("mini")
    assert embedded_folder("mini") == folder
    assert load_audioclip("mini").config.embedding == 32


def test_the_advice_for_an_unknown_model_names_all_models(tmp_path: Path) -> None:
    assert {"everyday", "mini", "audioclip", "audioclip-partial"} <= set(MODEL_NAMES)
    with pytest.raises(WeightsError) as caught:
        existing_file(tmp_path / "everyday2")
    assert caught.value.remedy.endswith(f"a name: {', '.join(MODEL_NAMES)}.")


def test_a_path_is_no_name(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(package / "mini")
    monkeypatch.chdir(package)
    for path in (Path("mini"), "./mini", package / "mini"):
        assert load_audioclip(path).config.embedding == 32
    with pytest.raises(WeightsError, match="embedded"):
        load_audioclip("mini")


def test_find_entry() -> None:
    entry = PUBLIC_FILES["audioclip"]
    assert find_public_file("audioclip") == (entry, entry.path)
    assert find_public_file("/some/" + entry.file) == (entry, Path("/some") / entry.file)
    with pytest.raises(WeightsError):
        find_public_file("nothing")


def test_public_files_agree_with_the_release() -> None:
    for name, entry in PUBLIC_FILES.items():
        assert entry.name == name
        assert len(entry.sha256) == 64
        assert entry.url.endswith("/v0.1/" + entry.file)
