"""The JSON Schema in the package, and a check of content by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

SCHEMA: dict[str, Any] = json.loads(
    (resources.files("tvsl") / "localization.schema.json").read_text(encoding="utf-8")
)
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_NOTES = {"title", "description", "default", "$schema", "$id", "$defs"}


def check_schema(content: Any) -> None:
    """Check content by the schema; only what our schema uses is known, all else is an error."""
    problem = problem_of(content, SCHEMA)
    assert problem is None, problem


def problem_of(value: Any, schema: Mapping[str, Any], place: str = "$") -> str | None:
    """The first way in which a value is not what a schema asks for."""
    rules = {key: rule for key, rule in schema.items() if key not in _NOTES}
    if "$ref" in rules:
        name = rules.pop("$ref").removeprefix("#/$defs/")
        assert not rules
        return problem_of(value, SCHEMA["$defs"][name], place)
    if "anyOf" in rules:
        problems = [problem_of(value, one, place) for one in rules.pop("anyOf")]
        assert not rules
        return None if None in problems else f"{place}: {problems}"
    kind = rules.pop("type", None)
    if kind is not None and (
        not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")
    ):
        return f"{place}: {value!r} is no {kind}"
    if "const" in rules and value != rules.pop("const"):
        return f"{place}: {value!r}"
    if "enum" in rules and value not in rules.pop("enum"):
        return f"{place}: {value!r}"
    if "minimum" in rules and value < rules.pop("minimum"):
        return f"{place}: {value!r} is too small"
    problem = _problem_within(value, rules, place)
    assert not rules, f"unknown rules {rules}"
    return problem


def _problem_within(value: Any, rules: dict[str, Any], place: str) -> str | None:
    """The first problem of the parts of a value; the rules that were looked at are taken out."""
    rules.pop("const", None), rules.pop("enum", None), rules.pop("minimum", None)
    items = rules.pop("items", None)
    places = rules.pop("prefixItems", None)
    least, most = rules.pop("minItems", 0), rules.pop("maxItems", float("inf"))
    known, required = rules.pop("properties", {}), rules.pop("required", [])
    is_closed = rules.pop("additionalProperties", True) is False
    if isinstance(value, list):
        if not least <= len(value) <= most:
            return f"{place}: {len(value)} items"
        parts = enumerate(zip(value, places or [items] * len(value), strict=True))
        found = (problem_of(one, rule, f"{place}[{n}]") for n, (one, rule) in parts)
        return next((problem for problem in found if problem), None)
    if isinstance(value, dict):
        missing = set(required) - value.keys()
        foreign = value.keys() - known.keys() if is_closed else set()
        if missing or foreign:
            return f"{place}: missing {missing}, unknown {foreign}"
        found = (problem_of(one, known[key], f"{place}.{key}") for key, one in value.items())
        return next((problem for problem in found if problem), None)
    return None
