"""Options of one name are one thing in all commands: a walk through the app."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import run
from tests.cli.test_options_arguments import COMMANDS
from tvsl.cli.options import data_options, help_record, name_values
from tvsl.errors import UsageError
from tvsl.training.config import PretrainConfig, TrainConfig
from tvsl.utils.strict_model import StrictModel

# What may differ, and why.
OTHER_FORM = {
    "--head": "evaluate compares several heads, localize has one",
    "--labels": "evaluate has it unseen, for scripts: the old name of its --label-source",
    "--method": "evaluate compares several methods, the others have one",
    "--at": "prepare takes the word middle, too",
    "--window": "prepare takes the word whole, too",
    "--data": "train keeps what a run to resume was started with, so that nothing is its default",
    "--seed": "train and pretrain, as for --data",
    "--batch": "pretrain contrasts the clips of a batch: two at least",
    "--clips": "pretrain may make new ones for ever",
    "--model": "reproduce chooses by the data",
    "--sources": "a made-up scene has eight at most",
    "--output": "data check and demo can do without one",
    "--workers": "evaluate has the same number everywhere, as its results do",
    "--scenes": "a preview has two hundred at most",
    "--format": "localize prints results in it, export writes graphs in it",
    "--label-source": "score is told what foreign maps were made for, evaluate makes them",
}
OTHER_HELP = {
    *OTHER_FORM,
    "--audio",
    "--json",  # of localize, a form among several
    "--processes",  # reproduce starts several by itself
    "--resume",  # what is gone on with
    "--steps",  # train can count epochs instead
    "--vocabulary",  # localize has no data set
    "--preset",  # localize loads an untrained head, train begins with one
}


def by_name() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for command, entry in COMMANDS.items():
        for param in entry.params:
            if param.param_type_name == "option":
                longest = max((*param.opts, *param.secondary_opts), key=len)
                found[longest][command] = param
    return {name: params for name, params in found.items() if len(params) > 1}


SHARED = by_name()


def form(command: str, param: Any) -> tuple[object, ...]:
    """Facts that a user has to know of an option."""
    import inspect
    import typing

    signature = inspect.signature(COMMANDS[command].callback, eval_str=True)
    annotation = signature.parameters[param.name].annotation
    kind, option = typing.get_args(annotation)
    bounds = (option.min, option.max)
    default = signature.parameters[param.name].default
    return (
        tuple(param.opts),
        tuple(param.secondary_opts),
        str(kind),
        bounds,
        str(default),
        param.multiple,
        param.is_flag,
    )


def test_enough_is_looked_at() -> None:
    assert len(SHARED) > 20
    assert OTHER_FORM.keys() <= SHARED.keys()


@pytest.mark.parametrize("name", SHARED)
def test_an_option_has_one_form(name: str) -> None:
    forms = {command: form(command, param) for command, param in SHARED[name].items()}
    assert (len(set(forms.values())) == 1) != (name in OTHER_FORM), forms


@pytest.mark.parametrize("name", SHARED)
def test_an_option_has_one_help(name: str) -> None:
    texts = {param.help for param in SHARED[name].values()}
    assert len(texts) == 1 or name in OTHER_HELP, texts


@pytest.mark.parametrize("name", SHARED)
def test_an_option_has_one_short_form(name: str) -> None:
    shorts = {tuple(sorted(param.opts)) for param in SHARED[name].values()}
    assert len(shorts) == 1
    assert name != "--output" or shorts == {("--output", "-o")}


def test_data_are_named_alike_wherever_there_are_data() -> None:
    for command in ("train", "evaluate", "reproduce"):
        names = {option for param in COMMANDS[command].params for option in param.opts}
        assert {"--data", "--root", "--lists", "--option", "--device", "--precision"} <= names


@pytest.mark.parametrize(
    ("command", "config", "batch"),
    [("train", TrainConfig, (1, 10**6)), ("pretrain", PretrainConfig, (2, 10**7))],
)
def test_options_are_made_from_the_fields_of_a_config(
    command: str, config: type[StrictModel], batch: tuple[int, int]
) -> None:
    params = {param.name: param for param in COMMANDS[command].params}
    described = {name: one for name, one in config.model_fields.items() if one.description}
    assert len(described) >= 4
    for name, field in described.items():
        assert params[name].default is None
        assert params[name].help.startswith(str(field.description)[:-1])
    for name, bounds in (("batch", batch), ("seed", (0, 2**63 - 1))):
        assert form(command, params[name])[3] == bounds


def test_every_option_has_a_help() -> None:
    for command, entry in COMMANDS.items():
        for param in entry.params:
            assert param.help, (command, param.name)
            assert param.help.endswith((".", "]", "…")), (command, param.name)


@pytest.mark.parametrize(
    "given",
    [
        ["root=a", "root=b"],
        ["count"],
        ["=3"],
        ["window=1e999"],
        ["window=NaN"],
        ['window=[1, {"a": -Infinity}]'],
        [f"count={10**30}"],
        [f'count={{"a": {10**30}}}'],
    ],
)
def test_values_by_name_that_mean_nothing_are_refused(given: list[str]) -> None:
    with pytest.raises(UsageError, match="--option"):
        name_values("--option", given)


def test_values_by_name() -> None:
    assert name_values("--option", None) is None
    given = ["a=1", "b=x=y", "c=[1, 2]", "d=", "e=" + "[" * 100_000, "f=" + "1" * 5000]
    found = name_values("--option", given[:4])
    assert found == {"a": 1, "b": "x=y", "c": [1, 2], "d": ""}
    assert name_values("--option", given[4:5]) == {"e": "[" * 100_000}
    assert name_values("--option", given[5:]) == {"f": "1" * 5000}


def test_a_folder_is_given_in_one_way(tmp_path: Path) -> None:
    assert data_options(tmp_path, None, ["count=3"]) == {"root": str(tmp_path), "count": 3}
    with pytest.raises(UsageError, match="one thing"):
        data_options(tmp_path, None, ["root=x"])
    with pytest.raises(UsageError, match="one thing"):
        data_options(None, tmp_path, ["lists=x"])


@pytest.mark.parametrize("command", [("evaluate",), ("train",), ("reproduce", "table1")])
@pytest.mark.parametrize(
    "options",
    [
        ("--data", "folder", "--root", ".", "--option", "window=inf"),
        ("--data", "folder", "--root", ".", "--option", "window=nan"),
        ("--data", "folder", "--root", ".", "--option", "window=1e12"),
        ("--data", "folder", "--root", ".", "--option", "side=1000000000"),
        ("--data", "folder", "--root", ".", "--option", "seed=111111111111111111111111111111"),
        ("--data", "synthetic", "--root", "."),
        ("--data", "synthetic", "--lists", "."),
        ("--data", "nonsense"),
        ("--device", "meta"),
        ("--device", "cuda:77"),
    ],
)
def test_options_are_refused_before_the_work(
    command: tuple[str, ...], options: tuple[str, ...], tmp_path: Path
) -> None:
    ran = run(*command, "-o", tmp_path / "out", "--model", tmp_path / "missing", *options)
    assert ran.code == 2, ran.err
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("tvsl: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "--n <int range>",
            "N.  [default: 4; 1<=x<=50]",
            ("--n <int>", "N.  [default: 4; 1 to 50]"),
        ),
        ("--n <int range>", "N.  [x>=1]", ("--n <int>", "N.  [1 or more]")),
        ("--n <float range>", "N.  [0<x<=1]", ("--n <float>", "N.  [more than 0 to 1]")),
        ("--n <float range>", "N.  [x>0]", ("--n <float>", "N.  [more than 0]")),
        ("--n <float range>", "N.  [x<=1000]", ("--n <float>", "N.  [at most 1000]")),
        ("--n <float range>", "N.  [x<=1000000]", ("--n <float>", "N.")),
        (
            "--seed <int range>",
            "S.  [0<=x<=9223372036854775807]",
            ("--seed <int>", "S.  [0 or more]"),
        ),
        ("--o <list[Path]>", "O.  [required]", ("--o <path>", "O.  [required]")),
        ("--o <a|b>", "O [the model's own].", ("--o <a|b>", "O [the model's own].")),
    ],
)
def test_help_speaks_to_people(name: str, text: str, told: tuple[str, str]) -> None:
    assert help_record(name, text) == told


def test_no_help_has_a_range_in_symbols() -> None:
    pages = [run(*command.split(), "--help").out for command in COMMANDS]
    assert len(pages) > 15
    assert not [page for page in pages if "<=x" in page or "range>" in page or "<list" in page]
