from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.made_data import MadeData, made_models
from tvsl.errors import DataError, UsageError
from tvsl.evaluation.compare import NO_DIFFERENCE, compare
from tvsl.evaluation.evaluator import EvaluatedModels, Evaluator
from tvsl.evaluation.predict import evaluation_config
from tvsl.evaluation.result_cache import SCORES
from tvsl.evaluation.results import Evaluation, detection_table
from tvsl.evaluation.stored_results import read_scores, write_results, write_scores

TEXT, AUDIO = "text-only (untrained)", "audioclip (untrained)"
DATA = MadeData(count=60, sources=2, silent=(3,), broken=(5,))


def evaluated(
    folder: Path, data: MadeData = DATA, models: EvaluatedModels | None = None
) -> Evaluation:
    fields = {"batch": 30, "protocols": ("paper", "adaptive")}
    evaluator = Evaluator(
        models or made_models(), data, evaluation_config(**fields), folder, skip=True
    )
    evaluator.run()
    found = evaluator.summarize()
    write_results(found, folder)
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    folder = tmp_path_factory.mktemp("one")
    return folder, evaluated(folder)


def test_scores_are_kept_whole(done: tuple[Path, Evaluation], tmp_path: Path) -> None:
    folder, evaluation = done
    stored = read_scores(folder)
    assert read_scores(folder / "results.json").path == stored.path
    pairs = evaluation.pairs
    assert stored.ids == [item.id for item in DATA.items if item.id != "item-005"]
    assert torch.equal(stored.pairs.sounding, pairs.sounding)
    for key, by_protocol in pairs.measures.items():
        for protocol, columns in by_protocol.items():
            for name, column in columns.items():
                kept = stored.pairs.measures[key][protocol][name]
                torch.testing.assert_close(kept, column, rtol=0, atol=0, equal_nan=True)
    kept_scores = stored.pairs.detections[TEXT].scores
    assert torch.equal(kept_scores, pairs.detections[TEXT].scores)
    again = tmp_path / "again"
    again.mkdir()
    write_results(evaluation, again)
    assert (again / SCORES).read_bytes() == (folder / SCORES).read_bytes()


def test_a_method_with_another_of_the_same_table(done: tuple[Path, Evaluation]) -> None:
    folder, evaluation = done
    found = compare(folder, folder, methods=(TEXT, AUDIO))
    rows = {
        (row.scores.protocol, row.name, row.scores.label_source): row for row in evaluation.rows
    }
    assert {one.labels for one in found.differences} == {("given", "none"), ("detected", "none")}
    for one in found.differences:
        ours = rows[one.protocol, TEXT, one.labels[0]].scores.values[one.figure]
        theirs = rows[one.protocol, AUDIO, "none"].scores.values[one.figure]
        assert (one.first, one.second) == (ours, theirs)
        assert one.interval.low <= ours - theirs <= one.interval.high
    # The interval of AP by a plain loop over items: both sources of one are drawn together.
    pairs = evaluation.pairs
    kept = pairs.sounding.numpy()
    gap = (pairs.measures[TEXT, "given"]["paper"]["ciou"] >= 0.3).double() - (
        pairs.measures[AUDIO, "none"]["paper"]["ciou"] >= 0.3
    ).double()
    by_item = gap.numpy()[kept].reshape(-1, 2).mean(axis=1)
    draws = np.random.default_rng(0).integers(len(by_item), size=(1000, len(by_item)))
    low, high = np.percentile(by_item[draws].mean(axis=1), [2.5, 97.5])
    (rate,) = (
        one for one in found.differences if one.figure == "CIoU@0.3" and one.labels[0] == "given"
    )
    assert rate.interval.low == pytest.approx(low, abs=1e-9)
    assert rate.interval.high == pytest.approx(high, abs=1e-9)


def test_what_is_equal_shows_no_difference(done: tuple[Path, Evaluation], tmp_path: Path) -> None:
    folder, _ = done
    evaluated(tmp_path / "same")
    same = compare(folder, tmp_path / "same", methods=(TEXT, TEXT))
    assert {one.words for one in same.differences} == {NO_DIFFERENCE}
    figures = [one.figure for one in same.differences if one.protocol == "detection"]
    assert figures == ["mean_average_precision", "precision", "recall", "false_per_item"]
    assert same.table.rows[0][5].startswith("+0.0 (")


