from __future__ import annotations

import csv
import dataclasses
import io
import math
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn import functional as F

from tests.evaluation.made_data import NAMES, MadeData, made_models
from tvsl.data.base import Item
from tvsl.errors import OutputError, UsageError
from tvsl.evaluation.batch import encode_read_items
from tvsl.evaluation.evaluator import EvaluatedModels, Evaluator
from tvsl.evaluation.predict import NO_MAP, evaluation_config
from tvsl.evaluation.results import Evaluation, detection_table, notes, result_tables
from tvsl.evaluation.stored_results import write_samples
from tvsl.methods import METHODS
from tvsl.metrics import PROTOCOLS, ProtocolMetric, hash_ids, minmax
from tvsl.metrics.maps import normalize_maps

ENTRY = "text-only (untrained)"
DATA = MadeData(count=11, sources=2, silent=(3, 8))


def evaluated(
    folder: Path | None,
    data: MadeData = DATA,
    models: EvaluatedModels | None = None,
    **fields: object,
) -> tuple[Evaluator, Evaluation]:
    fields = {"batch": 4, "protocols": tuple(PROTOCOLS), **fields}
    evaluator = Evaluator(models or made_models(), data, evaluation_config(**fields), folder)
    evaluator.run()
    return evaluator, evaluator.summarize()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluator, Evaluation]:
    return evaluated(tmp_path_factory.mktemp("results") / "out")


def test_the_numbers_are_those_of_the_metrics(done: tuple[Evaluator, Evaluation]) -> None:
    """All maps once more, item by item, fed to metrics as anybody would feed them."""
    evaluator, evaluation = done
    keys = evaluator.scorer.keys
    assert keys == (
        (ENTRY, "given"),
        (ENTRY, "detected"),
        ("audioclip (untrained)", "none"),
        ("whole frame", "none"),
        ("centre", "none"),
        ("random", "none"),
    )
    metrics = {
        (key, name): ProtocolMetric(protocol, True, normalize="(" in key[0])
        for key in keys
        for name, protocol in PROTOCOLS.items()
    }
    for place, item in enumerate(evaluator.data.items):
        (group,) = encode_read_items(
            [evaluator.reader.read(place)], evaluator.data, evaluator.models.encoder
        )
        targets = torch.from_numpy(evaluator.reader.data.read(item, 64).targets)
        numbers = torch.full_like(group.queries.label, place)
        plain = {  # the methods of the registry, drawn for this item of the data set
            name.replace("-", " "): normalize_maps(
                METHODS[name]().drawn(numbers, group.tokens.grid, group.tokens.panels), (20, 40)
            )
            for name in ("whole-frame", "centre", "random")
        }
        for key in keys:
            detected = None
            if "(" not in key[0]:
                maps = plain[key[0]]
            else:
                asked = evaluator.scorer.predict(key[0], group)
                rows = asked.rows[key[1]]
                detected = rows != NO_MAP
                maps = asked.maps[rows.clamp(min=0)]
            for name in PROTOCOLS:
                metrics[key, name].update(
                    maps,
                    targets,
                    labels=group.queries.label,
                    frames=torch.full_like(group.queries.label, place),
                    ids=torch.tensor(group.pair_ids),
                    detected=detected,
                )
    assert len(evaluation.rows) == len(metrics)
    for row in evaluation.rows:
        scores = row.scores
        expected = metrics[(row.name, scores.label_source), scores.protocol].compute()
        assert scores.values == pytest.approx({k: float(v) for k, v in expected.items()}, abs=1e-6)


def test_every_row_says_what_was_evaluated(done: tuple[Evaluator, Evaluation]) -> None:
    _, evaluation = done
    for row in evaluation.rows:
        assert (row.scores.found, row.scores.listed) == (11, 11)
        assert row.scores.left_out == (0 if row.scores.protocol == "negatives" else 4)
        assert row.scores.ids_hash == hash_ids(item.id for item in DATA.items)
        assert (row.method is None) == (row.sha256 is None) == ("(" not in row.name)


