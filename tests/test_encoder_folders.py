from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tvsl.encoder_folders import KINDS, kind_of
from tvsl.errors import WeightsError
from tvsl.models import EMBEDDED, embedded_path, is_installed


def stated(folder: Path, **config: object) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_a_folder_is_of_the_kind_that_it_states(name: str, tmp_path: Path) -> None:
    kind = kind_of(stated(tmp_path, encoder=name))
    assert kind.load.__module__ == f"tvsl.{name}.encoder"


@pytest.mark.parametrize("config", [{}, {"encoder": "unheard"}, {"encoder": ["everyday"]}])
def test_what_states_no_kind_is_read_as_audioclip(
    config: dict[str, object], tmp_path: Path
) -> None:
    for folder in (stated(tmp_path, **config), tmp_path / "nothing", None):
        assert kind_of(folder).load.__module__ == "tvsl.audioclip.encoder"


def test_a_damaged_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WeightsError) as caught:
        kind_of(tmp_path)
    assert caught.value.path == tmp_path / "config.json"


@pytest.mark.parametrize(("name", "other"), [("mini", "everyday"), ("everyday", "audioclip")])
def test_loading_one_kind_imports_nothing_of_another(name: str, other: str) -> None:
    if not is_installed(name):
        pytest.skip(f"the embedded model '{name}' is not here: {embedded_path(name)}")
    assert name in EMBEDDED
    code = f"""import sys, tvsl
tvsl.load({name!r})
print([one for one in sys.modules if one.startswith("tvsl.{other}.")])"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "[]\n"
