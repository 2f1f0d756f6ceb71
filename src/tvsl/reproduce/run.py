"""A reproduction, from the names of its tables to the results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tvsl import __version__
from tvsl.errors import UsageError, WeightsError
from tvsl.loading import check_classes
from tvsl.models import EMBEDDED, PUBLIC_FILES, find_public_file, model_folder, sha256_of
from tvsl.reproduce.claims import Claim, judge_claims
from tvsl.reproduce.expectations import judge
from tvsl.reproduce.experiment import EncodeScenes, Experiment, Leader, WorkItem, leading
from tvsl.reproduce.figures import SHEETS, Sheet, SheetSpec, sheet
from tvsl.reproduce.judging import JudgedExpectations
from tvsl.reproduce.plan import Choice, Plan
from tvsl.reproduce.results import PAPER_SETS, Aggregator, MeasuredTable
from tvsl.reproduce.specs import (
    TEST_CONDITIONS,
    EvalTarget,
    ReproduceConfig,
    SceneSet,
    TableSpec,
    Training,
)
from tvsl.reproduce.tables import TABLES
from tvsl.reproduce.targets import (
    ALL,
    BARS,
    RECORD_FILE,
    RECORD_KEYS,
    TARGETS,
    check_folder,
    check_targets,
)
from tvsl.reproduce.train import HeadStore, TrainHead, TrainingRecord
from tvsl.training.calibrate import located
from tvsl.utils.atomic import writable
from tvsl.utils.files import write_json
from tvsl.utils.processes import ALONE, Processes, Progress, Stages
from tvsl.utils.run_folder import describe_changes, read_record


@dataclass(frozen=True)
class Provenance:
    """Data, models and recipe that the numbers depend on.

    Attributes:
        title: Title of the data set.
        real: Whether it is made of files.
        model: Name or path of the encoder.
        encoder: Its fingerprint.
        config: The recipe.
        clips: Number of training clips.
        classes: Number of their classes.
        scenes: Number of test scenes by the title of their condition.
        located: Whether it is known where the sources of validation scenes are.
        beside: The paper's benchmarks beside it.
        warnings: Reasons why the numbers mean less than they seem to.
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
    sets = (SceneSet(condition, "test") for condition in TEST_CONDITIONS.values())
    scenes = {one.condition.title: benchmark.count(one) for one in sets if not benchmark.lacks(one)}
    return Provenance(
        benchmark.title,
        benchmark.real,
        experiment.settings.model,
        experiment.whole_encoder.fingerprint,
        experiment.config,
        benchmark.clips.count,
        len(benchmark.clips.names),
        scenes,
        _located(experiment),
        PAPER_SETS[benchmark.paper].title,
        tuple(_warnings(experiment)),
    )


