"""A reproduction from the names of its tables to the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvsl import __version__
from tvsl.audioclip.weights import PUBLIC_FILES, find_public_file, model_folder, sha256_of
from tvsl.errors import UsageError, WeightsError
from tvsl.loading import check_classes
from tvsl.reproduce.experiment import (
    EncodeClips,
    EncodeScenes,
    Experiment,
    Job,
    SceneSet,
    Workers,
    open_workers,
)
from tvsl.reproduce.figures import SHEETS, Sheet, SheetSpec, sheet
from tvsl.reproduce.results import PAPER_SETS, Aggregator, Expectation, MeasuredTable, expectations
from tvsl.reproduce.specs import (
    AS_ALL,
    TEST_CONDITIONS,
    EvalTarget,
    ReproduceConfig,
    TableSpec,
    TestCondition,
    Training,
)
from tvsl.reproduce.tables import TABLES
from tvsl.reproduce.targets import (
    ALL,
    BARS,
    RECORD_FILE,
    TARGETS,
    check_folder,
    check_same,
    check_targets,
    read_record,
)
from tvsl.reproduce.train import Choice, Plan, RunRecord, Runs, TrainHead, choose
from tvsl.training.calibrate import located
from tvsl.utils.atomic import writable
from tvsl.utils.files import write_json
from tvsl.utils.progress import Progress


@dataclass(frozen=True)
class Provenance:
    """Data, models and recipe that the numbers depend on.

    Attributes:
        title: What the tables are measured on.
        real: Whether it is made of files.
        model: Name or path of the encoder.
        encoder: Its fingerprint.
        config: The recipe.
        clips: How many clips heads are trained on.
        classes: How many classes they have.
        scenes: How many test scenes there are, by the title of their condition.
        located: Whether it is known where the sources of validation scenes are.
        beside: The paper's benchmarks beside it.
        warnings: What keeps the numbers from meaning what they seem to mean.
    """

    title: str
    real: bool
    model: str
    encoder: str
    config: ReproduceConfig
    clips: int
    classes: int
    scenes: dict[str, int]
    located: bool
    beside: str
    warnings: tuple[str, ...]


def provenance_of(experiment: Experiment) -> Provenance:
    """Data, models and recipe that the numbers of a reproduction depend on."""
    benchmark = experiment.benchmark
    there = [
        condition
        for condition in TEST_CONDITIONS.values()
        if benchmark.lacks(condition, "test") is None
    ]
    return Provenance(
        benchmark.title,
        benchmark.real,
        experiment.settings.model,
        experiment.encoder.fingerprint,
        experiment.config,
        benchmark.clips.count,
        len(benchmark.clips.names),
        {condition.title: benchmark.count(condition, "test") for condition in there},
        _located(experiment),
        PAPER_SETS[benchmark.paper].title,
        tuple(_warnings(experiment)),
    )


def _warnings(experiment: Experiment) -> list[str]:
    found = list(experiment.benchmark.warnings())
    config = experiment.config
    if experiment.benchmark.real and not has_public_weights(experiment.settings.model):
        found.append(
            "By their checksum these weights are not the public AudioCLIP's. If nobody has trained "
            "them, no number on this page means anything."
        )
    if config.seeds < 3:
        found.append(f"Learned rows have {config.seeds} seed(s): spreads say little or nothing.")
    if not _located(experiment):
        found.append(
            "Nobody knows where the sources of the validation scenes are. Every method keeps its "
            "default readout, and what it is trained on and how fast is chosen by its loss on them."
        )
    return found


def _located(experiment: Experiment) -> bool:
    return all(located(scenes) for scenes in experiment.validation())


def has_public_weights(model: str) -> bool:
    """Tell whether a model is one of the public files, by its checksum.

    Args:
        model: Name or path of the model.
    """
    if model_folder(model) is not None:
        return False
    try:
        path = find_public_file(model)[1]
    except WeightsError:
        path = Path(model)
    known = {entry.sha256 for entry in PUBLIC_FILES.values() if entry.is_model}
    return sha256_of(path) in known


"""Files that a reproduction writes once all is measured."""


def describe(experiment: Experiment) -> dict[str, Any]:
    """Everything that decides the numbers."""
    encoder = experiment.encoder
    described = {
        "tvsl": __version__,
        **experiment.config.model_dump(mode="json"),
        **experiment.benchmark.record(),
        "encoder": encoder.fingerprint,
        "image_tokens": encoder.image_tokens,
        "precision": encoder.precision,
    }
    return dict(json.loads(json.dumps(described)))


def keep_record(experiment: Experiment) -> None:
    """Note what a reproduction is, or check that the one that is there is the same.

    Args:
        experiment: The reproduction.

    Raises:
        UsageError: The folder holds another one.
        OutputError: It holds something else, or cannot be written.
    """
    folder = experiment.settings.folder
    path, record = folder / RECORD_FILE, describe(experiment)
    if path.is_file():
        check_same(read_record(path), record, folder)
        return
    check_folder(folder)
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(record, path)


Stages = Callable[[str, str], AbstractContextManager[Progress]]
"""Opens the display of a piece of work by its title and by what is counted."""


@dataclass(frozen=True, eq=False)
class Reproduction:
    """Results of a reproduction.

    Attributes:
        provenance: Data, models and recipe that the numbers depend on.
        tables: The tables.
        sheets: The figures of pictures.
        bars: Whether the figure of bars is wanted.
        choices: What validation chose.
        expectations: What was expected of the world beforehand, and whether it came out.
    """

    provenance: Provenance
    tables: tuple[MeasuredTable, ...]
    sheets: tuple[Sheet, ...]
    bars: bool
    choices: tuple[Choice, ...]
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True)
class Wanted:
    """Tables and figures that the user asks for.

    Attributes:
        tables: Tables.
        sheets: Figures of pictures.
        bars: Whether the figure of bars, too.
    """

    tables: tuple[TableSpec, ...]
    sheets: tuple[SheetSpec, ...]
    bars: bool


def wanted(names: Sequence[str]) -> Wanted:
    """Tables and figures by their names.

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


