"""Training of a head in a folder, from a recipe and a frozen encoder."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from pydantic import JsonValue

from tvsl.data.base import MISSING_REMEDY, ClipSet, DataSet, require_files
from tvsl.data.files import FileDataSet
from tvsl.data.synthetic import SyntheticData
from tvsl.data.token_store import check_classes, check_store, make_store, store_key
from tvsl.encoder import Encoder
from tvsl.errors import UsageError
from tvsl.evaluation.batch import EncodedBatch
from tvsl.methods.base import Method, Untrained
from tvsl.methods.checkpoint_io import save_head
from tvsl.training.calibrate import (
    DETECTION_SOURCES,
    MAP_SOURCES,
    calibrate,
    located,
    too_few_to_validate,
    validation_scenes,
)
from tvsl.training.config import TrainConfig, find_head, training_data, write_recipe
from tvsl.training.modules import (
    BEST,
    VALIDATION_KEY,
    TokenData,
    TrainingShare,
    build_head,
    fit_head,
    require_training,
)
from tvsl.training.trainer import WholeCheckpoints
from tvsl.utils.atomic import locked
from tvsl.utils.model_folder import HEAD_FOLDER
from tvsl.utils.processes import Stages, no_stages, processes
from tvsl.utils.run_folder import CHECKPOINTS, HEAD_RECIPE_KEYS, check_run_folder, last_checkpoint

TOKENS_FOLDER = "tokens"


def train_head(
    config: TrainConfig,
    encoder: Encoder,
    folder: Path,
    resume: bool = False,
    stages: Stages = no_stages,
    tokens: Path | None = None,
) -> Path:
    """Train a head on the tokens of a frozen encoder; validation decides its hyperparameters.

    Several processes share the work where `torchrun` or SLURM starts them, to the same head up to
    rounding; all of them see the folders. A run may be resumed by another number of processes.

    Args:
        config: The recipe.
        encoder: The encoder, as it is loaded from its own file.
        folder: Folder of the run: checkpoints, metrics, and the head in ``head``.
        resume: Whether an interrupted run goes on, to the same bits on a CPU.
        stages: Shows progress.
        tokens: Folder of the token store, which several runs may share; in the run's own when
            None.

    Raises:
        LostProcessError: Another process of the run has ended; the last checkpoint stays usable.
        UsageError: The recipe cannot be followed, the run to resume has another one, or there is
            none.
        StoreError: The token store is for something else, or damaged.
        OutputError: There is a run or something else in the folder already, it cannot be written,
            or memory does not suffice.
        WeightsError: A checkpoint is damaged.
    """
    with ExitStack() as stack:
        team = stack.enter_context(processes())
        if team.leads:
            stack.enter_context(locked(folder))
            check_run_folder(folder, resume, HEAD_RECIPE_KEYS, tokens)
        team.meet()
        checkpoint = last_checkpoint(folder, resume)
        data, clips, method = _prepare(config, encoder)
        key = store_key(
            encoder,
            clips,
            stored_as=config.stored_as,
            most_sources=config.most_sources,
            rounds=config.mixtures,
            seed=config.seed,
        )
        place = tokens or folder / TOKENS_FOLDER
        if team.leads:
            if not resume:  # a run to resume is compared with its own recipe first
                check_store(place, key)
            write_recipe(config, encoder, folder, resume)
        team.meet()
        stages = team.shown(stages)
        with stages("Encoding clips") as report:
            store = make_store(place, key, encoder, clips, report)
        with stages("Encoding validation scenes") as report:
            scenes = validation_scenes(encoder, data, config.validation_scenes, report)
        watched = [batch for batch in scenes if batch.sources in MAP_SOURCES]
        batches = TokenData(config, store, watched, TrainingShare.for_method(method))
        vocabulary = encoder.vocabulary(clips.names)
        with stages("Training") as report:
            fit_head(method, vocabulary, config, batches, batches.steps, folder, checkpoint, report)
        if team.leads:
            _finish(config, method, encoder, folder, scenes)
        team.meet()
        return folder / HEAD_FOLDER


def check_recipe(config: TrainConfig) -> tuple[DataSet, ClipSet]:
    """Check a recipe as far as that needs no encoder.

    Raises:
        UsageError: It cannot be followed: the method needs no training, or there are too few clips
            or classes.
        DataError: A list of the data set cannot be used.
        MissingFileError: A file of a clip or of a validation scene is missing.
    """
    method, _ = find_head(config)
    if issubclass(method, Untrained):
        raise UsageError(f"The method '{method.name}' needs no training.", "Use it as it is.")
    data = training_data(config)
    parts = (data.validation_items(n, config.validation_scenes) for n in DETECTION_SOURCES)
    scenes = (item for part in parts for item in part.items)
    first = next(scenes, None)
    if first is None:
        raise too_few_to_validate(data)
    # Scenes of the world take time to make, and no clip of the training split is part of them.
    kept = [first] if isinstance(data, SyntheticData) else [first, *scenes]
    if isinstance(data, FileDataSet):
        require_files(kept, MISSING_REMEDY)
    # Mixtures are drawn before they are cut to the wanted number: they have clips of their own.
    held = {name for item in kept for name in item.ids}
    clips = data.clips(config.clips, config.seed).without(held)
    clips.require_files()
    check_classes(clips, config.most_sources, config.seed)
    return data, clips


def _prepare(config: TrainConfig, encoder: Encoder) -> tuple[DataSet, ClipSet, Method]:
    """Check everything that can be wrong before the expensive work."""
    data, clips = check_recipe(config)
    wanted = find_head(config)[1].image_tokens
    if wanted is not None and wanted != encoder.image_tokens:
        raise UsageError(
            f"The head is for image tokens '{wanted}', the encoder gives '{encoder.image_tokens}'.",
            f"Build the encoder with image_tokens='{wanted}'.",
        )
    method = build_head(config, encoder, encoder.vocabulary(clips.names))
    require_training(method)
    return data, clips, method


def _finish(
    config: TrainConfig,
    method: Method,
    encoder: Encoder,
    folder: Path,
    scenes: list[EncodedBatch],
) -> None:
    """Write the best head, with what validation decides about it."""
    state = WholeCheckpoints().load_checkpoint(folder / CHECKPOINTS / BEST)
    prefix = "method."
    method.load_state_dict(
        {name.removeprefix(prefix): value for name, value in state["state_dict"].items()}
    )
    method.to(encoder.device).eval()
    mapped = [batch for batch in scenes if batch.sources in MAP_SOURCES and located(batch)]
    decided = calibrate(method, mapped, scenes)
    notes: dict[str, JsonValue] = {
        "recipe": config.model_dump(mode="json"),
        "step": state["global_step"],
        "validation": state[VALIDATION_KEY],
        "calibration": asdict(decided),
    }
    save_head(method, encoder, folder / HEAD_FOLDER, notes, force=True)
