"""Base of all configs and records: values keep their types, which pydantic would convert."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, model_validator

from tvsl.errors import shown

_PLAIN = (bool, int, float, str)
_NAMES = {
    bool: "a truth value",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


class StrictModel(BaseModel):
    """A model that accepts no truth value or text for a number, and no number for these.

    An integer is accepted for a float; a float such as 1.0 is not accepted for an integer.
    """

    @model_validator(mode="before")
    @classmethod
    def _keeps_types(cls, content: Any) -> Any:
        for name, field in cls.model_fields.items():
            types = _types_in(field.annotation)
            if not isinstance(content, Mapping) or not types <= {*_PLAIN, Path, NoneType}:
                continue
            for value in _values_in(content.get(name)):
                if not _fits(value, types):
                    wanted = " or ".join(text for kind, text in _NAMES.items() if kind in types)
                    given = shown(value) if isinstance(value, str) else json.dumps(value)
                    raise ValueError(f"'{name}' is {given} but must be {wanted}")
        return content


def _types_in(annotation: Any) -> frozenset[Any]:
    """Types of single values in an annotation, at any depth."""
    if get_origin(annotation) is Literal:
        return frozenset(type(value) for value in get_args(annotation))
    within = [one for one in get_args(annotation) if one is not Ellipsis]
    if get_origin(annotation) is dict:
        within = within[1:]  # keys are texts in JSON, whatever they stand for
    return frozenset().union(*map(_types_in, within)) if within else frozenset([annotation])


def _values_in(content: Any) -> Iterator[Any]:
    """Single values in some content, at any depth."""
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, Mapping):
            left += value.values()
        elif isinstance(value, list | tuple):
            left += value
        else:
            yield value


def _fits(value: Any, types: frozenset[Any]) -> bool:
    """Tell whether a single value has one of some types; other values are left to pydantic."""
    kind = type(value)
    if kind not in _PLAIN:
        return True
    return kind in types or (kind is int and float in types) or (kind is str and Path in types)