def _warnings(experiment: Experiment) -> list[str]:
    found = list(experiment.benchmark.warnings())
    config = experiment.config
    if experiment.benchmark.real and not has_known_weights(experiment.settings.model):
        found.append(
            "By their checksum these weights are not the public AudioCLIP's, and they do not come "
            "with tvsl. If nobody has trained them, no number on this page means anything."
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


def has_known_weights(model: str) -> bool:
    """Tell whether a model comes with the package or, by its checksum, is a public file."""
    if model in EMBEDDED:
        return True
    if model_folder(model) is not None:
        return False
    try:
        path = find_public_file(model)[1]
    except WeightsError:
        path = Path(model)
    known = {entry.sha256 for entry in PUBLIC_FILES.values() if entry.is_model}
    return sha256_of(path) in known


def describe(experiment: Experiment) -> dict[str, Any]:
    """Record of everything that decides the numbers, as JSON gives it back."""
    encoder = experiment.whole_encoder
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

    Raises:
        UsageError: The folder holds another one.
        OutputError: It holds something else, or cannot be written.
    """
    folder = experiment.settings.folder
    path, record = folder / RECORD_FILE, describe(experiment)
    earlier = read_record(path, RECORD_KEYS)
    if earlier is None:
        check_folder(folder)
        with writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_json(record, path)
    elif changes := describe_changes(earlier, record, _short):
        raise UsageError(
            f"{folder} holds another reproduction: {changes}.",
            "Go on with it as it was started, or choose another folder.",
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


@dataclass(frozen=True, eq=False)
class Reproduction:
    """Results of a reproduction.

    Attributes:
        provenance: Data, models and recipe that the numbers depend on.
        tables: The tables.
        sheets: The figures of pictures.
        bars: Whether the figure of bars is among them.
        choices: Choices of validation.
        claims: The paper's claims, and what the tables say of them.
        expectations: Expectations of the benchmark, and whether they came out.
    """

    provenance: Provenance
    tables: tuple[MeasuredTable, ...]
    sheets: tuple[Sheet, ...]
    bars: bool
    choices: tuple[Choice, ...]
    claims: tuple[Claim, ...]
    expectations: JudgedExpectations


@dataclass(frozen=True)
class Selection:
    """The tables and figures of a reproduction.

    Attributes:
        tables: Tables.
        sheets: Figures of pictures.
        bars: Whether the figure of bars is among them.
        everything: Whether they are all there are, and not named one by one.
    """

    tables: tuple[TableSpec, ...]
    sheets: tuple[SheetSpec, ...]
    bars: bool
    everything: bool = False


def select(names: Sequence[str]) -> Selection:
    """Select tables and figures by their names.

    Returns:
        Tables and figures in their order; bars come with their tables.

    Raises:
        UsageError: There is no such table or figure, or no name at all.
    """
    check_targets(names)
    chosen = set(TARGETS if ALL in names else names)
    if BARS in chosen:
        chosen |= {"table1", "table2"}
    return Selection(
        tuple(table for name, table in TABLES.items() if name in chosen),
        tuple(one for name, one in SHEETS.items() if name in chosen),
        BARS in chosen,
        ALL in names,
    )


def leave_out(selection: Selection, experiment: Experiment) -> tuple[Selection, tuple[str, ...]]:
    """Leave out the tables for which the encoder lacks something: kinds of tokens, a text encoder.

    Args:
        selection: Tables and figures.
        experiment: The reproduction, whose encoder is loaded.

    Returns:
        What is left, and a remark on each table that is not.

    Raises:
        UsageError: Such a table was asked for by its name.
    """
    kept, remarks = [], []
    for table in selection.tables:
        try:
            for candidates in {candidates for candidates, _, _ in table.needs()}:
                experiment.require(candidates)
        except UsageError as error:
            if not selection.everything:
                raise
            remarks.append(f"The table '{table.name}' is left out. {error.problem}")
        else:
            kept.append(table)
    return replace(selection, tables=tuple(kept)), tuple(remarks)


def require_feasible(experiment: Experiment, selection: Selection) -> None:
    """Look at data, files and classes before weights are fetched.

    Args:
        experiment: The reproduction.
        selection: Tables and figures.

    Raises:
        MissingFileError: A file of a clip or of a scene is missing.
        UsageError: There is no such data set or option, tables cannot be measured on it, or
            nothing is left to decide on.
        DataError: A list of it cannot be used.
        VocabularyError: The model has no words for one of its classes.
    """
    if not experiment.validation_sets():
        raise UsageError(
            "No clip is left for validation.",
            "Give more training clips, or keep some in a split 'validation'.",
        )
    experiment.benchmark.clips.require_files()
    check_classes(experiment.settings.model, experiment.benchmark.clips.names)
    plan = _plan(selection, experiment)
    _require_scenes(selection, experiment)
    experiment.benchmark.require_files(_missing_blocks(plan, selection, experiment))


def _require_scenes(selection: Selection, experiment: Experiment) -> None:
    """Let through only what has at least one kind of test scenes."""
    conditions = [condition for table in selection.tables for _, condition, _ in table.needs()]
    conditions += [sheet.condition for sheet in selection.sheets]
    wanted = dict.fromkeys(SceneSet(condition, "test") for condition in conditions)
    reasons = dict.fromkeys(experiment.benchmark.lacks(one) for one in wanted)
    if None not in reasons:
        raise UsageError(
            f"Nothing of this can be measured on {experiment.benchmark.title}: "
            f"{'; '.join(filter(None, reasons))}.",
            "Choose other tables, or add what is missing.",
        )


def _plan(selection: Selection, experiment: Experiment) -> Plan:
    benchmark = experiment.benchmark
    return Plan.of(
        selection.tables,
        experiment.config,
        lambda condition: benchmark.lacks(SceneSet(condition, "test")) is None,
        benchmark.halved,
        (row.several for one in selection.sheets for row in one.rows),
    )


def reproduce(
    selection: Selection, experiment: Experiment, stages: Stages, team: Processes = ALONE
) -> Reproduction:
    """Train and measure whatever is not done yet, and put the tables together.

    The first process of a group does this; the others ``help_with_work``.

    Args:
        selection: Tables and figures.
        experiment: The reproduction; its folder holds everything that is done.
        stages: Shows progress.
        team: The processes that share the work.

    Raises:
        TvslError: Something cannot be read, trained or written; what was done before stays.
    """
    benchmark = experiment.benchmark
    check_folder(experiment.settings.folder)
    require_feasible(experiment, selection)
    selection, remarks = leave_out(selection, experiment)
    keep_record(experiment)
    experiment.make_directions()
    plan = _plan(selection, experiment)
    with leading(experiment, team) as leader:
        if any(candidates.curricula for candidates in plan.needs):
            with stages("Encoding clips", counted="clips") as report:
                leader.make_store(report)
        blocks = [EncodeScenes(*block) for block in _missing_blocks(plan, selection, experiment)]
        with stages("Encoding scenes", counted="blocks") as report:
            _do_counted(blocks, leader, report)
        choices = _heads(plan, experiment, leader, stages)
    by_candidates = {choice.candidates: choice for choice in choices}
    aggregator = Aggregator(HeadStore(experiment.settings.folder), plan, by_candidates, benchmark)
    tables = tuple(aggregator.table(table) for table in selection.tables)
    sheets = (sheet(one, experiment, plan, by_candidates) for one in selection.sheets)
    provenance = provenance_of(experiment)
    return Reproduction(
        replace(provenance, warnings=(*provenance.warnings, *remarks)),
        tables,
        tuple(one for one in sheets if one is not None),
        selection.bars,
        tuple(choices),
        tuple(judge_claims(tables)),
        judge(benchmark.expectations, tables),
    )


def _missing_blocks(
    plan: Plan, selection: Selection, experiment: Experiment
) -> list[tuple[SceneSet, range]]:
    """The blocks of scenes that are still to be encoded."""
    return [
        (one, numbers)
        for one in _scene_sets(plan, selection, experiment)
        for numbers in experiment.blocks(one)
        if not experiment.path(one, numbers).is_file()
    ]


def _scene_sets(plan: Plan, selection: Selection, experiment: Experiment) -> list[SceneSet]:
    """All scenes that are needed, those of many sources first: they take longest."""
    found: dict[SceneSet, None] = {}
    for candidates, targets in plan.needs.items():
        found |= dict.fromkeys(experiment.validation_sets(candidates.mode, candidates.half))
        found |= {
            SceneSet(condition, "test", candidates.mode, candidates.half): None
            for condition, _ in targets
        }
    sheets = (SceneSet(one.condition, "test") for one in selection.sheets)
    found |= {one: None for one in sheets if experiment.benchmark.lacks(one) is None}
    return sorted(found, key=lambda one: -one.condition.sources)


def _heads(plan: Plan, experiment: Experiment, leader: Leader, stages: Stages) -> list[Choice]:
    """Search for the best training of each row, repeat it with all seeds, and measure it."""
    heads = HeadStore(experiment.settings.folder)
    seeds = experiment.config.seeds
    later = sum(seeds if candidates.curricula else 1 for candidates in plan.needs)
    done, records = 0, dict[Training, TrainingRecord]()

    def record(training: Training) -> TrainingRecord | None:
        if training not in records and (read := heads.record(training)) is not None:
            records[training] = read
        return records.get(training)

    with stages("Heads", counted="heads") as report:
        while True:
            found = [plan.search(candidates, record) for candidates in plan.needs]
            left = dict.fromkeys(
                one for each in found if not isinstance(each, Choice) for one in each
            )
            if not left:
                break
            _train([TrainHead(one) for one in left], heads, leader, report, done, later)
            done += len(left)
        choices = [one for one in found if isinstance(one, Choice)]
        _train(_finals(plan, choices), heads, leader, report, done, 0)
    return [
        choice
        if choice.chosen is None
        else replace(choice, decided=tuple(map(heads.decided, plan.repeats(choice.chosen))))
        for choice in choices
    ]


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


def _train(
    work: Sequence[TrainHead],
    heads: HeadStore,
    leader: Leader,
    report: Progress,
    before: int,
    after: int,
) -> None:
    left = [item for item in work if not item.done(heads)]
    # In an order without order the speed so far tells how long the rest will take.
    left.sort(key=lambda item: item.training.digest)
    _do_counted(left, leader, report, before + len(work) - len(left), after)


def _do_counted(
    work: Sequence[WorkItem], leader: Leader, report: Progress, done: int = 0, after: int = 0
) -> None:
    """Do work, and report how many items are done, of these and of those before and after."""
    total = done + len(work) + after
    report(done, total)

    def add(count: int) -> None:
        nonlocal done
        done += count
        if count:
            report(done, total)

    leader.do(work, add)
