from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch

from tests.cli.running import run, run_alone, written
from tests.shared_files import shared
from tests.small_model import VOCABULARY_FILE
from tvsl import models
from tvsl.audioclip import encoder
from tvsl.audioclip.encoder import load_audioclip

NAMES = ["audioclip", "audioclip-partial", "clip", "esresnext", "clip-vocabulary"]


@pytest.fixture
def server(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a local server, from which small stand-ins of the public files come."""
    folder, address = served
    entries = {}
    for name, entry in models.PUBLIC_FILES.items():
        content = f"stand-in of {name}".encode() * 100
        (folder / entry.file).write_bytes(content)
        entries[name] = dataclasses.replace(
            entry,
            folder=address,
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
        )
    for module in (models, encoder):
        monkeypatch.setattr(module, "PUBLIC_FILES", entries)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_list_names_every_file(home: Path, name: str) -> None:
    ran = run("weights", "list")
    entry = models.PUBLIC_FILES[name]
    assert ran.code == 0
    assert str(home) in ran.out
    for part in (name, entry.url, entry.sha256, "not here"):
        assert part in ran.out


def test_fetch_brings_the_file_and_the_vocabulary(server: Path, home: Path) -> None:
    ran = run("weights", "fetch", "audioclip")
    entries = models.PUBLIC_FILES
    assert ran.code == 0
    assert ran.out.strip() == str(entries["audioclip"].path)
    wanted = {entries[name].file for name in ("audioclip", "clip-vocabulary")}
    assert written(home / "weights") == wanted
    listed = run("weights", "list").out
    assert listed.count("not here") == len(NAMES) - 2


def test_fetch_again_needs_no_network(
    server: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("weights", "fetch").code == 0
    monkeypatch.delenv("NO_PROXY")
    assert run("weights", "fetch").code == 0


def test_fetch_refuses_a_wrong_file(server: Path, home: Path) -> None:
    (server / models.PUBLIC_FILES["esresnext"].file).write_bytes(b"something else")
    ran = run("weights", "fetch", "esresnext")
    assert ran.code == 1
    assert "checksum" in ran.err
    assert models.PUBLIC_FILES["esresnext"].file not in written(home)


def test_fetched_files_verify_and_damaged_ones_do_not(server: Path, home: Path) -> None:
    run("weights", "fetch", "clip")
    run("weights", "fetch", "clip-vocabulary")
    ran = run("weights", "verify")
    assert ran.code == 0
    assert ran.out.count(": right") == 2
    path = models.PUBLIC_FILES["clip"].path
    path.write_bytes(path.read_bytes()[:-1])
    ran = run("weights", "verify")
    assert ran.code == 1
    assert ran.out.count(": right") == 1
    assert str(path) in ran.err
    assert "tvsl weights fetch clip" in ran.err


@pytest.mark.parametrize("name", ["audioclip", "clip-vocabulary"])
def test_offline_it_says_what_to_put_where(home: Path, name: str) -> None:
    ran = run("weights", "fetch", name)
    vocabulary = models.PUBLIC_FILES["clip-vocabulary"]
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    for part in (vocabulary.url, str(home / "weights" / vocabulary.file)):
        assert part in ran.err
    assert not written(home)


def test_offline_it_names_the_checkpoint_once_the_vocabulary_is_here(home: Path) -> None:
    (home / "weights").mkdir(parents=True)
    source = shared("clip", VOCABULARY_FILE)
    (home / "weights" / VOCABULARY_FILE).write_bytes(source.read_bytes())
    ran = run("weights", "fetch", "audioclip")
    entry = models.PUBLIC_FILES["audioclip"]
    assert ran.code == 1
    assert entry.url in ran.err
    assert str(home / "weights" / entry.file) in ran.err
    assert written(home) == {f"weights/{VOCABULARY_FILE}"}


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_an_unknown_name_lists_the_known(command: str) -> None:
    ran = run("weights", command, "audioklip")
    assert ran.code in (1, 2)
    assert "audioklip" in ran.err
    for name in NAMES:
        assert name in ran.err


def test_verify_of_nothing_says_so() -> None:
    ran = run("weights", "verify")
    assert ran.code == 0
    assert ran.out.strip()


def test_verify_takes_a_path() -> None:
    path = shared("clip", VOCABULARY_FILE)
    ran = run("weights", "verify", path)
    assert ran.code == 0
    assert ran.out == f"{path}: right\n"


def test_convert_keeps_every_value(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "copy.safetensors"
    ran = run("weights", "convert", checkpoint, target)
    assert ran.code == 0
    assert ran.out.strip() == str(target)
    first, second = (load_audioclip(path) for path in (checkpoint, target))
    assert first.config == second.config
    states = first.state_dict(), second.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert written(target.parent) == {"copy.safetensors"}


def test_convert_overwrites_only_when_forced(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "there.safetensors"
    target.write_bytes(b"precious")
    ran = run("weights", "convert", checkpoint, target)
    assert ran.code == 1
    assert target.read_bytes() == b"precious"
    assert run("weights", "convert", checkpoint, target, "--force").code == 0
    assert target.stat().st_size == pytest.approx(checkpoint.stat().st_size, rel=0.01)


@pytest.mark.parametrize(
    ("source", "target"),
    [("absent.pt", "a.safetensors"), ("junk.pt", "a.safetensors"), ("junk.pt", "a.bin")],
)
def test_convert_leaves_nothing_after_a_failure(tmp_path: Path, source: str, target: str) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "junk.pt").write_bytes(b"junk" * 100)
    ran = run("weights", "convert", folder / source, folder / target)
    assert ran.code == 1
    assert ran.err.startswith("tvsl: ")
    assert ran.err.count("\n") == 1
    assert written(folder) == {"junk.pt"}


def test_exit_code_for_real(tmp_path: Path) -> None:
    ran = run_alone("weights", "convert", tmp_path / "absent.pt", tmp_path / "a.safetensors")
    assert ran.code == 1
    assert ran.out == ""
    assert "absent.pt" in ran.err
    assert "everyday" not in ran.err  # a name of a model is no file to convert
