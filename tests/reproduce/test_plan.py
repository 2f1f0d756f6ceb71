from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tvsl.reproduce.plan import Choice, Plan, choose
from tvsl.reproduce.specs import (
    DUET,
    DUETS,
    SINGLE,
    SINGLES,
    TWIN_SINGLE,
    UNSEEN_SINGLE,
    Candidates,
    HeadSpec,
    TableSpec,
    Training,
    reproduce_config,
)
from tvsl.reproduce.tables import ALIGNMENT, AUDIOCLIP, FNAC, TABLES
from tvsl.reproduce.train import TrainingRecord

CONFIG = reproduce_config("synthetic", "full")


def plan(*names: str, halved: bool = True) -> Plan:
    specs = (TABLES[name] for name in names)
    return Plan.of(specs, CONFIG, lambda condition: True, halved)


def small(*rows: object) -> TableSpec:
    return replace(TABLES["table1"], rows=rows)  # type: ignore[arg-type]


def first_trainings(found: Plan) -> list[Training]:
    """The trainings that are done before anything is known."""
    parts = (found.search(candidates, lambda _: None) for candidates in found.needs)
    return list(dict.fromkeys(one for part in parts if isinstance(part, tuple) for one in part))


def test_tables_share_their_heads() -> None:
    both = plan("table1", "table5", "twins")
    one = plan("table1")
    assert set(first_trainings(one)) < set(first_trainings(both))
    single = FNAC.single
    assert {condition.name for condition, _ in one.needs[single]} == {"single"}
    conditions = {condition.name for condition, _ in both.needs[single]}
    assert conditions == {"single", "duet", "trio", "quartet", "twin-single"}
    every = first_trainings(both)
    assert len(every) == len({training.digest for training in every})


def test_the_search_begins_with_all_rates_and_batches_on_all_mixtures() -> None:
    found = plan("table2").search(FNAC.several, lambda _: None)
    assert isinstance(found, tuple)
    assert [(one.curriculum, one.batch, one.learning_rate) for one in found] == [
        (curriculum, batch, rate)
        for curriculum in (SINGLES, DUETS)
        for batch in CONFIG.batches
        for rate in CONFIG.learning_rates
    ]
    assert {one.seed for one in found} == {0}
    untrained = plan("table2").search(AUDIOCLIP.several, lambda _: None)
    assert untrained == (Training(AUDIOCLIP.single.head),)


def searched(
    candidates: Candidates, score: Callable[[Training], float | None], further: int = 4
) -> tuple[Choice, list[Training]]:
    """The choice of a search in which each training reaches a score, and what it trained."""
    config = reproduce_config(
        "synthetic", "full", learning_rates=(1e-3, 3e-3), batches=(32, 8), further_rates=further
    )
    found = Plan(config, {}, True)
    records: dict[Training, TrainingRecord] = {}
    while not isinstance(step := found.search(candidates, records.get), Choice):
        assert not set(step) & set(records)
        for one in step:
            value = score(one)
            records[one] = FAILED if value is None else record(value, value)
    return step, list(records)


def rates(trained: Sequence[Training], batch: int = 32) -> list[float | None]:
    return [one.learning_rate for one in trained if one.batch == batch]


@pytest.mark.parametrize(
    ("best", "tried"),
    [
        (1e-3, [1e-3, 3e-3, 3e-4]),
        (3e-3, [1e-3, 3e-3, 9e-3]),
        (1e-4, [1e-3, 3e-3, 3e-4, 1e-4, 3e-5]),
        (3e-2, [1e-3, 3e-3, 9e-3, 3e-2, 9e-2]),
        (1e-6, [1e-3, 3e-3, 3e-4, 1e-4, 3e-5, 1e-5]),  # no more than four further ones
    ],
)
def test_rates_go_on_where_the_best_is_the_first_or_the_last(
    best: float, tried: list[float]
) -> None:
    def score(training: Training) -> float:
        assert training.learning_rate is not None
        return -abs(math.log(training.learning_rate / best)) - (training.batch == 8)

    choice, trained = searched(FNAC.single, score)
    assert rates(trained) == pytest.approx(tried)
    assert rates(trained, 8) == [1e-3, 3e-3]  # where the best is not, none is added
    assert choice.chosen is not None
    nearest = min(tried, key=lambda rate: abs(math.log(rate / best)))
    assert choice.chosen.learning_rate == pytest.approx(nearest)


def test_rates_that_fail_are_passed_by() -> None:
    def score(training: Training) -> float | None:
        return None if (training.learning_rate or 0) > 3e-3 else training.learning_rate

    choice, trained = searched(FNAC.single, score)
    assert rates(trained) == pytest.approx([1e-3, 3e-3, 9e-3])
    assert choice.chosen is not None
    assert choice.chosen.learning_rate == 3e-3
    nothing, trained = searched(FNAC.single, lambda _: None)
    assert nothing.chosen is None
    assert len(trained) == 4