@pytest.mark.parametrize("counting", ["oracle", "threshold"])
def test_detection_is_counted(counting: str, tmp_path: Path) -> None:
    models = made_models("text-only", detection_threshold=0.35)
    evaluator, evaluation = evaluated(tmp_path / "out", models=models, counting=counting)
    (found,) = evaluation.detection
    method, vocabulary = evaluator.models.methods[0].method, evaluator.data.vocabulary
    right = taken = there = 0
    scores, truth = [], []
    for place, item in enumerate(evaluator.data.items):
        (group,) = encode_read_items(
            [evaluator.reader.read(place)], evaluator.data, evaluator.models.encoder
        )
        (values,) = method.detect(group.tokens, vocabulary).numpy()  # type: ignore[union-attr]
        order = [NAMES[label] for label in np.argsort(-values)]
        count = 2 if counting == "oracle" else max(1, int((values >= 0.35).sum()))
        right += len(set(order[:count]) & set(item.labels))
        taken += count
        there += 2
        scores.append(values)
        truth.append([name in item.labels for name in NAMES])
    assert found.precision == right / taken
    assert found.recall == right / there
    assert found.false_per_item == pytest.approx((taken - right) / 11)
    expected = average_precision_score(np.array(truth), np.array(scores), average="macro")
    assert found.mean_average_precision == pytest.approx(expected, abs=1e-6)
    assert ("0.350" in found.rule) == (counting == "threshold")


def test_items_whose_classes_are_not_known_do_not_count_in_detection(tmp_path: Path) -> None:
    plain = MadeData(count=9, sources=1, silent=(7, 8))
    (whole,) = evaluated(tmp_path / "whole", plain.model_copy(update={"count": 7}))[1].detection
    data = plain.model_copy(update={"nameless": (7, 8)})
    _, evaluation = evaluated(tmp_path / "out", data)
    assert evaluation.detection == (whole,)
    (given, detected) = evaluation.rows[:2]
    assert (given.scores.left_out, detected.scores.left_out) == (2, 2)
    _, given_alone = evaluated(tmp_path / "given", data, labels=["given"])
    assert given_alone.detection == ()
    assert given_alone.rows[0].scores.values == pytest.approx(dict(given.scores.values))


def test_without_a_threshold_the_rule_says_so(tmp_path: Path) -> None:
    _, evaluation = evaluated(tmp_path / "out", counting="threshold")
    assert "no threshold was calibrated" in evaluation.detection[0].rule


