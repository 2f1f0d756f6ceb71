from __future__ import annotations

import pytest
import torch

from tests.methods.tvsl.inputs import (
    SIZE,
    ragged_labels,
    randomise,
    tokens,
    vocabulary,
    with_tokens,
)
from tvsl.methods import METHODS
from tvsl.methods.tvsl import TVSL, TVSLConfig, preset
from tvsl.methods.tvsl.inference import READOUTS
from tvsl.reproduce.results import PAPER_SETS, paper_numbers
from tvsl.reproduce.specs import TEST_CONDITIONS, Candidates, RowSpec, TableSpec
from tvsl.reproduce.tables import (
    PAPER_METHODS,
    PROJECTORS,
    PROMPT_LENGTHS,
    TABLES,
    TRIVIAL,
    WITHOUT_SOUND,
)
from tvsl.tokens import Queries
from tvsl.training.config import find_head, recipe

SPECS = tuple(TABLES.values())
NUMBERED = [spec for spec in SPECS if spec.paper is not None]
VGGSOUND = PAPER_SETS["VGGSound"]
UNITS = tuple(
    dict.fromkeys(
        candidates
        for spec in SPECS
        for row in spec.rows
        for candidates in (row.single, row.several)
    )
)


def test_all_tables_of_the_paper_are_there() -> None:
    assert [spec.paper for spec in NUMBERED] == [1, 2, 3, 4, 5, 6, 7]
    assert all(name == spec.name for name, spec in TABLES.items())
    more = {"labels", "readouts", "improvements", "projectors", "tokens"}
    assert more | {"twins", "off-screen", "negatives"} <= TABLES.keys()


@pytest.mark.parametrize(
    "candidates",
    UNITS,
    ids=lambda candidates: f"{candidates.head.method} {candidates.head.hyperparameters}",
)
def test_every_head_exists_with_its_hyperparameters(candidates: Candidates) -> None:
    head = candidates.head
    condition, config = find_head(
        recipe(method=head.method, preset=head.preset, hyperparameters=dict(head.hyperparameters))
    )
    assert condition is METHODS[head.method]
    for name, value in head.hyperparameters:
        assert getattr(config, name) == value


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_rows_and_columns_have_one_name_each(spec: TableSpec) -> None:
    for titles in ([row.title for row in spec.rows], [column.title for column in spec.columns]):
        assert len(titles) == len(set(titles)) > 0
    assert all(
        column.condition is TEST_CONDITIONS[column.condition.name] for column in spec.columns
    )


@pytest.mark.parametrize("spec", NUMBERED, ids=lambda spec: spec.name)
def test_every_row_of_the_paper_is_measured(spec: TableSpec) -> None:
    assert spec.paper is not None
    numbers = paper_numbers(spec.paper)
    assert {row.paper for row in spec.rows if row.paper is not None} >= numbers.keys()
    known = {name for values in numbers.values() for name in values}
    keys = [VGGSOUND.key(column) for column in spec.columns]
    assert {key for key in keys if key is not None} <= known
    assert any(key is not None for key in keys)


def test_the_methods_of_the_main_tables_are_those_of_the_paper() -> None:
    names = [row.paper for row in PAPER_METHODS]
    assert names == list(paper_numbers(1))
    for name in ("table1", "table2"):
        assert TABLES[name].rows[: len(PAPER_METHODS)] == PAPER_METHODS


def test_single_sources_are_learned_from_single_sources() -> None:
    for row in PAPER_METHODS:
        assert [
            stage.sources for curriculum in row.single.curricula for stage in curriculum.stages
        ] == [(1,)]
        assert row.single.task == "single"
        assert row.several.task == "several"
        assert row.several.curricula[0] == row.single.curricula[0]
        assert row.several.curricula[-1].stages[-1].sources == (2,)


def test_tables_of_unseen_classes_alone_leave_classes_out() -> None:
    for spec in SPECS:
        learned = [
            candidates
            for row in spec.rows
            for candidates in (row.single, row.several)
            if candidates.curricula
        ]
        assert all(
            curriculum.half is (spec.name in ("table4", "improvements"))
            for candidates in learned
            for curriculum in candidates.curricula
        )
    assert all(column.condition.classes == "unseen" for column in TABLES["table4"].columns)


def test_table_5_measures_heads_that_know_single_sources() -> None:
    spec = TABLES["table5"]
    assert {column.head for column in spec.columns} == {"single"}
    assert [column.condition.sources for column in spec.columns[:3]] == [2, 3, 4]
    assert spec.columns[-1].low_is_good
    ours = [row for row in spec.rows if row.single.head.method == "tvsl" and row.single.curricula]
    assert [row.single.curricula[0].most_sources for row in ours] == [1, 4]


def test_ablations_differ_in_their_blocks_alone() -> None:
    rows = {row.title: dict(row.single.head.hyperparameters) for row in TABLES["table3"].rows[1:5]}
    assert [title for title, blocks in rows.items() if blocks["correspondence"]] == [
        "AVC",
        "audio, AVC",
        "image, AVC",
    ]
    assert rows["audio, AVC"]["audio_conditioning"]
    assert not rows["audio, AVC"]["image_conditioning"]
    assert rows["image, AVC"]["image_conditioning"]
    assert not rows["image, AVC"]["audio_conditioning"]


def test_prompts_have_the_paper_s_lengths() -> None:
    assert PROMPT_LENGTHS == (0, 2, 4, 8, 16, 32)
    lengths = [
        dict(row.single.head.hyperparameters).get("prompt_length", 0)
        for row in TABLES["table6"].rows
    ]
    assert tuple(lengths) == PROMPT_LENGTHS


def test_trivial_rows_need_no_training() -> None:
    def trivial(row: RowSpec) -> bool:
        return row.trivial and not row.single.curricula

    assert all(trivial(row) for row in TRIVIAL)
    for name in ("table1", "table2", "table4", "table5", "twins", "off-screen", "negatives"):
        assert sum(trivial(row) for row in TABLES[name].rows) == 3


@torch.inference_mode()
def test_no_sound_reaches_the_map_of_the_row_without_sound() -> None:
    assert WITHOUT_SOUND in PROJECTORS.rows
    config = preset("tvsl", embedding=SIZE, **dict(WITHOUT_SOUND.several.head.hyperparameters))
    assert isinstance(config, TVSLConfig)
    head = TVSL(config).double().eval()
    randomise(head)
    queries = Queries.from_labels(ragged_labels((1, 2, 3, 1)))
    heard, unheard = tokens(), with_tokens(tokens(), audio=tokens(seed=9).audio)
    reached = {}
    for readout in READOUTS:  # validation may choose any
        head.set_tuned(readout=readout)
        head.set_tuned(**dict(WITHOUT_SOUND.overrides))
        maps = [head.maps(one, queries, vocabulary()) for one in (heard, unheard)]
        reached[readout] = not torch.equal(*maps)
    assert not any(reached.values())
