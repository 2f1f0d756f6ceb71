from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.made_data import MadeData, made_models
from tvsl.evaluation.evaluator import Evaluator
from tvsl.evaluation.predict import evaluation_config
from tvsl.evaluation.results import Evaluation
from tvsl.html.evaluation import Cases, show_cases, thirds


def evaluated(folder: Path, data: MadeData, name: str = "text-only", **fields: object) -> Evaluator:
    evaluator = Evaluator(made_models(name), data, evaluation_config(batch=4, **fields), folder)
    evaluator.run()
    return evaluator


def cases_of(evaluator: Evaluator, count: int = 2) -> tuple[Cases, Evaluation]:
    evaluation = evaluator.summarize()
    return show_cases(evaluator, evaluation, count), evaluation


@given(total=st.integers(1, 40), count=st.integers(1, 12))
def test_nothing_is_shown_twice_and_the_best_come_first(total: int, count: int) -> None:
    first, middle, last = thirds(range(total), count)
    every = [*first, *middle, *last]
    assert every == sorted(set(every))
    assert first[0] == 0
    assert every[-1] == total - 1
    assert len(first) == min(count, max(total // 3, 1))
    if total >= 3:
        assert len(first) == len(middle) == len(last)
        # As many are left out before the middle as after it, or one less.
        before, after = middle[0] - len(first), last[0] - middle[-1] - 1
        assert 0 <= after - before <= 1


def test_items_are_chosen_by_their_scores(tmp_path: Path) -> None:
    evaluator = evaluated(tmp_path / "out", MadeData(count=9, sources=2, silent=(4,)))
    cases, evaluation = cases_of(evaluator)
    precision = evaluation.pairs.measures["text-only (untrained)", "given"]["paper"]["ap"]
    means = precision.view(9, 2).mean(dim=1).numpy()
    order = [place for place in np.argsort(-means, kind="stable") if place != 4]
    ids = [evaluator.data.items[place].id for place in order]
    assert [case.item.id for case in cases.best] == ids[:2]
    assert [case.item.id for case in cases.median] == ids[3:5]
    assert [case.item.id for case in cases.worst] == ids[-2:]
    assert cases.best[0].score == pytest.approx(np.nanmax(means))
    assert cases.model == "text-only (untrained)"
    assert "average precision" in cases.chosen_by
    assert "labels given" in cases.chosen_by


def test_a_case_has_everything_that_is_shown(tmp_path: Path) -> None:
    evaluator = evaluated(tmp_path / "out", MadeData(count=9, sources=2))
    cases, evaluation = cases_of(evaluator, 3)
    key = ("text-only (untrained)", "detected")
    missed = 0
    for case in cases.all:
        place = int(case.item.id.split("-")[1])
        assert len(case.sample.pictures) == 2
        assert [source.label for source in case.sources] == list(case.item.labels)
        assert len(case.detected) == 2
        for number, source in enumerate(case.sources):
            pair = 2 * place + number
            assert source.target.shape == (20, 40)
            assert source.maps["given"].shape == (4, 8)
            found = bool(evaluation.pairs.found[key[0]][pair])
            assert ("detected" in source.maps) == found == (source.label in case.detected)
            measured = evaluation.pairs.measures[key]["paper"]["ap"][pair]
            assert source.measures["detected"]["ap"] == measured
            missed += not found
    assert missed


def test_without_classes_and_without_average_precision(tmp_path: Path) -> None:
    evaluator = evaluated(
        tmp_path / "out",
        MadeData(count=3, sources=1, labelled=False),
        "audioclip",
        protocols=["median"],
    )
    cases, evaluation = cases_of(evaluator, 5)
    assert len(cases.best) == len(cases.median) == len(cases.worst) == 1
    overlap = evaluation.pairs.measures["audioclip (untrained)", "none"]["median"]["ciou"]
    assert cases.best[0].score == float(overlap.max())
    assert "cIoU" in cases.chosen_by
    (source,) = cases.best[0].sources
    assert source.label is None
    assert list(source.maps) == ["none"]
    assert cases.best[0].detected == ()
