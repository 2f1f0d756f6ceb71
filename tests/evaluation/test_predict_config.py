from __future__ import annotations

import pytest

from tvsl.errors import UsageError
from tvsl.evaluation.predict import evaluation_config
from tvsl.metrics import PROTOCOLS


def test_each_protocol_counts_once() -> None:
    chosen = evaluation_config(protocols=["paper", "median", "paper"])
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
        evaluation_config(**fields)
