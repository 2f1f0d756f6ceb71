"""From the names of tables to what came out: everything is done that is not done yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tvsl.errors import UsageError
from tvsl.evaluation.reproduction.bench import Bench, SceneSet
from tvsl.evaluation.reproduction.claims import Claim, claims
from tvsl.evaluation.reproduction.conditions import Conditions, conditions_of
from tvsl.evaluation.reproduction.figures import SHEETS, Sheet, SheetSpec, sheet
from tvsl.evaluation.reproduction.gather import Gatherer
from tvsl.evaluation.reproduction.jobs import EncodeClips, EncodeScenes, Head
from tvsl.evaluation.reproduction.kinds import Kind
from tvsl.evaluation.reproduction.plan import Choice, Measurement, Plan, choose
from tvsl.evaluation.reproduction.record import check_folder, keep_record
from tvsl.evaluation.reproduction.results import Table
from tvsl.evaluation.reproduction.runs import RunRecord, Runs
from tvsl.evaluation.reproduction.specs import TableSpec
from tvsl.evaluation.reproduction.tables import TABLES
from tvsl.evaluation.reproduction.targets import ALL, BARS, TARGETS, check_targets
from tvsl.evaluation.reproduction.trainings import AS_ALL, Training
from tvsl.evaluation.reproduction.workers import Job, Workers, open_workers
from tvsl.loading import check_classes

Report = Callable[[int, "int | None"], None]
Stages = Callable[[str, str], AbstractContextManager[Report]]
"""Opens the display of a piece of work by its title and by what is counted."""


@dataclass(frozen=True, eq=False)
class Reproduction:
    """What came out.

    Attributes:
        conditions: What it was measured on, and how.
        tables: The tables.
        sheets: The figures of pictures.
        bars: Whether the figure of bars is wanted.
        choices: What validation chose.
        claims: What was expected of the world beforehand, and whether it came out.
    """

    conditions: Conditions
    tables: tuple[Table, ...]
    sheets: tuple[Sheet, ...]
    bars: bool
    choices: tuple[Choice, ...]
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Wanted:
    """What was asked for.

    Attributes:
        tables: Tables.
        sheets: Figures of pictures.
        bars: Whether the figure of bars, too.
    """

    tables: tuple[TableSpec, ...]
    sheets: tuple[SheetSpec, ...]
    bars: bool


def wanted(names: Sequence[str]) -> Wanted:
    """What names stand for.

    Args:
        names: Of ``TARGETS``, or ``all``.

    Returns:
        Tables and figures in their order; bars come with their tables.

    Raises:
        UsageError: There is no such table or figure, or no name at all.
    """
    check_targets(names)
    chosen = set(TARGETS if ALL in names else names)
    if BARS in chosen:
        chosen |= {"table1", "table2"}
    return Wanted(
        tuple(table for name, table in TABLES.items() if name in chosen),
        tuple(one for name, one in SHEETS.items() if name in chosen),
        BARS in chosen,
    )


def require_feasible(bench: Bench, asked: Wanted) -> None:
    """Look at data, files and classes before weights are fetched.

    Args:
        bench: The reproduction.
        asked: What is wanted.

    Raises:
        MissingFileError: A file of a clip or of a scene is missing.
        UsageError: There is no such data set or option, tables cannot be measured on it, or
            nothing is left to decide on.
        DataError: A list of it cannot be used.
        VocabularyError: The model has no words for one of its classes.
    """
    if not bench.validation_sets():
        raise UsageError(
            "Nothing is left to decide on but test items.",
            "Give more training clips, or keep some in a split 'validation'.",
        )
    bench.testbed.clips.require_files()
    check_classes(bench.setup.model, bench.testbed.clips.names)
    missing = _missing_blocks(_plan(asked, bench), asked, bench)
    bench.testbed.require_files((one.kind, one.split, one.half, block) for one, block in missing)


def _plan(asked: Wanted, bench: Bench) -> Plan:
    testbed = bench.testbed

    def possible(kind: Kind) -> bool:
        return testbed.lacks(kind, "test") is None

    return Plan.of(
        asked.tables,
        bench.config,
        possible,
        testbed.halved,
        (row.several for one in asked.sheets for row in one.rows),
    )


def reproduce(asked: Wanted, bench: Bench, workers: int, stages: Stages) -> Reproduction:
    """Train and measure whatever is not done yet, and put the tables together.

    Args:
        asked: What is wanted.
        bench: The reproduction; its folder holds everything that is done.
        workers: How many processes work.
        stages: Shows progress.

    Returns:
        What came out.

    Raises:
        TvslError: Something cannot be read, trained or written; what was done before stays.
    """
    testbed = bench.testbed
    check_folder(bench.setup.folder)
    require_feasible(bench, asked)
    keep_record(bench)
    plan = _plan(asked, bench)
    with open_workers(bench, workers) as hands:
        _encode(plan, asked, bench, hands, stages)
        choices = _heads(plan, bench, hands, stages)
    by_unit = {choice.unit: choice for choice in choices}
    gatherer = Gatherer(Runs(bench.setup.folder), plan, by_unit, testbed)
    tables = tuple(gatherer.table(table) for table in asked.tables)
    sheets = (sheet(one, bench, plan, by_unit) for one in asked.sheets)
    return Reproduction(
        conditions_of(bench),
        tables,
        tuple(one for one in sheets if one is not None),
        asked.bars,
        tuple(choices),
        () if testbed.real else tuple(claims(tables)),
    )


def _encode(plan: Plan, asked: Wanted, bench: Bench, hands: Workers, stages: Stages) -> None:
    if any(unit.regimes for unit in plan.needs):
        with stages("Encoding clips", "clips") as report:
            _encode_clips(bench, hands, report)
    blocks = [EncodeScenes(*block) for block in _missing_blocks(plan, asked, bench)]
    with stages("Encoding scenes", "blocks") as report:
        _count(blocks, hands, report, 0)


def _encode_clips(bench: Bench, hands: Workers, report: Report) -> None:
    if hands.count == 1:
        bench.make_store(report)
        return
    total, folder, size = bench.testbed.clips.count, bench.store_folder, bench.key.shard_clips

    def told(_: int) -> None:
        files = len(list(folder.glob("shard-*.safetensors")))
        report(min(total, files * size), total)

    hands.do([EncodeClips(helper) for helper in range(hands.count)], told)


def _missing_blocks(plan: Plan, asked: Wanted, bench: Bench) -> list[tuple[SceneSet, range]]:
    """The blocks of scenes that are still to be encoded."""
    return [
        (one, numbers)
        for one in _scene_sets(plan, asked, bench)
        for numbers in bench.parts(one)
        if not bench.path(one, numbers).is_file()
    ]


def _scene_sets(plan: Plan, asked: Wanted, bench: Bench) -> list[SceneSet]:
    """All scenes that are needed, those of many sources first: they take longest."""
    found: dict[SceneSet, None] = {}
    for unit, measurements in plan.needs.items():
        found |= dict.fromkeys(bench.validation_sets(unit.mode, unit.half))
        found |= {SceneSet(kind, "test", unit.mode, unit.half): None for kind, _ in measurements}
    for one in asked.sheets:
        if bench.testbed.lacks(one.kind, "test") is None:
            found[SceneSet(one.kind, "test", AS_ALL)] = None
    return sorted(found, key=lambda one: -one.kind.sources)


def _heads(plan: Plan, bench: Bench, hands: Workers, stages: Stages) -> list[Choice]:
    """Train all candidates, choose, train the chosen with all seeds, and measure them."""
    runs = Runs(bench.setup.folder)
    first = [Head(training) for training in plan.all_candidates()]
    seeds = bench.config.seeds
    later = sum(seeds if unit.regimes else 1 for unit in plan.needs)
    with stages("Heads", "heads") as report:
        _jobs(first, runs, hands, report, 0, later)
        choices = [
            choose(unit, [(one, _known(runs, one)) for one in plan.candidates(unit)])
            for unit in plan.needs
        ]
        _jobs(_finals(plan, choices), runs, hands, report, len(first), 0)
    return choices


def _known(runs: Runs, training: Training) -> RunRecord:
    record = runs.record(training)
    assert record is not None
    return record


def _finals(plan: Plan, choices: Iterable[Choice]) -> list[Head]:
    """The chosen heads with every seed, each once with all that it is measured on."""
    measured: dict[Training, dict[Measurement, None]] = {}
    for choice in choices:
        if choice.chosen is not None:
            for training in plan.repeats(choice.chosen):
                measured.setdefault(training, {}).update(dict.fromkeys(plan.needs[choice.unit]))
    return [Head(training, tuple(wanted)) for training, wanted in measured.items()]


def _jobs(
    heads: Sequence[Head],
    runs: Runs,
    hands: Workers,
    report: Report,
    before: int,
    after: int,
) -> None:
    left = [head for head in heads if not head.done(runs)]
    # In an order without order the speed so far tells how long the rest will take.
    left.sort(key=lambda head: head.training.digest)
    _count(left, hands, report, before + len(heads) - len(left), after)


def _count(jobs: Sequence[Job], hands: Workers, report: Report, done: int, after: int = 0) -> None:
    """Do jobs, and tell how many are done, of these and of those before and after them."""
    total = done + len(jobs) + after
    report(done, total)

    def told(count: int) -> None:
        nonlocal done
        done += count
        if count:
            report(done, total)

    hands.do(jobs, told)