def test_nothing_is_to_be_found_anywhere(tmp_path: Path) -> None:
    data = MadeData(count=2, silent=(0, 1))
    with pytest.raises(UsageError, match="where its sources are"):
        Evaluator(made_models(), data, evaluation_config(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_table_holds_the_numbers_and_the_paper_s(done: tuple[Evaluator, Evaluation]) -> None:
    _, evaluation = done
    tables = result_tables(evaluation)
    assert [table.title for table in tables] == [
        f"Protocol {name}, 11 of 11 items" for name in PROTOCOLS
    ]
    for table, name in zip(tables, PROTOCOLS, strict=True):
        rows = [row for row in evaluation.rows if row.scores.protocol == name]
        assert table.headers == (
            "method",
            "labels",
            *PROTOCOLS[name].multiple,
        )  # none is in the paper
        for cells, row in zip(table.rows, rows, strict=True):
            scores = row.scores
            values = [
                f"{100 * value:.1f} ({100 * one.low:.1f} to {100 * one.high:.1f})"
                for value, one in zip(
                    scores.values.values(), scores.intervals.values(), strict=True
                )
            ]
            assert cells == (row.name, scores.label_source, *values)


def test_the_paper_s_numbers_stand_beside_ours(tmp_path: Path) -> None:
    class Duet(MadeData):
        name = "music-duet"

    for data, mark in ((Duet(), ""), (MadeData(), "*")):
        models = made_models("tvsl", "text-only")
        _, evaluation = evaluated(tmp_path / data.name, data, models, protocols=["paper"])
        (table,) = result_tables(evaluation)
        numbers = ("CAP", "paper", "CIoU@0.1", "CIoU@0.3", "paper", "CIoU@0.5", "AUC", "paper")
        assert table.headers == ("method", "labels", *numbers)
        beside = [
            cell
            for header, cell in zip(table.headers, table.rows[0], strict=True)
            if header == "paper"
        ]
        values = (35.7, 40.1, 37.9) if mark else (62.9, 43.2, 35.9)
        assert beside == [f"{value}{mark}" for value in values]
        assert table.rows[2][0] == ENTRY
        assert table.rows[2][3] == ""
        told = dict(notes(evaluation))["paper"]
        assert ("other data" in told) == bool(mark)
        assert f"{'VGGSound' if mark else 'MUSIC'}-Duet, Table 2" in told
        paper = evaluation.to_dict()["results"][0]["paper"]
        assert paper["values"] == dict(zip(("CAP", "CIoU@0.3", "AUC"), values, strict=True))
        assert paper["same_data"] == (not mark)


def test_notes_say_what_the_numbers_are(done: tuple[Evaluator, Evaluation]) -> None:
    evaluator, evaluation = done
    told = dict(notes(evaluation))
    assert "11 of 11 found, with 22 sources, of which 4 are nowhere" in told["Items"]
    assert hash_ids(item.id for item in DATA.items) in told["Items"]
    assert "as many classes as the item has, of 5" in told["Labels detected"]
    assert evaluator.models.encoder.fingerprint in told["Encoder"]
    for protocol in PROTOCOLS.values():
        assert protocol.source in told["Protocols"]
    detection = detection_table(evaluation)
    assert detection is not None
    assert [row[0] for row in detection.rows] == [ENTRY]


@pytest.mark.parametrize(
    ("size", "items"), [(1, "11 items"), (2, "11 items of 6 recordings"), (20, "11 items of 1 r")]
)
def test_notes_say_what_is_drawn_together(size: int, items: str) -> None:
    class Frames(MadeData):
        @cached_property
        def items(self) -> tuple[Item, ...]:
            every = (self._item(number) for number in range(self.count))
            return tuple(
                dataclasses.replace(item, recording=f"video {number // size}")
                for number, item in enumerate(every)
            )

    _, evaluation = evaluated(None, Frames(count=11), protocols=["paper"])
    assert f"resamples of the {items}" in dict(notes(evaluation))["Intervals"]
    assert ("recordings" in dict(notes(evaluation))["Intervals"]) == (size > 1)


def test_maps_without_names_are_scored_by_the_best_permutation(tmp_path: Path) -> None:
    """PIAP by hand: all permutations of the two nodes of an item are tried."""
    models = made_models("mix-and-localize", "audioclip")
    evaluator, evaluation = evaluated(tmp_path / "out", MadeData(count=6, sources=2), models)
    head = models.methods[0]
    named, nameless, other = evaluation.rows[:3]
    assert [row.scores.label_source for row in (named, nameless, other)] == [
        "given",
        "assigned",
        "none",
    ]
    best = []
    for place in range(6):
        (group,) = encode_read_items(
            [evaluator.reader.read(place)], evaluator.data, evaluator.models.encoder
        )
        found = head.method.unlabelled_maps(group.tokens)[0].detach()
        full = minmax(F.interpolate(found[None], (20, 40), mode="bilinear")[0]).flatten(1).numpy()
        truth = group.targets.flatten(1).numpy()
        fit = [[average_precision_score(one, scores) for scores in full] for one in truth]
        best.append(max(fit[0][0] + fit[1][1], fit[0][1] + fit[1][0]))
    piap = evaluation.pairs.measures[nameless.name, "assigned"]["paper"]["ap"]
    # Items by themselves are summed up in another order than in a batch: a pixel of 800 may move.
    assert piap.view(6, 2).sum(dim=1).tolist() == pytest.approx(best, abs=2e-3)
    assert piap.mean() > evaluation.pairs.measures[named.name, "given"]["paper"]["ap"].mean()
    written = evaluation.to_dict()["results"]
    assert [row["label_source"] for row in written[:3]] == ["given", "assigned", "none"]
    told = dict(notes(evaluation))
    assert "one map for all sources" in told["Labels none"]  # of the other method
    assert "fits the truth best (PIAP)" in told["Labels assigned"]
    assert evaluation.detection == ()


def test_every_pair_has_its_lines(done: tuple[Evaluator, Evaluation], tmp_path: Path) -> None:
    evaluator, evaluation = done
    write_samples(evaluation, tmp_path / "samples.csv")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "samples.csv").read_text())))
    assert len(lines) == 22 * len(evaluator.scorer.keys)
    for number, line in enumerate(lines):
        pair, key = divmod(number, len(evaluator.scorer.keys))
        item = DATA.items[pair // 2]
        assert line["id"] == item.id
        assert line["source"] == str(pair % 2)
        assert line["label"] == item.labels[pair % 2]
        assert line["sounding"] == ("no" if pair // 2 in DATA.silent else "yes")
        assert (line["method"], line["labels"]) == evaluator.scorer.keys[key]
        value = evaluation.pairs.measures[evaluator.scorer.keys[key]]["paper"]["ap"][pair]
        assert line["paper ap"] == ("" if math.isnan(value) else repr(float(value)))
        found = {True: "yes", False: "no"}[bool(evaluation.pairs.found[ENTRY][pair])]
        assert line["detected"] == (found if line["labels"] == "detected" else "")
        if line["detected"] == "no" and line["sounding"] == "yes":
            assert float(line["paper ciou"]) == float(line["negatives confidence"]) == 0


def test_a_place_that_cannot_be_written(done: tuple[Evaluator, Evaluation], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_samples(done[1], tmp_path / "nowhere" / "samples.csv")
