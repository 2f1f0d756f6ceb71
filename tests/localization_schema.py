"""The JSON Schema in the package, and checks of results by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = json.loads(
    (resources.files("tvsl") / "localization.schema.json").read_text(encoding="utf-8")
)
MOMENT: dict[str, Any] = {"$ref": "#/$defs/MomentRecord", "$defs": SCHEMA["$defs"]}


def check_schema(content: Any) -> None:
    """Check the content of a whole file."""
    problem = problem_of(content, SCHEMA)
    assert problem is None, problem


def problem_of(content: Any, schema: Mapping[str, Any]) -> str | None:
    """The first way in which content is not what a schema asks for."""
    error = next(_validator(json.dumps(schema)).iter_errors(content), None)
    return None if error is None else f"{error.json_path}: {error.message[:300]}"


@cache
def _validator(schema: str) -> Draft202012Validator:
    known = json.loads(schema)
    Draft202012Validator.check_schema(known)
    return Draft202012Validator(known)


def check_written(content: Any) -> None:
    """Check what is written as JSON, if it is the result of a localization."""
    if not isinstance(content, dict):
        return
    if "segments" in content and "encoder_sha256" in content:
        check_schema(json.loads(json.dumps(content)))
    elif "box_pixels" in content:
        problem = problem_of(json.loads(json.dumps(content)), MOMENT)
        assert problem is None, problem


def check_files(folder: Path) -> None:
    """Check every ``localization.json`` below a folder."""
    for path in folder.rglob("localization.json"):
        check_schema(json.loads(path.read_text(encoding="utf-8")))
