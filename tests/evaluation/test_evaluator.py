from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.mini_model import reach

from tests.evaluation.made_data import NAMES, MadeData, MadeEncoder, made_models
from tvsl.data import find_data
from tvsl.data.base import Item, Sample
from tvsl.data.synthetic import SyntheticData
from tvsl.errors import DataError, OutputError, UnreadableMediaError, UsageError, VocabularyError
from tvsl.evaluation.batch import encode_scenes
from tvsl.evaluation.evaluator import EvaluatedModel, EvaluatedModels, Evaluator, load_models
from tvsl.evaluation.predict import evaluation_config
from tvsl.evaluation.results import Evaluation, ResultRow
from tvsl.evaluation.stored_results import write_samples
from tvsl.synthetic.export import export_world
from tvsl.utils.processes import Processes

ALL = ("paper", "median", "adaptive", "fixed", "negatives")


def made_evaluator(
    folder: Path | None, data: MadeData | None = None, skip: bool = False, **fields: object
) -> Evaluator:
    fields = {"batch": 4, "protocols": ALL, **fields}
    return Evaluator(
        made_models(), data or MadeData(), evaluation_config(**fields), folder, skip=skip
    )


def row(evaluation: Evaluation, model: str, labels: str, protocol: str = "paper") -> ResultRow:
    (found,) = (
        one
        for one in evaluation.rows
        if (one.name, one.scores.label_source, one.scores.protocol) == (model, labels, protocol)
    )
    return found


@pytest.fixture
def alone(tmp_path: Path) -> Evaluation:
    """Ten items, measured without interruption by one process."""
    evaluator = made_evaluator(tmp_path / "alone")
    evaluator.run()
    return evaluator.summarize()


@pytest.mark.parametrize(("sources", "count", "truth"), [(1, 36, "boxes"), (2, 33, "masks")])
def test_the_numbers_of_the_model_card(
    sources: int, count: int, truth: str, bundle: Path, tmp_path: Path
) -> None:
    methods = ["text-only", "audioclip"]
    models = load_models(bundle, methods=methods, device="cpu", flip_average="none")
    data = SyntheticData.model_validate({"sources": sources, "count": count, "truth": truth})
    evaluator = Evaluator(models, data, evaluation_config(), tmp_path / "out")
    evaluator.run()
    evaluation = evaluator.summarize()
    scenes = encode_scenes(models.encoder, data.world, sources, count)
    for model in models.methods:
        _check_card(evaluation, model, reach(model.method, scenes, truth))


def _check_card(evaluation: Evaluation, model: EvaluatedModel, reached: dict[str, Any]) -> None:
    several = evaluation.scorer.data.dataset.several
    names = ("CAP", "CIoU@0.3", "CIoU@0.5", "AUC") if several else ("AP", "IoU@0.3", "AUC")
    sources = {"given": reached["given"], "detected": reached["detected"]}
    if not model.method.class_aware:
        sources = {"none": sources["given"]}
    for source, figures in sources.items():
        values = row(evaluation, model.name, source).scores.values
        assert figures is not None
        for name in names:
            # The card asks for all scenes at once, whose sums are rounded otherwise.
            assert values[name] == pytest.approx(figures[name] / 100, abs=1e-6)
    for detection in evaluation.detection:
        if detection.name == model.name:
            assert reached["detection"] is not None
            precision = detection.mean_average_precision
            assert precision == pytest.approx(reached["detection"] / 100, abs=1e-6)


