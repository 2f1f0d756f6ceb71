from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

import tvsl
from tests.cli.running import run
from tests.training.colour_encoder import ColourEncoder
from tvsl.data import DATA_SETS
from tvsl.data.synthetic import SyntheticData
from tvsl.errors import UsageError, WeightsError
from tvsl.loading import ENCODERS
from tvsl.methods import METHODS
from tvsl.methods.base import MethodConfig
from tvsl.methods.checkpoint_io import read_head, save_head
from tvsl.methods.cosine import CosineMethod
from tvsl.methods.text_only import TextOnly
from tvsl.metrics import PAPER, PROTOCOLS

FEW = {"sources": 2, "count": 3}


class Colours(ColourEncoder):
    """The tests' encoder with all that the protocol wants."""

    embedding = 16
    logit_scales = None

    def __init__(self, options: object = None) -> None:
        super().__init__()
        self.image_tokens = None


class Plain(TextOnly):
    name: ClassVar[str] = "plain"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Forget what a test registers."""
    yield
    for registry in (METHODS, DATA_SETS, ENCODERS, PROTOCOLS):
        registry._added.clear()
        registry._sources.clear()


def test_lists_of_names() -> None:
    assert "tvsl" in tvsl.list_methods()
    assert "synthetic" in tvsl.list_datasets()
    # Then what other tests of this process have registered.
    own = ["everyday", "mini", "mini-pooled", "audioclip", "audioclip-partial"]
    assert tvsl.list_models()[: len(own)] == own


def test_what_is_registered_is_listed() -> None:
    protocol = replace(PAPER, name="strict", level=0.7)
    assert tvsl.register(Plain) is Plain
    assert tvsl.register(protocol) is protocol
    tvsl.register(Colours, "colours")

    @tvsl.register
    class Few(SyntheticData):
        name: ClassVar[str] = "few"

    assert "plain" in tvsl.list_methods()
    assert "few" in tvsl.list_datasets()
    assert "colours" in tvsl.list_models()
    assert PROTOCOLS["strict"] is protocol
    for wrong in (3, "tvsl"):
        with pytest.raises(UsageError):
            tvsl.register(wrong)
    with pytest.raises(UsageError, match="mini"):
        tvsl.register(Colours, "mini")


def test_an_evaluation_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = tvsl.register(replace(PAPER, name="strict", level=0.7))
    tvsl.register(Colours, "colours")
    results = tvsl.evaluate(
        "colours",
        data_options=FEW,
        protocols=["paper", strict.name],
        methods=[Plain],
        output=tmp_path / "results",
    )
    lines = results.table.splitlines()
    assert lines[0] == "Protocol paper, 3 of 3 items, percent"
    assert any(line.startswith("| plain (untrained) | given | ") for line in lines)
    assert results.to_dict()["protocols"]["strict"]["level"] == 0.7
    assert {"page.html", "results.json", "samples.csv"} <= {
        path.name for path in (tmp_path / "results").iterdir()
    }

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pandas"):
        results.to_pandas()
    pandas = ModuleType("pandas")
    pandas.DataFrame = lambda rows: SimpleNamespace(rows=rows)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    rows: Any = results.to_pandas().rows
    assert len(rows) == len(results.evaluation.rows)
    assert rows[0]["protocol"] == "paper"
    assert 0 <= rows[0]["CAP"] <= 1


def test_an_encoder_itself_and_a_localizer() -> None:
    localizer = tvsl.load(Colours(), method=Plain)
    assert localizer.name == "Colours/plain"
    by_hand = tvsl.evaluate(localizer, data_options=FEW)
    assert by_hand.evaluation.rows[0].name == "plain"
    assert (
        tvsl.evaluate(Colours(), data_options=FEW, methods=[Plain]).to_dict()["results"][0][
            "values"
        ]
        == by_hand.to_dict()["results"][0]["values"]
    )


def test_an_encoder_that_lacks_something_or_cannot_do_what_is_asked() -> None:
    with pytest.raises(UsageError, match="fingerprint"):
        tvsl.load(SimpleNamespace(encode=1))  # type: ignore[arg-type]
    tvsl.register(Colours, "colours")
    for wanted in ({"flip_average": "mirror"}, {"precision": "bfloat16"}, {"preset": "released"}):
        with pytest.raises(UsageError, match="Colours has no"):
            tvsl.load("colours", device="cpu", **wanted)  # type: ignore[arg-type]
    tvsl.register(lambda options: 1 / 0, "broken")
    with pytest.raises(UsageError, match=r"broken.*ZeroDivisionError"):
        tvsl.load("broken")


CODE = """
import builtins
from typing import ClassVar
from dataclasses import replace
from tvsl.data.synthetic import SyntheticData
from tvsl.metrics import PAPER
builtins.was_run = True
STRICT = replace(PAPER, name="strict", level=0.7)
class Few(SyntheticData):
    name: ClassVar[str] = "few"
"""


def test_data_sets_and_protocols_of_a_file_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(CODE)
    tvsl.register(Colours, "colours")
    options = ("--option", "count=2", "--protocol", "mine.py:STRICT", "--method", "text-only")
    ran = run("evaluate", "--model", "colours", "--data", "mine.py:Few", *options, "-o", "out")
    assert ran.code == 0, ran.err
    assert "Protocol strict, 2 of 2 items" in ran.out
    assert "few" in run("data", "list").out
    broken = run("evaluate", "--data", "other.py:Few", "-o", "out2")
    assert broken.code == 2
    assert "other.py" in broken.err


def test_a_head_says_where_its_class_is_from_and_nothing_is_imported_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mine(CosineMethod):
        name: ClassVar[str] = "mine"
        supervision: ClassVar[Any] = "none"

        def losses(self, *_: Any) -> dict[str, Any]:
            return {}

    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(CODE.replace("was_run", "evil_was_run"))
    METHODS.register(Mine, source=tvsl.registry.Origin("Few", file="evil.py"))
    folder = save_head(Mine(MethodConfig(embedding=16)), Colours(), tmp_path / "head")
    assert read_head(folder).method is Mine
    METHODS._added.clear()
    with pytest.raises(WeightsError, match=r"--method.*evil\.py:Few"):
        read_head(folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"distribution": null', '"distribution": "evil"'))
    with pytest.raises(WeightsError, match="Install 'evil'"):
        read_head(folder)
    assert not hasattr(sys.modules["builtins"], "evil_was_run")
    assert read_head(folder, Mine).method is Mine
    with pytest.raises(UsageError, match="'mine', not of 'plain'"):
        read_head(folder, Plain)


@pytest.mark.parametrize("field", ["data", "method"])
def test_a_record_of_a_run_makes_nothing_be_imported(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(CODE.replace("was_run", "evil_was_run"))
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "last.ckpt").write_bytes(b"")
    (tmp_path / "run" / "recipe.json").write_text(json.dumps({field: "evil.py:Few"}))
    with pytest.raises(UsageError, match=r"evil\.py:Few"):
        tvsl.train(tmp_path / "run", resume=True)
    assert not hasattr(sys.modules["builtins"], "evil_was_run")
