"""A reproduction from the names of its tables to the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvsl import __version__
from tvsl.audioclip.weights import PUBLIC_FILES, find_entry, model_folder, sha256_of
from tvsl.errors import OutputError, UsageError, WeightsError
from tvsl.loading import check_classes
from tvsl.localization import write_json
from tvsl.reproduce.aggregate import Gatherer
from tvsl.reproduce.bench import Bench, SceneSet
from tvsl.reproduce.config import ReproduceConfig
from tvsl.reproduce.expectations import Claim, claims
from tvsl.reproduce.experiment import AS_ALL, KINDS, Kind, TableSpec, Training
from tvsl.reproduce.figures import BARS, SHEETS, Sheet, SheetSpec, sheet
from tvsl.reproduce.paper import PAPER_SETS
from tvsl.reproduce.plan import Choice, Measurement, Plan, choose
from tvsl.reproduce.results import Table
from tvsl.reproduce.runs import RunRecord, Runs
from tvsl.reproduce.tables import TABLES
from tvsl.reproduce.workers import EncodeClips, EncodeScenes, Head, Job, Workers, open_workers
from tvsl.training.calibrate import located
from tvsl.utils.atomic import writable
from tvsl.utils.files import LARGEST_CONFIG, read_small_json


@dataclass(frozen=True)
class Conditions:
    """What numbers depend on.

    Attributes:
        title: What the tables are measured on.
        real: Whether it is made of files.
        model: Name or path of the encoder.
        encoder: Its fingerprint.
        config: The recipe.
        clips: How many clips heads are trained on.
        classes: How many classes they have.
        scenes: How many test scenes there are, by the title of their kind.
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


def conditions_of(bench: Bench) -> Conditions:
    """The conditions of a reproduction."""
    testbed = bench.testbed
    there = [kind for kind in KINDS.values() if testbed.lacks(kind, "test") is None]
    return Conditions(
        testbed.title,
        testbed.real,
        bench.setup.model,
        bench.encoder.fingerprint,
        bench.config,
        testbed.clips.count,
        len(testbed.clips.names),
        {kind.title: testbed.count(kind, "test") for kind in there},
        _located(bench),
        PAPER_SETS[testbed.paper].title,
        tuple(_warnings(bench)),
    )


def _warnings(bench: Bench) -> list[str]:
    found = list(bench.testbed.warnings())
    config = bench.config
    if bench.testbed.real and not has_public_weights(bench.setup.model):
        found.append(
            "By their checksum these weights are not the public AudioCLIP's. If nobody has trained "
            "them, no number on this page means anything."
        )
    if config.seeds < 3:
        found.append(f"Learned rows have {config.seeds} seed(s): spreads say little or nothing.")
    if not _located(bench):
        found.append(
            "Nobody knows where the sources of the validation scenes are. Every method keeps its "
            "default readout, and what it is trained on and how fast is chosen by its loss on them."
        )
    return found


def _located(bench: Bench) -> bool:
    return all(located(scenes) for scenes in bench.validation())


def has_public_weights(model: str) -> bool:
    """Whether a model is one of the public files, by its checksum.

    Args:
        model: Name or path of the model.
    """
    if model_folder(model) is not None:
        return False
    try:
        path = find_entry(model)[1]
    except WeightsError:
        path = Path(model)
    known = {entry.sha256 for entry in PUBLIC_FILES.values() if entry.is_model}
    return sha256_of(path) in known


RECORD_FILE = "reproduction.json"


def describe(bench: Bench) -> dict[str, Any]:
    """Everything that decides the numbers."""
    encoder = bench.encoder
    described = {
        "tvsl": __version__,
        **bench.config.model_dump(mode="json"),
        **bench.testbed.record(),
        "encoder": encoder.fingerprint,
        "image_tokens": encoder.image_tokens,
        "precision": encoder.precision,
    }
    return dict(json.loads(json.dumps(described)))


def keep_record(bench: Bench) -> None:
    """Note what a reproduction is, or check that the one that is there is the same.

    Args:
        bench: The reproduction.

    Raises:
        UsageError: The folder holds another one.
        OutputError: It holds something else, or cannot be written.
    """
    folder = bench.setup.folder
    path, record = folder / RECORD_FILE, describe(bench)
    if path.is_file():
        _check_same(_read(path), record, folder)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(
            "The folder is not empty, and holds no reproduction.", "Choose another one.", folder
        )
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(record, path)


def _read(path: Path) -> dict[str, Any]:
    remedy = "Start anew in another folder."
    record = read_small_json(path, LARGEST_CONFIG, OutputError, remedy)
    if not isinstance(record, dict):
        raise OutputError("The record of the reproduction is damaged.", remedy, path)
    return record


def _check_same(kept: dict[str, Any], record: dict[str, Any], folder: Path) -> None:
    others = sorted(
        name for name in kept.keys() | record.keys() if kept.get(name) != record.get(name)
    )
    if others:
        told = ", ".join(f"{name} was {_short(kept.get(name))}" for name in others)
        raise UsageError(
            f"{folder} holds another reproduction: {told}.",
            "Go on with it as it was started, or choose another folder.",
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


Report = Callable[[int, "int | None"], None]
Stages = Callable[[str, str], AbstractContextManager[Report]]
"""Opens the display of a piece of work by its title and by what is counted."""

ALL = "all"
TARGETS = (*TABLES, BARS, *SHEETS)
"""Names of all tables and figures."""


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
    unknown = [name for name in names if name not in (*TARGETS, ALL)]
    if unknown or not names:
        raise UsageError(
            f"There is no table or figure '{', '.join(unknown)}'.",
            f"Choose from {ALL}, {', '.join(TARGETS)}.",
        )
    chosen = set(TARGETS if ALL in names else names)
    if BARS in chosen:
        chosen |= {"table1", "table2"}
    return Wanted(
        tuple(table for name, table in TABLES.items() if name in chosen),
        tuple(one for name, one in SHEETS.items() if name in chosen),
        BARS in chosen,
    )


def require_feasible(bench: Bench) -> None:
    """Look at data and classes before weights are fetched.

    Args:
        bench: The reproduction.

    Raises:
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
    check_classes(bench.setup.model, bench.testbed.clips.names)


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
    require_feasible(bench)
    keep_record(bench)

    def possible(kind: Kind) -> bool:
        return testbed.lacks(kind, "test") is None

    plan = Plan.of(
        asked.tables,
        bench.config,
        possible,
        testbed.halved,
        (row.several for one in asked.sheets for row in one.rows),
    )
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
    blocks = [
        EncodeScenes(one, numbers)
        for one in _scene_sets(plan, asked, bench)
        for numbers in bench.parts(one)
        if not bench.path(one, numbers).is_file()
    ]
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
