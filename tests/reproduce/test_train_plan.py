from __future__ import annotations

from dataclasses import replace

import pytest

from tvsl.reproduce.specs import (
    DUET,
    DUETS,
    SINGLE,
    SINGLES,
    TWIN_SINGLE,
    UNSEEN_SINGLE,
    TableSpec,
    Training,
    reproduce_config,
)
from tvsl.reproduce.tables import ALIGNMENT, AUDIOCLIP, FNAC, TABLES
from tvsl.reproduce.train import Plan, RunRecord, choose

CONFIG = reproduce_config("synthetic", "full")


def plan(*names: str, halved: bool = True) -> Plan:
    specs = (TABLES[name] for name in names)
    return Plan.of(specs, CONFIG, lambda condition: True, halved)


def small(*rows: object) -> TableSpec:
    return replace(TABLES["table1"], rows=rows)  # type: ignore[arg-type]


def test_tables_share_their_heads() -> None:
    both = plan("table1", "table5", "twins")
    one = plan("table1")
    assert set(one.all_trainings()) < set(both.all_trainings())
    single = FNAC.single
    assert {condition.name for condition, _ in one.needs[single]} == {"single"}
    conditions = {condition.name for condition, _ in both.needs[single]}
    assert conditions == {"single", "duet", "trio", "quartet", "twin-single"}
    every = both.all_trainings()
    assert len(every) == len(set(every)) == len({training.digest for training in every})


def test_candidates_are_all_rates_on_all_mixtures() -> None:
    found = plan("table2").trainings(FNAC.several)
    assert [(one.curriculum, one.learning_rate) for one in found] == [
        (curriculum, rate) for curriculum in (SINGLES, DUETS) for rate in CONFIG.learning_rates
    ]
    assert {one.seed for one in found} == {0}
    assert plan("table2").trainings(AUDIOCLIP.several) == (Training(AUDIOCLIP.single.head),)


def test_where_half_of_the_classes_is_known_anyway_table_4_needs_no_heads_of_its_own() -> None:
    halved = plan("table1", "table2", "table4")
    assert not any(
        curriculum.half for candidates in halved.needs for curriculum in candidates.curricula
    )
    assert set(halved.all_trainings()) == set(plan("table1", "table2").all_trainings())
    spec = TABLES["table4"]
    assert halved.known(spec.rows[3].single) == FNAC.single
    whole = plan("table1", "table4", halved=False)
    assert whole.known(spec.rows[3].single).curricula[0].half
    assert len(whole.all_trainings()) > len(halved.all_trainings())


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
    chosen = plan("table1").trainings(FNAC.single)[1]
    repeats = plan("table1").repeats(chosen)
    assert [one.seed for one in repeats] == [0, 1, 2]
    assert {replace(one, seed=0) for one in repeats} == {chosen}
    alone = Training(AUDIOCLIP.single.head)
    assert plan("table1").repeats(alone) == (alone,)


def record(single: float, several: float) -> RunRecord:
    return RunRecord(
        training={}, outcome="done", seconds=1, validation={"single": single, "several": several}
    )


FAILED = RunRecord(training={}, outcome="diverged", reason="it diverged.", seconds=1)


def test_validation_of_the_task_chooses() -> None:
    first, second, third = plan("table1").trainings(FNAC.single)
    found = [(first, record(50, 10)), (second, record(40, 30)), (third, record(50, 20))]
    assert choose(FNAC.single, found).chosen == first  # the first of equals
    assert choose(FNAC.several, found).chosen == second
    assert choose(FNAC.single, found).scores == ((first, 50), (second, 40), (third, 50))


def test_what_failed_is_not_chosen() -> None:
    first, second, third = plan("table1").trainings(FNAC.single)
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