def test_items_of_one_evaluation_alone_are_named(
    done: tuple[Path, Evaluation], tmp_path: Path
) -> None:
    folder, _ = done
    stored = read_scores(folder)
    fewer = DATA.model_copy(update={"broken": (7, 9)})
    evaluated(tmp_path / "fewer", fewer)
    # Which items are broken is no option of real data; here it is one.
    with pytest.raises(DataError, match="broken"):
        compare(folder, tmp_path / "fewer", methods=(TEXT, TEXT))
    other = read_scores(tmp_path / "fewer")
    header = {**other.header, "data": stored.header["data"]}
    write_scores(other.pairs, header, tmp_path / "fewer" / SCORES)
    found = compare(folder, tmp_path / "fewer", methods=(TEXT, TEXT))
    assert found.only == (("item-007", "item-009"), ("item-005",))
    assert found.items == 57
    assert any("In the second only" in line and "item-005" in line for line in found.lines)
    text = {one.figure: one for one in found.differences if one.labels[0] == "given"}
    assert text["CAP"].value == pytest.approx(0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "seed 0 and 1"),
        ({"count": 61}, "count 60 and 61"),
        ({"sources": 1}, "sources"),
    ],
)
def test_other_data_are_refused(
    change: dict[str, int], said: str, done: tuple[Path, Evaluation], tmp_path: Path
) -> None:
    evaluated(tmp_path, DATA.model_copy(update=change))
    with pytest.raises(DataError, match=said):
        compare(done[0], tmp_path, methods=(TEXT, TEXT))


def test_wrong_names_and_no_scores(done: tuple[Path, Evaluation], tmp_path: Path) -> None:
    folder, _ = done
    for methods, said in (
        ((None, None), "several methods"),
        (("nobody", TEXT), "no method"),
        ((TEXT, TEXT), "with itself"),
    ):
        with pytest.raises(UsageError, match=said):
            compare(folder, folder, methods=methods)
    with pytest.raises(DataError, match="no scores"):
        compare(folder, tmp_path, methods=(TEXT, TEXT))
    for content in (b"", b"no archive", (folder / SCORES).read_bytes()[:2000]):
        (tmp_path / SCORES).write_bytes(content)
        with pytest.raises(DataError, match="no scores"):
            compare(folder, tmp_path, methods=(TEXT, TEXT))


def test_heads_that_differ_by_their_seeds_have_a_mean(tmp_path: Path) -> None:
    made = made_models("tvsl")
    seeds = []
    for seed in range(3):
        head = made_models("tvsl").methods[0]
        torch.manual_seed(seed)
        for parameter in head.method.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
        head.method.set_tuned(exponent=1.0 + seed)
        seeds.append(dataclasses.replace(head, name=f"tvsl (seed-{seed})", trained=True))
    other = dataclasses.replace(made_models("text-only").methods[0], trained=True)
    models = dataclasses.replace(made, methods=(*seeds, other))
    data = MadeData(count=30)
    evaluation = evaluated(tmp_path / "out", data, models)
    title = "tvsl, mean of 3 heads"
    rows = [row for row in evaluation.rows if row.scores.protocol == "paper"]
    assert [row.name for row in rows][:9] == [
        *(name for seed in range(3) for name in [f"tvsl (seed-{seed})"] * 2),
        title,
        title,
        other.name,
    ]
    for number, row in ((6, rows[6]), (7, rows[7])):
        each = [rows[number - 6 + 2 * seed].scores.values["CAP"] for seed in range(3)]
        assert row.runs == tuple(one.name for one in seeds)
        assert row.scores.values["CAP"] == pytest.approx(np.mean(each))
        assert row.deviations["CAP"] == pytest.approx(np.std(each, ddof=1))
        assert row.scores.intervals["CAP"].holds(float(np.mean(each)))
    detection = {row.name: row for row in evaluation.detection}
    assert detection[title].recall == pytest.approx(
        np.mean([detection[one.name].recall for one in seeds])
    )
    table = detection_table(evaluation)
    assert table is not None
    cells = {row[0]: row[1:] for row in table.rows}
    mean = detection[title]
    for cell, (figure, value) in zip(cells[title], mean.values.items(), strict=True):
        factor, digits = (1, 2) if figure == "false_per_item" else (100, 1)
        spread, interval = mean.deviations[figure], mean.intervals[figure]
        expected = f"{factor * value:.{digits}f} ± {factor * spread:.{digits}f}"
        assert cell == f"{expected} ({interval.times(factor).text(digits)})"
    assert "±" not in "".join(cells[other.name])
    written = {row["name"]: row for row in evaluation.to_dict()["results"]}
    assert written[title]["runs"] == list(rows[6].runs)
    assert "runs" not in written[other.name]
    found = compare(tmp_path / "out", tmp_path / "out", methods=(title, "text-only (untrained)"))
    cap = next(one for one in found.differences if one.figure == "CAP")
    assert cap.first == pytest.approx(rows[6].scores.values["CAP"])