def require_feasible(experiment: Experiment, asked: Wanted) -> None:
    """Look at data, files and classes before weights are fetched.

    Args:
        experiment: The reproduction.
        asked: What is wanted.

    Raises:
        MissingFileError: A file of a clip or of a scene is missing.
        UsageError: There is no such data set or option, tables cannot be measured on it, or
            nothing is left to decide on.
        DataError: A list of it cannot be used.
        VocabularyError: The model has no words for one of its classes.
    """
    if not experiment.validation_sets():
        raise UsageError(
            "Nothing is left to decide on but test items.",
            "Give more training clips, or keep some in a split 'validation'.",
        )
    experiment.benchmark.clips.require_files()
    check_classes(experiment.settings.model, experiment.benchmark.clips.names)
    missing = _missing_blocks(_plan(asked, experiment), asked, experiment)
    experiment.benchmark.require_files(
        (one.condition, one.split, one.half, block) for one, block in missing
    )


def _plan(asked: Wanted, experiment: Experiment) -> Plan:
    benchmark = experiment.benchmark

    def possible(condition: TestCondition) -> bool:
        return benchmark.lacks(condition, "test") is None

    return Plan.of(
        asked.tables,
        experiment.config,
        possible,
        benchmark.halved,
        (row.several for one in asked.sheets for row in one.rows),
    )


def reproduce(asked: Wanted, experiment: Experiment, workers: int, stages: Stages) -> Reproduction:
    """Train and measure whatever is not done yet, and put the tables together.

    Args:
        asked: What is wanted.
        experiment: The reproduction; its folder holds everything that is done.
        workers: How many processes work.
        stages: Shows progress.

    Returns:
        What came out.

    Raises:
        TvslError: Something cannot be read, trained or written; what was done before stays.
    """
    benchmark = experiment.benchmark
    check_folder(experiment.settings.folder)
    require_feasible(experiment, asked)
    keep_record(experiment)
    plan = _plan(asked, experiment)
    with open_workers(experiment, workers) as hands:
        _encode(plan, asked, experiment, hands, stages)
        choices = _heads(plan, experiment, hands, stages)
    by_candidates = {choice.candidates: choice for choice in choices}
    aggregator = Aggregator(Runs(experiment.settings.folder), plan, by_candidates, benchmark)
    tables = tuple(aggregator.table(table) for table in asked.tables)
    sheets = (sheet(one, experiment, plan, by_candidates) for one in asked.sheets)
    return Reproduction(
        provenance_of(experiment),
        tables,
        tuple(one for one in sheets if one is not None),
        asked.bars,
        tuple(choices),
        () if benchmark.real else tuple(expectations(tables)),
    )


