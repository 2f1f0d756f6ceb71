from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

import tvsl
from tvsl import errors
from tvsl.errors import TvslError, first_few, first_problem, printable

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]
ERRORS = [kind for kind in KINDS if issubclass(kind, TvslError)]


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("path", [None, Path("clip.mp4")])
def test_an_error_passes_to_another_process(kind: type[TvslError], path: Path | None) -> None:
    error = kind("It is broken.", "Mend it.", path)
    found = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(found) is kind
    assert (found.problem, found.remedy, found.path) == ("It is broken.", "Mend it.", path)
    assert str(found) == str(error)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, Warning)])
def test_a_warning_passes_to_another_process(kind: type[Warning]) -> None:
    warning = kind("犬") if kind is errors.FontWarning else kind("It is odd.", Path("clip.mp4"))
    for found in (pickle.loads(pickle.dumps(warning)), kind(*warning.args)):  # noqa: S301
        assert str(found) == str(warning)


class Ring(BaseModel):
    kind: Literal["ring"]
    size: int


class Star(BaseModel):
    kind: Literal["star"]
    points: int = Field(gt=2, le=9)


class Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    whole: int = Field(4, ge=0, lt=100, multiple_of=4)
    share: float = Field(0.5, gt=0, le=1)
    name: str = Field("a", min_length=1, max_length=70, pattern="^a")
    mode: Literal["values", "cells"] = "values"
    flag: bool = False
    path: Path | None = None
    pair: tuple[int, int] = (1, 2)
    stages: tuple[int, ...] = Field((1,), min_length=1, max_length=3)
    boxes: dict[str, tuple[float, ...]] | tuple[float, ...] = ()
    shape: Annotated[Ring | Star, Field(discriminator="kind")] = Ring(kind="ring", size=1)
    notes: dict[str, JsonValue] = {}

    @model_validator(mode="after")
    def _agree(self) -> Checked:
        if self.whole == 8:
            raise ValueError("whole must not be 8")
        return self


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"whole": -4}, "'whole' is -4 but must be at least 0"),
        ({"whole": 400}, "'whole' is 400 but must be less than 100"),
        ({"whole": 5}, "'whole' is 5 but must be a multiple of 4"),
        ({"whole": "x\n"}, "'whole' is 'x\\n' but must be a whole number"),
        ({"whole": 4.5}, "'whole' is 4.5 but must be a whole number"),
        ({"whole": None}, "'whole' is nothing but must be a whole number"),
        ({"whole": 10**9000}, "'whole' is a number of more than 60 digits but must be less"),
        ({"whole": 8}, "whole must not be 8"),
        ({"share": 0}, "'share' is 0 but must be greater than 0"),
        ({"share": 2}, "'share' is 2 but must be at most 1"),
        ({"share": float("nan")}, "'share' is nan but must be a"),
        ({"share": []}, "'share' is a list of 0 but must be a number"),
        ({"name": ""}, "'name' is '' but must be a text of 1 or more characters"),
        ({"name": "a" * 99}, f"'name' is '{'a' * 60}'… but must be a text of at most 70"),
        ({"name": "b"}, "'name' is 'b' but must be a text of the form ^a"),
        ({"name": "a\ud800"}, "'name' is 'a\\ud800' but must be a text in Unicode"),
        ({"mode": "cell"}, "'mode' is 'cell' but must be 'values' or 'cells'"),
        ({"flag": 7}, "'flag' is 7 but must be true or false"),
        ({"path": 1}, "'path' is 1 but must be a path"),
        ({"pair": [1]}, "'pair.1' is missing"),
        ({"pair": [1, 2, 3]}, "'pair' is a list of 3 but must be a list of at most 2 entries"),
        ({"pair": {"a": 1}}, "'pair' is an object with 1 entries but must be a list"),
        ({"stages": []}, "'stages' is a list of 0 but must be a list of 1 or more entries"),
        ({"boxes": {"dog": [0, 1, "x"]}}, "'boxes.dog.2' is 'x' but must be a number"),
        ({"boxes": 3}, "'boxes' is 3 but must be"),
        ({"shape": {"kind": "moon"}}, "'shape.kind' is 'moon' but must be 'ring', 'star'"),
        ({"shape": {}}, "'shape.kind' is missing"),
        ({"shape": {"kind": "star", "points": 1}}, "points' is 1 but must be greater than 2"),
        ({"notes": {"a": {1, 2}}}, "'notes.a' is a list of 2 but must be a value that JSON has"),
        ({"colour": "red"}, "'colour' is not known"),
        ({"x\x1b[2J" * 50: 1}, "' is not known"),
        ("text", "the whole is 'text' but must be an object"),
        (b'{"whole": 4,, }', "this is no valid JSON (key must be a string at line 1 column 13)"),
    ],
)
def test_what_pydantic_found_is_said_in_plain_words(given: Any, says: str) -> None:
    check = Checked.model_validate_json if isinstance(given, bytes) else Checked.model_validate
    with pytest.raises(ValidationError) as caught:
        check(given)
    said = first_problem(caught.value)
    assert says in said
    assert said.isprintable()
    assert len(said) < 250
    assert not re.search(r"[Ii]nput|[Ff]ield required|pydantic|valid (string|int)", said)


def test_no_other_place_uses_the_wording_of_pydantic() -> None:
    source = Path(tvsl.__file__).parent
    users = [path for path in source.rglob("*.py") if re.search(r"\.errors\(", path.read_text())]
    assert users == [source / "errors.py"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x7f\x9b1m", r"\x7f\x9b1m"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("one\u2028two", r"one\u2028two"),
        (b"caf\xe9.png".decode("utf-8", "surrogateescape"), r"caf\xe9.png"),
        ("\ud800", r"\ud800"),
        ("Überschall 犬 👩‍🚀 نی‌ساز", "Überschall 犬 👩‍🚀 نی‌ساز"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert str(TvslError("Bad.", "Mend it.", text)) == f"{shown}: Bad. Mend it."


def test_a_long_list_is_cut_short() -> None:
    names = ["a", "b", "c"]
    assert first_few(names, 3) == names
    assert first_few(names, 2) == ["a", "b", "and 1 more"]
    assert first_few(names, 1, "{}.json") == ["a", "and 2 more; see {}.json"]
    assert first_few([], 3) == []
