"""No config or record takes a truth value or a text for a number, or a number for these."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal

import pytest
from pydantic import ValidationError

import tvsl
from tvsl.data import find_data
from tvsl.errors import UsageError, WeightsError, first_problem
from tvsl.methods.checkpoint_io import read_head
from tvsl.utils.strict_model import StrictModel, _types_in

ALLOWED: dict[Any, set[Any]] = {
    bool: {bool},
    int: {int},
    float: {int, float},
    str: {str},
    Path: {str},
    NoneType: set(),
}
SAMPLES: tuple[Any, ...] = (True, 1, 1.0, "1")


def all_models(base: type[StrictModel] = StrictModel) -> Iterator[type[StrictModel]]:
    for kind in base.__subclasses__():
        yield kind
        yield from all_models(kind)


for found in pkgutil.walk_packages(tvsl.__path__, "tvsl."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
FIELDS = [
    (model, field.alias or name, kinds)
    for model in dict.fromkeys(all_models())
    if model.__module__.startswith("tvsl.")
    for name, field in model.model_fields.items()
    if (kinds := _types_in(field.annotation)) <= {bool, int, float, str, Path, NoneType}
]


def test_the_models_of_the_package_are_found() -> None:
    names = {model.__name__ for model, _, _ in FIELDS}
    assert {"AudioCLIPConfig", "TVSLConfig", "TrainConfig", "Manifest", "_HeadRecord"} <= names
    assert len(FIELDS) > 100


@pytest.mark.parametrize("model", dict.fromkeys(model for model, _, _ in FIELDS))
def test_values_of_other_types_are_named(model: type[StrictModel]) -> None:
    """Values of the right type may still be none that a field can have: another question."""
    for name, kinds in ((name, kinds) for of, name, kinds in FIELDS if of is model):
        for given in SAMPLES:
            if any(type(given) in ALLOWED[kind] for kind in kinds):
                continue
            for content in ({name: given}, {name: [given]}):
                with pytest.raises(ValidationError) as caught:
                    model.model_validate(content)
                assert f"'{name}' is" in first_problem(caught.value)


class Nested(StrictModel):
    one: Literal[1, -1] = 1
    rows: tuple[tuple[int, ...], ...] = ()
    names: dict[str, float] = {}  # noqa: RUF012


@pytest.mark.parametrize(
    "content",
    [
        {"one": True},
        {"one": 1.0},
        {"rows": [[1, True]]},
        {"rows": [[1], ["2"]]},
        {"names": {"a": "1"}},
        {"names": {"a": False}},
    ],
)
def test_also_within_lists_and_of_choices(content: dict[str, Any]) -> None:
    for call in (Nested.model_validate, lambda one: Nested.model_validate_json(json.dumps(one))):
        with pytest.raises(ValidationError, match="but must be"):
            call(content)


def test_what_is_of_its_type_is_taken() -> None:
    given = {"one": -1, "rows": [[1, 2], []], "names": {"a": 1, "b": 2.5}}
    assert Nested.model_validate(given).model_dump() == {**given, "rows": ((1, 2), ())}


@pytest.mark.parametrize("stated", [True, 1.0, "1"])
def test_a_head_of_a_format_that_is_no_number(tmp_path: Path, stated: Any) -> None:
    content = {"format": stated, "method": "tvsl", "encoder_sha256": "0" * 64, "config": {}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(WeightsError, match=r"config\.json.*format"):
        read_head(tmp_path)


def test_options_of_data_sets() -> None:
    for options in ({"seed": True}, {"seed": "1"}, {"seed": 1.0}):
        with pytest.raises(UsageError, match="seed"):
            find_data("synthetic", **options)