def _encode(
    plan: Plan, asked: Wanted, experiment: Experiment, hands: Workers, stages: Stages
) -> None:
    if any(candidates.curricula for candidates in plan.needs):
        with stages("Encoding clips", "clips") as report:
            _encode_clips(experiment, hands, report)
    blocks = [EncodeScenes(*block) for block in _missing_blocks(plan, asked, experiment)]
    with stages("Encoding scenes", "blocks") as report:
        _count(blocks, hands, report, 0)


def _encode_clips(experiment: Experiment, hands: Workers, report: Progress) -> None:
    if hands.count == 1:
        experiment.make_store(report)
        return
    total, folder, size = (
        experiment.benchmark.clips.count,
        experiment.store_folder,
        experiment.key.shard_clips,
    )

    def told(_: int) -> None:
        files = len(list(folder.glob("shard-*.safetensors")))
        report(min(total, files * size), total)

    hands.do([EncodeClips(helper) for helper in range(hands.count)], told)


def _missing_blocks(
    plan: Plan, asked: Wanted, experiment: Experiment
) -> list[tuple[SceneSet, range]]:
    """The blocks of scenes that are still to be encoded."""
    return [
        (one, numbers)
        for one in _scene_sets(plan, asked, experiment)
        for numbers in experiment.parts(one)
        if not experiment.path(one, numbers).is_file()
    ]


def _scene_sets(plan: Plan, asked: Wanted, experiment: Experiment) -> list[SceneSet]:
    """All scenes that are needed, those of many sources first: they take longest."""
    found: dict[SceneSet, None] = {}
    for candidates, targets in plan.needs.items():
        found |= dict.fromkeys(experiment.validation_sets(candidates.mode, candidates.half))
        found |= {
            SceneSet(condition, "test", candidates.mode, candidates.half): None
            for condition, _ in targets
        }
    for one in asked.sheets:
        if experiment.benchmark.lacks(one.condition, "test") is None:
            found[SceneSet(one.condition, "test", AS_ALL)] = None
    return sorted(found, key=lambda one: -one.condition.sources)


def _heads(plan: Plan, experiment: Experiment, hands: Workers, stages: Stages) -> list[Choice]:
    """Train all candidates, choose, train the chosen with all seeds, and measure them."""
    runs = Runs(experiment.settings.folder)
    first = [TrainHead(training) for training in plan.all_trainings()]
    seeds = experiment.config.seeds
    later = sum(seeds if candidates.curricula else 1 for candidates in plan.needs)
    with stages("Heads", "heads") as report:
        _jobs(first, runs, hands, report, 0, later)
        choices = [
            choose(candidates, [(one, _known(runs, one)) for one in plan.trainings(candidates)])
            for candidates in plan.needs
        ]
        _jobs(_finals(plan, choices), runs, hands, report, len(first), 0)
    return choices


def _known(runs: Runs, training: Training) -> RunRecord:
    record = runs.record(training)
    assert record is not None
    return record


def _finals(plan: Plan, choices: Iterable[Choice]) -> list[TrainHead]:
    """The chosen heads with every seed, each once with all that it is measured on."""
    measured: dict[Training, dict[EvalTarget, None]] = {}
    for choice in choices:
        if choice.chosen is not None:
            for training in plan.repeats(choice.chosen):
                measured.setdefault(training, {}).update(
                    dict.fromkeys(plan.needs[choice.candidates])
                )
    return [TrainHead(training, tuple(wanted)) for training, wanted in measured.items()]


def _jobs(
    heads: Sequence[TrainHead],
    runs: Runs,
    hands: Workers,
    report: Progress,
    before: int,
    after: int,
) -> None:
    left = [head for head in heads if not head.done(runs)]
    # In an order without order the speed so far tells how long the rest will take.
    left.sort(key=lambda head: head.training.digest)
    _count(left, hands, report, before + len(heads) - len(left), after)


def _count(
    jobs: Sequence[Job], hands: Workers, report: Progress, done: int, after: int = 0
) -> None:
    """Do jobs, and tell how many are done, of these and of those before and after them."""
    total = done + len(jobs) + after
    report(done, total)

    def told(count: int) -> None:
        nonlocal done
        done += count
        if count:
            report(done, total)

    hands.do(jobs, told)
