from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.small_model import RATE, random_head, tone, write_bundle
from tvsl import Localizer
from tvsl.audioclip.checkpoint import save_audioclip
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.encoder import Encoder, SavableEncoder
from tvsl.errors import OutputError, UsageError
from tvsl.methods.checkpoint_io import save_head


def test_the_numbers_of_a_file_lie_where_torch_would_put_them(tmp_path: Path) -> None:
    mini = Localizer.from_pretrained("mini", device="cpu")
    saved = Localizer.from_pretrained(mini.save_pretrained(tmp_path / "saved"), device="cpu")
    values = saved.encoder.model.state_dict().values()
    assert {value.data_ptr() % 64 for value in values if value.is_floating_point()} == {0}
    picture = np.random.default_rng(0).integers(0, 255, (112, 112, 3), dtype=np.uint8)
    found = [one.localize(picture, (tone(), RATE)).to_dict() for one in (mini, saved)]
    assert found[0]["sources"] == found[1]["sources"]


def test_what_is_saved_loads_and_answers_the_same(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "world", random_head(flip_average="turn"))
    localizer = Localizer.from_pretrained(bundle, device="cpu")
    # Values that half precision rounds: the pair that could not be loaded.
    with torch.no_grad():
        next(localizer.encoder.model.parameters()).mul_(1 + 2**-20)
    localizer = Localizer(AudioCLIPEncoder(localizer.encoder.model), localizer.method, "changed")
    folder = localizer.save_pretrained(tmp_path / "saved")
    again = Localizer.from_pretrained(folder, device="cpu")
    assert again.encoder.fingerprint == localizer.encoder.fingerprint
    assert again.encoder.flip_average == localizer.encoder.flip_average == "none"
    picture = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    found = [one.localize(picture, (tone(), RATE)).to_dict() for one in (localizer, again)]
    assert found[0]["sources"] == found[1]["sources"]
    with pytest.raises(OutputError, match="not empty"):
        localizer.save_pretrained(folder)
    localizer.save_pretrained(folder, force=True)
    with pytest.raises(OutputError, match="would not fit"):
        save_audioclip(localizer.encoder.model, folder, force=True)  # float16
    with pytest.raises(OutputError, match="another encoder"):
        save_head(localizer.method, localizer.encoder, bundle / "head", force=True)
    assert Localizer.from_pretrained(folder).encoder.fingerprint == again.encoder.fingerprint
    assert Localizer.from_pretrained(bundle).name == "world/tvsl (own head)"


def test_an_encoder_that_has_no_form_on_disk_is_not_saved(tmp_path: Path) -> None:
    mini = Localizer.from_pretrained("mini", device="cpu")
    assert isinstance(mini.encoder, SavableEncoder)
    names = [name for name in vars(Encoder) if not name.startswith("_")]
    foreign = SimpleNamespace(**{name: getattr(mini.encoder, name) for name in names})
    localizer = Localizer(cast(Any, foreign), mini.method, "foreign")
    with pytest.raises(UsageError):
        localizer.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("name", ["mini", "everyday"])
def test_saving_again_loses_nothing_of_the_user_s(name: str, tmp_path: Path) -> None:
    localizer = Localizer.from_pretrained(name, device="cpu")
    folder = localizer.save_pretrained(tmp_path / "saved")
    written = {path.relative_to(folder) for path in folder.rglob("*")}
    mine = [
        folder / part / file
        for part in (".", "head")
        for file in ("NOTICE", "PROVENANCE.json", "tokenizer.json", "notes.txt")
        if Path(part, file) not in written
    ]
    assert len(mine) == {"mini": 7, "everyday": 5}[name]
    for path in mine:
        path.write_text("mine")
    localizer.save_pretrained(folder, force=True)
    assert {path.read_text() for path in mine} == {"mine"}
    assert {path.relative_to(folder) for path in folder.rglob("*")} == written | {
        path.relative_to(folder) for path in mine
    }


@pytest.mark.parametrize("name", ["mini", "everyday"])
def test_a_model_that_an_earlier_version_saved_can_be_saved_again(
    name: str, tmp_path: Path
) -> None:
    localizer = Localizer.from_pretrained(name, device="cpu")
    folder = localizer.save_pretrained(tmp_path / "saved")
    for part in (".", "head"):
        (folder / part / "tvsl.json").unlink()
    localizer.save_pretrained(folder, force=True)
    assert (folder / "tvsl.json").is_file()


def test_an_encoder_overwrites_nothing_in_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    encoder = Localizer.from_pretrained("everyday", device="cpu").encoder
    assert isinstance(encoder, SavableEncoder)
    (tmp_path / "NOTICE").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        encoder.save(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