def test_exported_scenes_give_the_same_to_the_last_bit(bundle: Path, tmp_path: Path) -> None:
    export_world(SyntheticData().world, tmp_path / "world", 5, 2)
    models = load_models(bundle, device="cpu", flip_average="none")
    sets = (
        find_data("synthetic", sources=2, count=5),
        find_data("folder", root=tmp_path / "world"),
    )
    lines = []
    for number, data in enumerate(sets):
        evaluator = Evaluator(
            models, data, evaluation_config(batch=2, protocols=ALL), tmp_path / f"{number}"
        )
        evaluator.run()
        write_samples(evaluator.summarize(), tmp_path / f"{number}.csv")
        lines.append((tmp_path / f"{number}.csv").read_text())
    assert lines[0] == lines[1]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_several_processes_give_the_same_to_the_last_bit(
    count: int, alone: Evaluation, tmp_path: Path
) -> None:
    made_evaluator(tmp_path / "shared").run()  # begins the folder; then everything is done anew
    for rank in range(count):
        evaluator = made_evaluator(tmp_path / "shared")
        team = _Apart(rank, count)
        evaluator.run(team, force=rank == 0)
    evaluation = made_evaluator(tmp_path / "shared").summarize()
    assert evaluation.to_dict() == alone.to_dict()


class _Apart(Processes):
    """One of several processes that evaluator one after the other."""

    def meet(self) -> None:
        pass


