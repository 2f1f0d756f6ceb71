"""The functions of ``import tvsl``; the commands of the same names are a thin layer over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tvsl.data import DATA_SETS, make_data
from tvsl.errors import UsageError, shown
from tvsl.methods import METHODS
from tvsl.registry import Registry
from tvsl.utils.lazy import optional
from tvsl.utils.processes import Stages, no_stages

if TYPE_CHECKING:
    import pandas

    from tvsl.data import DataSet
    from tvsl.encoder import Encoder, FlipAverage
    from tvsl.evaluation.foreign_maps import MapLabels
    from tvsl.evaluation.predict import Counting, LabelChoice
    from tvsl.evaluation.results import Evaluation
    from tvsl.localizer import Localizer
    from tvsl.methods import Method
    from tvsl.metrics import Scores
    from tvsl.utils.devices import PrecisionChoice

# What a function needs is imported in it: `list_methods` shall not wait for the trainer.

T = TypeVar("T")


def list_methods() -> list[str]:
    """Names of the methods: those of tvsl, registered ones, and those of installed packages."""
    return list(METHODS)


def list_datasets() -> list[str]:
    """Names of the data sets: those of tvsl, registered ones, and those of installed packages."""
    return list(DATA_SETS)


def list_models() -> list[str]:
    """Names of the encoders: those of tvsl, registered ones, and those of installed packages."""
    from tvsl.loading import ENCODERS

    return list(ENCODERS)


def register(thing: T, name: str | None = None) -> T:
    """Add a method, a data set, a protocol or an encoder, for as long as this process runs.

    Args:
        thing: A subclass of ``Method`` or of ``DataSet``, a ``Protocol``, or a class or function
            that makes an encoder of its ``EncoderOptions``.
        name: Its name; that of its attribute ``name``, or of the class or function, when None.

    Returns:
        The same, so that it serves as a decorator of a class.

    Raises:
        UsageError: It is none of these, or the name means another one already.
    """
    from tvsl.loading import ENCODERS
    from tvsl.metrics import PROTOCOLS

    registries: tuple[Registry[Any], ...] = (METHODS, DATA_SETS, PROTOCOLS, ENCODERS)
    for registry in registries:
        if registry.accepts(thing):
            return cast("T", registry.register(thing, name))
    raise UsageError(
        f"{shown(thing)} cannot be registered.",
        "Give a method, a data set, a protocol, or what makes an encoder.",
    )


@dataclass(frozen=True, eq=False)
class Results:
    """Results of an evaluation.

    Attributes:
        evaluation: All of it, down to every pair of a picture and a source.
    """

    evaluation: Evaluation

    @property
    def table(self) -> str:
        """A table for each protocol in Markdown, in percent, as the command prints them."""
        from tvsl.evaluation.results import markdown_table, result_tables

        return "\n".join(
            f"{table.title}, percent\n\n{markdown_table(table.headers, table.rows)}\n"
            for table in result_tables(self.evaluation)
        )

    def __str__(self) -> str:
        return self.table

    def to_dict(self) -> dict[str, Any]:
        """All but the single pairs, ready for JSON: the content of ``results.json``."""
        return self.evaluation.to_dict()

    def to_pandas(self) -> pandas.DataFrame:
        """The figures as a data frame: a row for each protocol, method and source of labels.

        Returns:
            Columns ``protocol``, ``method``, ``labels``, ``items``, and for each figure its value
            in [0, 1] and the ends of its 95 % interval, such as ``AP``, ``AP low``, ``AP high``;
            not a number where a protocol does not have it.

        Raises:
            UsageError: pandas is not installed.
        """
        library = optional("pandas", "pandas")
        frame: pandas.DataFrame = library.DataFrame(
            [
                {
                    "protocol": row.scores.protocol,
                    "method": row.name,
                    "labels": row.scores.label_source,
                    "items": row.scores.found,
                    **_with_ends(row.scores),
                }
                for row in self.evaluation.rows
            ]
        )
        return frame


def _with_ends(scores: Scores) -> dict[str, float]:
    """Figures with the ends of their intervals."""
    found: dict[str, float] = {}
    for name, value in scores.values.items():
        interval = scores.intervals[name]
        found |= {name: value, f"{name} low": interval.low, f"{name} high": interval.high}
    return found


def score(
    maps: str | Path,
    data: str | DataSet,
    *,
    protocols: str | Sequence[str] = "paper",
    data_options: Mapping[str, Any] | None = None,
    labels: MapLabels | None = None,
    name: str | None = None,
    output: str | Path | None = None,
    force: bool = False,
    workers: int = 4,
    stages: Stages = no_stages,
) -> Results:
    """Score heat-maps that another program made, by the protocols of ``evaluate``.

    Args:
        maps: Folder of ``ID.npy`` or ``ID.npz`` files, or one ``.npz`` file with an array for each
            id: one map for all sources of an item, (h, w), one for each, (P, h, w), or, in a file
            of its own, one by the name of each class.
        data: The data set: its name, a reference (``file.py:MyData``) or itself.
        protocols: Names of protocols, or references to some.
        data_options: Options of a data set that is given by its name.
        labels: Label source of the maps, ``given``, ``detected`` or ``none``; as they look when
            None.
        name: What the table calls them.
        output: Folder for results.json, results.csv, samples.csv and scores.npz; nothing is kept
            when None.
        force: Whether earlier results in the folder may be replaced.
        workers: Threads that read items and maps.
        stages: Shows progress, as `tvsl.cli.output.progress` does.

    Returns:
        The results.

    Raises:
        UsageError: Something that was named is not there, or the data set has no item.
        DataError: Maps are missing, belong to no item, have a wrong shape or are not finite.
        MediaError: An item cannot be read.
        OutputError: The folder cannot be written, or holds something else.
    """
    from tvsl.evaluation.foreign_maps import score_maps_of
    from tvsl.evaluation.predict import evaluation_config
    from tvsl.evaluation.result_cache import RESULTS, SCORED, earlier_outputs
    from tvsl.evaluation.stored_results import write_results
    from tvsl.metrics import PROTOCOLS
    from tvsl.utils.atomic import check_free, locked, staged

    if isinstance(data, str):
        data = make_data(DATA_SETS.resolve(data), data_options or {})
    names = [protocols] if isinstance(protocols, str) else protocols
    config = evaluation_config(protocols=[PROTOCOLS.resolve(one).name for one in names])
    with ExitStack() as stack:
        if output is not None:
            stack.enter_context(locked(Path(output)))
            check_free(Path(output), force, earlier_outputs, SCORED)
        with stages("Scoring", counted="items") as report:
            found = score_maps_of(Path(maps), data, config, labels, name, workers, report)
        if output is not None:
            with staged(Path(output), RESULTS, force, earlier_outputs) as work:
                write_results(found, work)
    return Results(found)


def evaluate(
    model: str | Path | Encoder | Localizer = "mini",
    data: str | DataSet = "synthetic",
    *,
    protocols: str | Sequence[str] = "paper",
    heads: Sequence[str | Path] = (),
    methods: Sequence[str | type[Method]] = (),
    data_options: Mapping[str, Any] | None = None,
    label_sources: Sequence[LabelChoice] | None = None,
    counting: Counting = "oracle",
    vocabulary: Sequence[str] | None = None,
    output: str | Path | None = None,
    force: bool = False,
    cases: int = 4,
    batch: int = 32,
    workers: int = 4,
    skip_broken: bool = False,
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    stages: Stages = no_stages,
) -> Results:
    """Evaluate methods on a data set; the trivial baselines come with every table.

    Several processes share the work where `torchrun` starts them; each gets the results.

    Args:
        model: The encoder, as for ``load``; or a localizer, whose head is evaluated.
        data: The data set: its name, a reference (``file.py:MyData``) or itself.
        protocols: Names of protocols, or references to some.
        heads: Folders of trained heads; the model's own when there are none, if it has one.
        methods: Methods that need no training, to be evaluated beside the heads.
        data_options: Options of a data set that is given by its name.
        label_sources: ``given``, ``detected`` or both: all that method and data allow when None.
        counting: How many classes are detected: ``oracle``, as many as an item has, or
            ``threshold``, those that reach the head's calibrated threshold.
        vocabulary: Class names among which to detect; those of the data set when None.
        output: Folder for results.json, results.csv, samples.csv, scores.npz and page.html, in
            which an interrupted evaluation goes on; nothing is kept when None.
        force: Whether results of another evaluation in the folder may be replaced.
        cases: Best, median and worst items on the page, of each.
        batch: Items that are encoded together.
        workers: Threads that read media.
        skip_broken: Whether items that cannot be read are left out and listed, or end it.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the convolutions.
        flip_average: Average with the flipped picture's tokens; the heads' choice when None.
        stages: Shows progress, as `tvsl.cli.output.progress` does.

    Returns:
        The results.

    Raises:
        UsageError: Something that was named is not there, or cannot be evaluated so.
        DataError: Lists of the data set cannot be used, or no item can be read.
        VocabularyError: The model has no words for a class, or it is not in the vocabulary.
        WeightsError: The encoder or a head cannot be had or used.
        OutputError: The folder cannot be written, or holds another evaluation.
        MediaError: An item cannot be read, and none may be left out.
    """
    from tvsl.evaluation.evaluator import (
        EvaluatedModel,
        EvaluatedModels,
        Evaluator,
        check_classes_of,
        check_methods,
        chosen_methods,
        load_models,
    )
    from tvsl.evaluation.predict import evaluation_config
    from tvsl.evaluation.record import known_record
    from tvsl.evaluation.result_cache import ResultCache
    from tvsl.html.evaluation import write_report
    from tvsl.localizer import Localizer
    from tvsl.metrics import PROTOCOLS
    from tvsl.utils.atomic import locked
    from tvsl.utils.processes import own_device, processes

    if isinstance(data, str):
        data = make_data(DATA_SETS.resolve(data), data_options or {})
    names = [protocols] if isinstance(protocols, str) else protocols
    chosen = evaluation_config(
        protocols=[PROTOCOLS.resolve(name).name for name in names],
        labels=label_sources,
        counting=counting,
        vocabulary=vocabulary,
        batch=batch,
    )
    if isinstance(model, str | Path):
        check_classes_of(data, chosen, model)
    with ExitStack() as stack:
        team = stack.enter_context(processes())
        if output is None and team.count > 1:
            raise UsageError("Several processes share a folder.", "Give `output`.")
        folder = None if output is None else Path(output)
        if folder is not None and team.leads:
            stack.enter_context(locked(folder))
            ResultCache(folder).check(known_record(data, chosen), force)
        if isinstance(model, Localizer):
            name = model.name.rpartition("/")[0]
            models = EvaluatedModels(
                name, model.encoder, (EvaluatedModel(model.method.name, model.method),)
            )
        else:
            check_methods(data, chosen, chosen_methods(model, heads, methods, flip_average))
            with stages("Fetching weights", is_bytes=True) as fetched:
                models = load_models(
                    model, heads, methods, own_device(device), precision, flip_average, fetched
                )
        evaluator = Evaluator(models, data, chosen, folder, workers, skip_broken)
        title = "Evaluating" if team.count == 1 else f"Evaluating (process 1 of {team.count})"
        with team.shown(stages)(title, counted="items") as report:
            evaluator.run(team, force, report)
        evaluation = evaluator.summarize()
        if folder is not None and team.leads:
            write_report(evaluator, evaluation, cases, folder)
        return Results(evaluation)


def train(
    output: str | Path,
    *,
    model: str | Path | Encoder = "mini",
    method: str | type[Method] | None = None,
    data: str | type[DataSet] | None = None,
    device: str = "auto",
    precision: PrecisionChoice = "float32",
    flip_average: FlipAverage | None = None,
    tokens: str | Path | None = None,
    resume: bool = False,
    stages: Stages = no_stages,
    note: Callable[[str], None] | None = None,
    **fields: Any,
) -> Path:
    """Train a head on mixtures of labelled clips; the encoder stays as it is.

    Several processes share the work where `torchrun` or SLURM starts them; the head is the same.

    Args:
        output: Folder of the run: checkpoints, metrics.csv and the head.
        model: The encoder, as for ``load``.
        method: The method: its name, a reference or the class; T-VSL when None.
        data: The data set: its name, a reference or the class; the synthetic world when None.
        device: ``auto``, or a device of torch.
        precision: Arithmetic of the convolutions.
        flip_average: Average with the flipped picture's tokens; the method's choice when None.
        tokens: Folder of the tokens, which runs may share; in the run's own when None.
        resume: Whether an interrupted run goes on, as it was started.
        stages: Shows progress, as `tvsl.cli.output.progress` does.
        note: Called with what must be known of the data set.
        fields: Other fields of ``tvsl.training.TrainConfig``: ``steps``, ``hyperparameters``, …

    Returns:
        The folder of the head, for ``load(model, head=…)``.

    Raises:
        UsageError: The recipe cannot be followed, or the run to resume is another one.
        DataError: A list of the data set cannot be used.
        VocabularyError: The model has no words for a class.
        WeightsError: The encoder cannot be had or used, or a checkpoint is damaged.
        OutputError: There is a run in the folder already, or it cannot be written.
    """
    from tvsl.loading import check_classes, load_encoder
    from tvsl.training.config import find_head, read_recipe, recipe
    from tvsl.training.fit import check_recipe, train_head
    from tvsl.utils.atomic import locked
    from tvsl.utils.processes import own_device, processes
    from tvsl.utils.run_folder import HEAD_RECIPE_KEYS, check_run_folder

    output = Path(output)
    with ExitStack() as stack:
        team = stack.enter_context(processes())
        place = None if tokens is None else Path(tokens)
        if team.leads:
            stack.enter_context(locked(output))
            check_run_folder(output, resume, HEAD_RECIPE_KEYS, place)
        team.meet()
        stages = team.shown(stages)
        given = {
            **fields,
            "method": None if method is None else _named(METHODS, method),
            "data": None if data is None else _named(DATA_SETS, data),
        }
        kept, flip = read_recipe(output) if resume else ({}, None)
        changes = {name: value for name, value in given.items() if value is not None}
        config = recipe(**{**kept, **changes})
        source, clips = check_recipe(config)
        check_classes(model, clips.names)
        if note is not None and team.leads:
            for name, text in source.notes:
                note(f"{name}: {text}")
        with stages("Fetching weights", is_bytes=True) as fetched:
            encoder = load_encoder(
                model,
                find_head(config)[1],
                own_device(device),
                precision,
                flip_average or flip,
                fetched,
            )
        return train_head(config, encoder, output, resume, stages, place)


def _named(registry: Registry[Any], given: Any) -> str:
    """The name of something that may be new: it is registered then."""
    found = registry.resolve(given) if isinstance(given, str) else registry.register(given)
    return str(found.name)
