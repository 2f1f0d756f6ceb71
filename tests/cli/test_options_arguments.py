"""Words of a command line that could mean two things, for every command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.running import run
from tvsl.cli.main import app
from tvsl.cli.options import Command, Group, check_values, checked
from tvsl.errors import OutputError, UsageError


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    command = typer.main.get_command(app) if command is None else command
    if isinstance(command, Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
    else:
        command.get_params(typer.Context(command))  # those of a config are made when asked for
        yield " ".join(path), command


COMMANDS = dict(commands())
WITH_OUTPUT = [
    name
    for name, command in COMMANDS.items()
    if any("-o" in param.opts for param in command.params)
]

SEEDED = [
    *(("demo", "-o"), ("pretrain", "-o"), ("train", "-o")),
    *(("synthetic", "preview", "-o"), ("synthetic", "export")),
]
TWICE = [
    *(("-o", "a", "-o", "b"), ("-oa", "-ob"), ("-o", "a", "--output=b")),
    ("-oa.mp4", "-o", "b"),
]


def required(name: str) -> list[str]:
    """Something for each argument that a command cannot do without."""
    params = COMMANDS[name].params
    return ["x" for param in params if param.param_type_name == "argument" and param.required]


def refused(*words: str | Path) -> str:
    ran = run(*words)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("tvsl: ")
    assert ran.err.count("\n") == 1
    return ran.err


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_looks_at_its_words(name: str) -> None:
    assert len(COMMANDS) > 15
    assert isinstance(COMMANDS[name], Command)


@pytest.mark.parametrize("name", WITH_OUTPUT)
def test_a_file_named_like_an_option_is_not_taken_as_one(name: str, here: Path) -> None:
    (here / "-oBcDeFgHiJ_000030.mp4").write_bytes(b"a video")
    said = refused(*name.split(), "-oBcDeFgHiJ_000030.mp4", *required(name))
    assert "./NAME" in said
    assert "-- " in said
    assert [path.name for path in here.iterdir()] == ["-oBcDeFgHiJ_000030.mp4"]


@pytest.mark.parametrize("name", WITH_OUTPUT)
@pytest.mark.parametrize("twice", TWICE)
def test_an_output_given_twice_is_refused(name: str, twice: tuple[str, ...], here: Path) -> None:
    assert "given twice" in refused(*name.split(), *twice, *required(name))
    assert not any(here.iterdir())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_given_twice_is_refused_unless_it_may_be(name: str, here: Path) -> None:
    params = COMMANDS[name].params
    for param in params:
        if param.param_type_name != "option":
            continue
        once = [param.opts[0]] if param.is_flag else [param.opts[0], "1"]
        if param.multiple:
            assert checked([*once, *once], params) == [*once, *once]
            assert "May be repeated." in param.help
        else:
            with pytest.raises(UsageError, match="twice"):
                checked([*once, *once], params)
    assert not any(here.iterdir())


def test_both_sides_of_a_switch_are_one_option_given_twice() -> None:
    assert "twice" in refused("data", "check", "folder", "x", "--read", "--quick")


@pytest.mark.parametrize("file", ["-ABC.mp4", "--force", "--labels=dog", "-o", "--nonsense"])
def test_any_word_with_a_dash_that_is_a_file_is_refused(file: str, here: Path) -> None:
    (here / file).touch()
    assert file in refused("localize", "a.mp4", file, "-oout" if file == "-o" else "--every=1")
    assert (
        run("localize", "a.mp4", "-ABD.mp4").code == 2
    )  # no such file: Typer knows no such option


@pytest.mark.parametrize("before", [("--",), ()])
def test_such_a_file_is_an_input_where_it_is_clearly_one(
    before: tuple[str, ...], here: Path
) -> None:
    (here / "-oB.mp4").write_bytes(b"no video at all")
    file = "-oB.mp4" if before else "./-oB.mp4"
    ran = run("localize", "-o", "out", "--model", "mini", *before, file)
    assert ran.code == 1
    assert ran.err.startswith(f"tvsl: {file.removeprefix('./')}: ")


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (("localize", "a.mp4", "-o", "--force"), "missing"),
        (("localize", "a.mp4", "-o", "--", "b.mp4"), "missing"),
        (("localize", "a.mp4", "--audio", "-oout"), "missing"),
        (("localize", "a.mp4", "--labels", "--output=x"), "missing"),
        (("localize", "a.mp4", "-o="), "without '='"),
        (("localize", "a.mp4", "-o=out"), "-o out"),
        (("localize", "a.mp4", "-o", ""), "empty"),
        (("localize", "a.mp4", "--output="), "empty"),
        (("localize", "", "-o", "out"), "empty"),
        (("localize", "-o", "out", "--", ""), "empty"),
        (("prepare", "", "-o", "out"), "empty"),
        (("data", "check", "folder", ""), "empty"),
        (("weights", "verify", ""), "empty"),
    ],
)
def test_a_value_that_is_missing_or_empty_is_refused(
    words: tuple[str, ...], fact: str, here: Path
) -> None:
    assert fact in refused(*words)
    assert not any(here.iterdir())


def test_a_value_that_begins_like_an_option_can_be_given() -> None:
    params = COMMANDS["localize"].params
    for words in (["--labels=-office"], ["--labels", "-1"], ["-o./-oB"], ["-o", "-x"]):
        assert checked(words, params) == words


def test_traceback_may_stand_anywhere() -> None:
    assert checked(["a", "--traceback", "-o", "b"], COMMANDS["localize"].params) == ["a", "-o", "b"]
    assert run("weights", "list", "--traceback").code == 0
    assert run("--traceback", "weights", "list").code == 0


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 10**30, -(10**30)])
def test_no_command_takes_a_number_without_bounds(name: str, value: float) -> None:
    params = COMMANDS[name].params
    for param in params:
        if param.param_type_name == "option" and not param.is_flag:
            with pytest.raises(UsageError, match=param.opts[0]):
                check_values({param.name: value}, params)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize(
    "words",
    [
        ("localize", "a.mp4", "-o", "out", "--at"),
        ("localize", "a.mp4", "-o", "out", "--every"),
        ("localize", "a.mp4", "-o", "out", "--window"),
        ("train", "-o", "out", "--epochs"),
        ("train", "-o", "out", "--learning-rate"),
        ("prepare", "videos", "-o", "out", "--at"),
        ("prepare", "videos", "-o", "out", "--window"),
        ("synthetic", "preview", "-o", "out", "--twins"),
    ],
)
def test_numbers_are_finite(words: tuple[str, ...], text: str, here: Path) -> None:
    ran = run(*words[:-1], f"{words[-1]}={text}")
    assert ran.code == 2
    assert "Traceback" not in ran.err
    assert not any(here.iterdir())


@pytest.mark.parametrize("words", SEEDED)
def test_a_seed_of_thirty_digits_is_refused(words: tuple[str, ...], here: Path) -> None:
    ran = run(*words, "out", "--seed", "1" * 30)
    assert ran.code == 2
    assert "--seed" in ran.err
    assert run(*words, "out", f"--seed=-{'1' * 30}").code == 2
    assert not any(here.iterdir())


@pytest.mark.parametrize(
    ("words", "address"),
    [
        (("localize", "a.png", "-o", "out", "--audio", "https://host/a.wav"), "https://host/a.wav"),
        (("localize", "a.png", "-o", "s3://bucket/a"), "s3://bucket/a"),
        (("localize", "a.png", "-o", "out", "--model", "https:/host/m.pt"), "https://host/m.pt"),
        (("prepare", "file:///videos", "-o", "out"), "file://videos"),
        (("evaluate", "-o", "out", "--head", "https://host/head"), "https://host/head"),
        (("data", "check", "folder", "gs://data"), "gs://data"),
    ],
)
def test_an_address_is_no_path(words: tuple[str, ...], address: str, here: Path) -> None:
    assert address in refused(*words)
    assert not any(here.iterdir())


def test_an_address_among_the_inputs_does_not_stop_the_others(media: Path, here: Path) -> None:
    ran = run("localize", "https://host/v.mp4", "https:/host/w.mp4", "b.mp4", "-o", "out")
    assert ran.code == 1
    first, second, third = ran.err.splitlines()
    assert first.startswith("tvsl: https://host/v.mp4: This is an address")
    assert second.startswith("tvsl: https://host/w.mp4: This is an address")
    assert "Download" in second
    assert "b.mp4" in third
    assert not any(here.iterdir())


def test_a_folder_that_is_named_like_an_address_is_a_folder(here: Path) -> None:
    (here / "ab:" / "c").mkdir(parents=True)
    check_values({"results": Path("ab:/c")}, COMMANDS["localize"].params)
    check_values({"results": Path("C:/c"), "audio": Path("a:b")}, COMMANDS["localize"].params)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_value_of_another_kind_is_refused_in_plain_words(name: str) -> None:
    for param in COMMANDS[name].params:
        if param.param_type_name != "option" or param.is_flag:
            continue
        words = [*required(name), f"{param.opts[0]}=x\x1b\u202ey"]
        try:
            COMMANDS[name].make_context(name, words)  # the words are taken apart, nothing is done
        except Exception as error:  # noqa: BLE001 - Typer's own, which has no public name
            said = str(getattr(error, "message", error))
            for wording in ("pydantic", "Input should", "Value error", "\x1b", "\u202e"):
                assert wording not in said


def test_a_number_is_asked_for_in_plain_words() -> None:
    said = run("localize", "a.mp4", "-o", "out", "--at", "x").err
    assert "'--at'" in said
    assert "'x' but must be a number" in said


@pytest.mark.parametrize("name", WITH_OUTPUT)
def test_a_place_that_cannot_be_made_is_refused_at_once(name: str, here: Path) -> None:
    (here / "file.txt").write_text("mine")
    ran = run(*name.split(), *required(name), "-o", "file.txt/inner/out")
    assert ran.code == 1
    assert ran.err.startswith("tvsl: file.txt/inner/out: ")
    assert ran.err.count("\n") == 1
    assert (here / "file.txt").read_text() == "mine"


@pytest.mark.parametrize("option", ["--at", "--every"])
def test_no_moment_lies_beyond_every_video(option: str) -> None:
    ran = run("localize", "a.mp4", "-o", "out", option, "1e18")
    assert ran.code == 2
    assert "must be at most 10000000" in ran.err


def test_the_standard_output_is_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-").write_text("mine")
    monkeypatch.setattr(os, "access", lambda *_: False)
    check_values({"results": Path("-")}, COMMANDS["localize"].params)
    with pytest.raises(OutputError, match="cannot be written in"):
        check_values({"results": Path("out")}, COMMANDS["localize"].params)
    with pytest.raises(OutputError, match="This is a file"):
        check_values({"output": Path("-")}, COMMANDS["evaluate"].params)
