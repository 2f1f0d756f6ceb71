"""Every benchmark from its public layout to a page of results, on real media.

Weights are made up: what the numbers say means nothing, the way is tried. At full size they are in
the official format; there most sets are among the slow tests.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data.real_benchmarks import BENCHMARKS
from tests.small_model import write_small_checkpoint
from tvsl.data import find_data
from tvsl.evaluation.evaluator import EvaluatedModels, Evaluator, load_models
from tvsl.evaluation.predict import evaluation_config
from tvsl.evaluation.result_cache import OUTPUTS
from tvsl.evaluation.score import BASELINES
from tvsl.html.evaluation import write_report
from tvsl.metrics import PROTOCOLS, hash_ids

HEADS = ("tvsl (untrained)", "audioclip (untrained)")
ALWAYS = ("vggsound-duet", "flickr-extended of ACL-SSL")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedModels:
    return models_of(write_small_checkpoint(tmp_path_factory.mktemp("small")))


@pytest.fixture(scope="module")
def full(full_checkpoint: Path) -> EvaluatedModels:
    return models_of(full_checkpoint)


def models_of(model: Path) -> EvaluatedModels:
    return load_models(model, methods=("tvsl", "audioclip"), device="cpu")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_set_is_evaluated_from_every_layout(
    name: str, small: EvaluatedModels, real_benchmark: Callable[[str], Path], tmp_path: Path
) -> None:
    evaluate(name, small, real_benchmark(name), tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in BENCHMARKS],
)
def test_every_set_is_evaluated_at_full_size(
    name: str, full: EvaluatedModels, real_benchmark: Callable[[str], Path], tmp_path: Path
) -> None:
    evaluate(name, full, real_benchmark(name), tmp_path / "out")


def evaluate(name: str, models: EvaluatedModels, root: Path, out: Path) -> None:
    made = BENCHMARKS[name]
    data = find_data(made.data, root=root, **made.options)
    labelled = {label for item in data.items for label in item.labels} != {None}
    # Without classes it is asked among a few hundred everyday sounds: a few of them will do here.
    names = None if labelled else ("dog barking", "helicopter", "rooster crowing")
    protocols = tuple(PROTOCOLS)
    evaluator = Evaluator(
        models, data, evaluation_config(protocols=protocols, vocabulary=names), out
    )
    evaluator.run()
    evaluation = evaluator.summarize()
    write_report(evaluator, evaluation, 1, out)
    content = json.loads((out / "results.json").read_text())
    assert (content["found"], content["listed"]) == (made.items, made.items)
    assert content["skipped"] == []
    assert content["data"]["name"] == made.data
    given = [(HEADS[0], "given")] if labelled else []
    keys = [*given, (HEADS[0], "detected"), *((one, "none") for one in (HEADS[1], *BASELINES))]
    rows = [(row["name"], row["label_source"], row["protocol"]) for row in content["results"]]
    assert rows == [(*key, protocol) for protocol in protocols for key in keys]
    for row in content["results"]:
        check_row(row, made.silent, hash_ids(item.id for item in data.items))
    lines = list(csv.DictReader((out / "samples.csv").open(encoding="utf-8")))
    assert len(lines) == made.pairs * len(keys)
    assert {line["id"] for line in lines} == {item.id for item in data.items}
    assert [line["sounding"] for line in lines].count("no") == made.silent * len(keys)
    page = (out / "page.html").read_text(encoding="utf-8")
    assert f"{made.items} of {made.items} items found" in page
    assert len(re.findall("<audio", page)) == min(3, made.items - made.silent)
    assert {path.name for path in out.iterdir()} == {*OUTPUTS, ".parts"}


def check_row(row: dict[str, Any], silent: int, ids_hash: str) -> None:
    assert row["left_out"] == (0 if row["protocol"] == "negatives" else silent)
    assert row["ids_hash"] == ids_hash
    assert row["values"]
    for value in row["values"].values():
        assert 0 <= value <= 1  # neither is true of NaN
