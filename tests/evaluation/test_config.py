from __future__ import annotations

import pytest

from tests.evaluation.made_data import made_entries
from tvsl.errors import UsageError
from tvsl.evaluation.config import LabelChoice, conditions, label_sources
from tvsl.methods.base import Method
from tvsl.metrics import PROTOCOLS


def method(name: str) -> Method:
    return made_entries(name).methods[0].method


@pytest.mark.parametrize(
    ("name", "labelled", "labels", "sources"),
    [
        ("text-only", True, None, ("given", "detected")),
        ("text-only", True, ("given",), ("given",)),
        ("text-only", True, ("detected",), ("detected",)),
        ("text-only", False, None, ("detected",)),
        ("text-only", False, ("detected",), ("detected",)),
        ("audioclip", True, None, ("none",)),
        ("audioclip", False, ("given",), ("none",)),
        ("mix-and-localize", True, None, ("given", "none")),
        ("mix-and-localize", True, ("given",), ("given", "none")),
        ("mix-and-localize", True, ("detected",), ("none",)),
        ("mix-and-localize", False, None, ("none",)),
    ],
)
def test_labels_come_from_where_they_can(
    name: str, labelled: bool, labels: tuple[LabelChoice, ...] | None, sources: tuple[str, ...]
) -> None:
    assert label_sources(method(name), labelled, labels) == sources


@pytest.mark.parametrize("labels", [("given",), ("given", "detected")])
def test_labels_that_there_are_not_cannot_be_given(labels: tuple[LabelChoice, ...]) -> None:
    with pytest.raises(UsageError, match="no class labels"):
        label_sources(method("text-only"), False, labels)


def test_a_method_that_cannot_detect(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = method("text-only")
    monkeypatch.setattr(type(blind), "detect", Method.detect)
    assert label_sources(blind, True, None) == ("given",)
    for labelled, labels in ((True, ("detected",)), (False, None)):
        with pytest.raises(UsageError, match="cannot detect"):
            label_sources(blind, labelled, labels)  # type: ignore[arg-type]


def test_where_a_source_lacks_its_class_it_has_to_be_detected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert label_sources(method("text-only"), True, ("given",), complete=False) == ("given",)
    assert label_sources(method("mix-and-localize"), True, None, complete=False) == ("none",)
    blind = method("text-only")
    monkeypatch.setattr(type(blind), "detect", Method.detect)
    with pytest.raises(UsageError, match="cannot detect classes, and not all are given"):
        label_sources(blind, True, ("given",), complete=False)


def test_each_protocol_counts_once() -> None:
    chosen = conditions(protocols=["paper", "median", "paper"])
    assert chosen.chosen == (PROTOCOLS["paper"], PROTOCOLS["median"])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"protocols": ["papr"]}, "no protocol 'papr'"),
        ({"protocols": []}, "'protocols'"),
        ({"labels": ["guessed"]}, "'labels.0'"),
        ({"counting": "few"}, "'counting'"),
        ({"batch": 0}, "'batch'"),
        ({"vocabulary": []}, "'vocabulary'"),
        ({"colour": 1}, "'colour'"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        conditions(**fields)