def test_an_interrupted_evaluation_goes_on(alone: Evaluation, tmp_path: Path) -> None:
    class Interrupted(MadeData):
        def read(self, item: Item, sample_rate: int) -> Sample:
            if item.id == "item-009":
                raise KeyboardInterrupt
            return super().read(item, sample_rate)

    evaluator = made_evaluator(tmp_path / "out", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        evaluator.run()
    with pytest.raises(OutputError, match="1 of 3 batches"):
        evaluator.summarize()
    again = made_evaluator(tmp_path / "out")
    told: list[tuple[int, int | None]] = []
    again.run(progress=lambda done, total: told.append((done, total)))
    assert told == [(8, 10), (10, 10)]
    assert again.summarize().to_dict() == alone.to_dict()
    finished = made_evaluator(tmp_path / "out")
    finished.run()
    assert isinstance(finished.reader.encoder, MadeEncoder)
    assert finished.reader.encoder.prepared == 0
    assert finished.summarize().to_dict() == alone.to_dict()


def test_what_keeps_nothing_gives_the_same_to_the_last_bit(alone: Evaluation) -> None:
    evaluator = made_evaluator(None)
    with pytest.raises(OutputError, match="3 of 3 batches"):
        evaluator.summarize()
    evaluator.run()
    assert evaluator.summarize().to_dict() == alone.to_dict()
    assert isinstance(evaluator.reader.encoder, MadeEncoder)
    for force, prepared in ((False, 0), (True, 20)):
        evaluator.reader.encoder.prepared = 0
        evaluator.run(force=force)
        assert evaluator.reader.encoder.prepared == prepared
    assert evaluator.summarize().to_dict() == alone.to_dict()


@pytest.mark.parametrize(
    ("fields", "data", "differs"),
    [
        ({"batch": 5}, MadeData(), "config"),
        ({"counting": "threshold"}, MadeData(), "config"),
        ({}, MadeData(seed=1), "lists, options of the data set"),
        ({}, MadeData(count=9), "items, lists, options of the data set"),
        ({"vocabulary": (*NAMES, "owl")}, MadeData(), "config, vocabulary"),
    ],
)
def test_another_evaluation_does_not_go_on_there(
    fields: dict[str, object], data: MadeData, differs: str, tmp_path: Path
) -> None:
    made_evaluator(tmp_path / "out").run()
    other = made_evaluator(tmp_path / "out", data, **fields)
    with pytest.raises(OutputError, match=f"its {differs} differ"):
        other.run()
    other.run(force=True)
    assert other.summarize().listed == data.count


def test_another_head_does_not_go_on_there(tmp_path: Path) -> None:
    made_evaluator(tmp_path / "out").run()
    models = made_models("text-only", "audioclip", exponent=2.0)
    other = Evaluator(
        models, MadeData(), evaluation_config(batch=4, protocols=ALL), tmp_path / "out"
    )
    with pytest.raises(OutputError, match="methods differ"):
        other.run()


def test_broken_items_end_it_or_are_listed(tmp_path: Path) -> None:
    data = MadeData(broken=(3, 7))
    with pytest.raises(UnreadableMediaError, match="item-003"):
        made_evaluator(tmp_path / "stopped", data).run()
    evaluator = made_evaluator(tmp_path / "out", data, skip=True)
    evaluator.run()
    evaluation = evaluator.summarize()
    assert (evaluation.found, evaluation.listed) == (8, 10)
    assert [name for name, _ in evaluation.skipped] == ["item-003", "item-007"]
    told = evaluation.to_dict()
    assert told["skipped"][0]["reason"] == "item-003.jpg: The picture is broken. Mend it."
    assert {one["found"] for one in told["results"]} == {8}
    # The others are scored as if the broken ones had never been listed.
    whole = made_evaluator(tmp_path / "whole")
    whole.run()
    every = whole.summarize().pairs
    left = [pair for pair in range(20) if pair // 2 not in (3, 7)]
    assert evaluation.pairs.numbers.tolist() == left
    for key, protocols in evaluation.pairs.measures.items():
        for protocol, columns in protocols.items():
            for name, column in columns.items():
                expected = every.measures[key][protocol][name][left]
                torch.testing.assert_close(column, expected, atol=1e-5, rtol=0)


def test_what_has_been_mended_is_measured(alone: Evaluation, tmp_path: Path) -> None:
    class Mended(MadeData):
        def read(self, item: Item, sample_rate: int) -> Sample:
            if item.id in broken:
                raise UnreadableMediaError("It is broken.", "Mend it.", item.id)
            return super().read(item, sample_rate)

    broken = ["item-001"]
    evaluator = made_evaluator(tmp_path / "out", Mended(), skip=True)
    evaluator.run()
    assert evaluator.summarize().found == 9
    broken.clear()
    evaluator = made_evaluator(tmp_path / "out", Mended())
    told: list[int] = []
    evaluator.run(progress=lambda done, _: told.append(done))
    assert told == [6, 10]
    assert evaluator.summarize().to_dict() == alone.to_dict()


def test_nothing_can_be_found(tmp_path: Path) -> None:
    evaluator = made_evaluator(tmp_path / "out", MadeData(count=3, broken=(0, 1, 2)), skip=True)
    evaluator.run()
    with pytest.raises(DataError, match=r"None of the 3 items .*first: item-000\.jpg: The picture"):
        evaluator.summarize()


def test_data_that_cannot_be_evaluated(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lists no item"):
        made_evaluator(tmp_path / "out", MadeData(count=0))
    with pytest.raises(VocabularyError, match="Not in the vocabulary"):
        made_evaluator(tmp_path / "out", vocabulary=("bell", "cat"))
    with pytest.raises(UsageError, match="no class labels"):
        made_evaluator(tmp_path / "out", MadeData(labelled=False), labels=["given"])


def test_items_without_classes_are_asked_among_the_encoder_s(tmp_path: Path) -> None:
    evaluator = made_evaluator(tmp_path / "out", MadeData(sources=1, labelled=False))
    assert evaluator.data.vocabulary.names == NAMES
    evaluator.run()
    evaluation = evaluator.summarize()
    assert evaluation.detection == ()
    assert [key for key in evaluation.pairs.measures if key[0].startswith("text")] == [
        ("text-only (untrained)", "detected")
    ]
    assert not bool(evaluation.pairs.found["text-only (untrained)"].any())
    assert row(evaluation, "text-only (untrained)", "detected").scores.values["AP"] > 0.05


def test_squeezing_is_asked_for_by_data_or_head(tmp_path: Path) -> None:
    class Square(MadeData):
        square = True

    class Encoder(MadeEncoder):
        def prepare(self, picture: object, square: bool = False) -> torch.Tensor:
            squares.append(square)
            return super().prepare(picture, square)  # type: ignore[arg-type]

    squares: list[bool] = []
    for data, wanted in ((MadeData(count=1), False), (Square(count=1), False), (MadeData(), True)):
        methods = made_models("text-only", square_pictures=wanted).methods
        models = EvaluatedModels("made", Encoder(), methods)  # type: ignore[arg-type]
        evaluator = Evaluator(
            models, data, evaluation_config(batch=4), tmp_path / f"{len(squares)}"
        )
        evaluator.reader.read(0)
    assert squares == [False, False, True, True, True, True]
