"""Base of all configs and records: values keep their types, which pydantic would turn over."""

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
    """A model whose fields take no truth value or text for a number, nor a number for these.

    A whole number does for a float; a float such as 1.0 does not for a whole number.
    """

    @model_validator(mode="before")
    @classmethod
    def _keeps_types(cls, content: Any) -> Any:
        for name, field in cls.model_fields.items():
            kinds = _kinds(field.annotation)
            if not isinstance(content, Mapping) or not kinds <= {*_PLAIN, Path, NoneType}:
                continue
            for part in _parts(content.get(name)):
                if not _fits(part, kinds):
                    wanted = " or ".join(text for kind, text in _NAMES.items() if kind in kinds)
                    given = shown(part) if isinstance(part, str) else json.dumps(part)
                    raise ValueError(f"'{name}' is {given} but must be {wanted}")
        return content


def _kinds(annotation: Any) -> frozenset[Any]:
    """The types of single values that an annotation names, however deep it is."""
    if get_origin(annotation) is Literal:
        return frozenset(type(value) for value in get_args(annotation))
    within = [part for part in get_args(annotation) if part is not Ellipsis]
    if get_origin(annotation) is dict:
        within = within[1:]  # keys are texts in JSON, whatever they stand for
    return frozenset().union(*map(_kinds, within)) if within else frozenset([annotation])


def _parts(value: Any) -> Iterator[Any]:
    """The single values that a value is made of."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, Mapping):
            left += part.values()
        elif isinstance(part, list | tuple):
            left += part
        else:
            yield part


def _fits(value: Any, kinds: frozenset[Any]) -> bool:
    """Tell whether a single value is of one of some types; others are left to pydantic."""
    kind = type(value)
    if kind not in _PLAIN:
        return True
    return kind in kinds or (kind is int and float in kinds) or (kind is str and Path in kinds)