def test_no_further_rates_where_none_are_wanted() -> None:
    _, trained = searched(FNAC.single, lambda training: training.learning_rate, further=0)
    assert rates(trained) == [1e-3, 3e-3]


@pytest.mark.parametrize("best", [3e-4, 1e-3, 3e-3, 9e-3])
@pytest.mark.parametrize("better", [32, 8])
def test_a_variant_is_offered_the_batch_and_the_rate_of_its_method(
    better: int, best: float
) -> None:
    (variant,) = (row.single for row in TABLES["projectors"].rows if row.title == "without L_cls")

    def score(training: Training) -> float:
        assert training.learning_rate is not None
        wanted = best if training.head == HeadSpec("tvsl") else 1e-2
        return -abs(math.log(training.learning_rate / wanted)) + 9 * (training.batch == better)

    choice, trained = searched(variant, score)
    offered = rates([one for one in trained if one.head == variant.head], better)
    assert offered == [1e-3, 3e-3, *({best} - {1e-3, 3e-3})]
    own = [one for one in trained if one.head == variant.head]
    assert {one.batch for one in own} == {better}
    assert {one.batch for one in trained if one.head == HeadSpec("tvsl")} == {32, 8}
    assert trained.index(own[0]) > max(trained.index(one) for one in trained if one not in own)
    assert choice.chosen in own


def test_where_half_of_the_classes_is_known_anyway_table_4_needs_no_heads_of_its_own() -> None:
    halved = plan("table1", "table2", "table4")
    assert not any(
        curriculum.half for candidates in halved.needs for curriculum in candidates.curricula
    )
    assert set(first_trainings(halved)) == set(first_trainings(plan("table1", "table2")))
    spec = TABLES["table4"]
    assert halved.canonical(spec.rows[3].single) == FNAC.single
    whole = plan("table1", "table4", halved=False)
    assert whole.canonical(spec.rows[3].single).curricula[0].half
    assert len(first_trainings(whole)) > len(first_trainings(halved))


def test_scenes_that_are_not_there_are_not_asked_for() -> None:
    specs = (TABLES["twins"], TABLES["table1"])
    found = Plan.of(specs, CONFIG, lambda condition: condition.perturbation != "twins", False)
    conditions = {condition for wanted in found.needs.values() for condition, _ in wanted}
    assert conditions == {SINGLE}
    assert TWIN_SINGLE not in conditions


def test_units_that_are_only_looked_at_are_not_measured() -> None:
    found = Plan.of((), CONFIG, lambda condition: True, True, further=[ALIGNMENT.several])
    assert found.needs == {ALIGNMENT.several: ()}


def test_repeats_are_the_seeds() -> None:
    chosen = plan("table1").trainings(FNAC.single, (8,), (1e-3, 3e-3))[1]
    repeats = plan("table1").repeats(chosen)
    assert [one.seed for one in repeats] == [0, 1, 2]
    assert {replace(one, seed=0) for one in repeats} == {chosen}
    alone = Training(AUDIOCLIP.single.head)
    assert plan("table1").repeats(alone) == (alone,)


def record(single: float, several: float) -> TrainingRecord:
    return TrainingRecord(
        training={}, outcome="done", seconds=1, validation={"single": single, "several": several}
    )


FAILED = TrainingRecord(training={}, outcome="diverged", reason="it diverged.", seconds=1)


def test_validation_of_the_task_chooses() -> None:
    first, second, third = plan("table1").trainings(FNAC.single, (32, 8), (1e-3, 3e-3))[:3]
    found = [(first, record(50, 10)), (second, record(40, 30)), (third, record(50, 20))]
    assert choose(FNAC.single, found).chosen == first  # the first of equals
    assert choose(FNAC.several, found).chosen == second
    assert choose(FNAC.single, found).scores == ((first, 50), (second, 40), (third, 50))


def test_what_failed_is_not_chosen() -> None:
    first, second, third = plan("table1").trainings(FNAC.single, (32, 8), (1e-3, 3e-3))[:3]
    found = [(first, FAILED), (second, record(-3, 0)), (third, FAILED)]
    choice = choose(FNAC.single, found)
    assert choice.chosen == second
    assert choice.scores[0] == (first, None)
    assert choice.reason is None
    none = choose(FNAC.single, [(one, FAILED) for one in (first, second)])
    assert none.chosen is None
    assert none.reason == "it diverged."


@pytest.mark.parametrize("condition", [SINGLE, DUET, UNSEEN_SINGLE])
def test_every_kind_of_a_table_is_needed(condition: object) -> None:
    names = {SINGLE: "table1", DUET: "table2", UNSEEN_SINGLE: "table4"}
    found = plan(names[condition])  # type: ignore[index]
    assert any(condition == needed for wanted in found.needs.values() for needed, _ in wanted)
