from __future__ import annotations

import copy
import hashlib
import json
import pickle

import pytest

from tvsl.errors import UsageError
from tvsl.metrics import Scores, hash_ids

SCORES = Scores("paper", "given", {"AP": 0.5, "AUC": 0.25}, 9, 10, 1, hash_ids(["a", "b"]))


def test_the_hash_is_of_the_set() -> None:
    assert hash_ids(["b", "a", "b"]) == hashlib.sha256(b"a\nb").hexdigest()
    assert hash_ids(["a"]) != hash_ids(["a", "b"]) != hash_ids(["ab"])


def test_scores_go_to_json() -> None:
    assert json.loads(json.dumps(SCORES.to_dict())) == {
        "protocol": "paper",
        "label_source": "given",
        "values": {"AP": 0.5, "AUC": 0.25},
        "intervals": {},
        "found": 9,
        "listed": 10,
        "left_out": 1,
        "ids_hash": hash_ids(["a", "b"]),
    }


def test_scores_keep_their_own_values() -> None:
    values = {"AP": 0.5}
    scores = Scores("paper", "none", values, 1, 1, 0, "")
    values["AP"] = 1.0
    assert scores.values["AP"] == 0.5
    assert pickle.loads(pickle.dumps(SCORES)) == copy.deepcopy(SCORES) == SCORES  # noqa: S301


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"protocol": "papr"}, "no protocol 'papr'"),
        ({"label_source": "guessed"}, "no label source"),
        ({"found": 11}, "11 of 10"),
        ({"left_out": -1}, "-1 left out"),
    ],
)
def test_what_cannot_be_is_an_error(change: dict[str, object], problem: str) -> None:
    arguments = {**SCORES.to_dict(), **change}
    with pytest.raises(UsageError, match=problem):
        Scores(**arguments)
