"""Training of a head in a folder, from a recipe and a frozen encoder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from pydantic import JsonValue
from torch.utils.data import DataLoader

from tvsl.data.base import ClipSet, DataSet
from tvsl.data.checking import MISSING_REMEDY, require_files
from tvsl.data.files import FileDataSet
from tvsl.data.token_encoding import check_classes, check_store, make_store, store_key
from tvsl.data.token_store import TokenBatch
from tvsl.encoder import Encoder
from tvsl.errors import UsageError
from tvsl.evaluation.batch import EncodedBatch
from tvsl.methods.base import Method, Untrained, with_overrides
from tvsl.methods.checkpoint_io import save_head
from tvsl.tokens import Vocabulary
from tvsl.training.calibrate import (
    DETECTION_SOURCES,
    MAP_SOURCES,
    calibrate,
    located,
    too_few_to_validate,
    validation_scenes,
)
from tvsl.training.checkpoint_io import WholeCheckpoints
from tvsl.training.config import TrainConfig, find_head, training_data
from tvsl.training.modules import (
    VALIDATION_KEY,
    VALIDATION_SCORE,
    HeadTraining,
    TokenData,
    require_training,
)
from tvsl.training.run_config import keep_recipe
from tvsl.training.trainer import build_trainer, fit, quiet
from tvsl.utils.atomic import locked
from tvsl.utils.model_folder import HEAD_FOLDER
from tvsl.utils.processes import alone
from tvsl.utils.progress import Progress, Stages, no_progress, no_stages
from tvsl.utils.run_folder import CHECKPOINTS, HEAD_RECIPE_KEYS, check_run_folder, last_checkpoint

BEST = "best.ckpt"
TOKENS_FOLDER = "tokens"


@dataclass(frozen=True, eq=False)
class _Prepared:
    """Data and head that training starts from."""

    data: DataSet
    clips: ClipSet
    method: Method
    vocabulary: Vocabulary


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the highest validation score.

    Args:
        folder: Folder of the run; it may have been moved since the run was interrupted.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder / CHECKPOINTS,
            filename=Path(BEST).stem,
            monitor=VALIDATION_SCORE,
            mode="max",
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what was best, wherever the folder is now."""
        path = str(Path(str(self.dirpath)) / BEST)
        score = state_dict["best_model_score"]
        here = {
            "dirpath": self.dirpath,
            "best_model_path": path,
            "kth_best_model_path": path,
            "best_k_models": {} if score is None else {path: score},
        }
        super().load_state_dict({**state_dict, **here})


def train_head(
    config: TrainConfig,
    encoder: Encoder,
    folder: Path,
    resume: bool = False,
    stages: Stages = no_stages,
    tokens: Path | None = None,
) -> Path:
    """Train a head on the tokens of a frozen encoder; validation decides its hyperparameters.

    Args:
        config: The recipe.
        encoder: The encoder, as it is loaded from its own file.
        folder: Folder of the run: checkpoints, metrics, and the head in ``head``.
        resume: Whether an interrupted run goes on, to the same bits on a CPU.
        stages: Shows progress.
        tokens: Folder of the token store, which several runs may share; in the run's own when
            None.

    Returns:
        The folder of the head.

    Raises:
        UsageError: The recipe cannot be followed, the run to resume has another one, or there is
            none.
        StoreError: The token store is for something else, or damaged.
        OutputError: There is a run or something else in the folder already, it cannot be written,
            or memory does not suffice.
        WeightsError: A checkpoint is damaged.
    """
    alone("Training")
    with locked(folder):
        check_run_folder(folder, resume, HEAD_RECIPE_KEYS, tokens)
        checkpoint = last_checkpoint(folder, resume)
        ready = _prepare(config, encoder)
        key = store_key(
            encoder,
            ready.clips,
            stored_as=config.stored_as,
            most_sources=config.most_sources,
            rounds=config.mixtures,
            seed=config.seed,
        )
        place = tokens or folder / TOKENS_FOLDER
        if not resume:  # a run to resume is compared with its own recipe first
            check_store(place, key)
        keep_recipe(config, encoder, folder, resume)
        with stages("Encoding clips") as report:
            store = make_store(place, key, encoder, ready.clips, report)
        with stages("Encoding validation scenes") as report:
            scenes = validation_scenes(encoder, ready.data, config.validation_scenes, report)
        watched = [part for part in scenes if part.sources in MAP_SOURCES]
        tokens_of_run = TokenData(config, store, watched)
        with stages("Training") as report:
            fit_head(
                ready.method,
                ready.vocabulary,
                config,
                tokens_of_run,
                tokens_of_run.steps,
                folder,
                checkpoint,
                report,
            )
        return _finish(config, ready.method, encoder, folder, scenes)


def check_recipe(config: TrainConfig) -> tuple[DataSet, ClipSet]:
    """Everything that can be wrong with a recipe and needs no encoder to be known.

    Args:
        config: The recipe.

    Returns:
        The data set and the clips that are trained on.

    Raises:
        UsageError: It cannot be followed: the method needs no training, or there are too few clips
            or classes.
        DataError: A list of the data set cannot be used.
        MissingFileError: A file of a clip or of a validation scene is missing.
    """
    kind, _ = find_head(config)
    if issubclass(kind, Untrained):
        raise UsageError(f"The method '{kind.name}' needs no training.", "Use it as it is.")
    data = training_data(config)
    kept = data.validation_items(1, config.validation_scenes)
    others = (data.validation_items(n, config.validation_scenes) for n in DETECTION_SOURCES[1:])
    if not kept.items and not any(part.items for part in others):
        raise too_few_to_validate(data)
    if isinstance(data, FileDataSet):  # items of a world are made only when they are needed
        parts = (data.validation_items(n, config.validation_scenes) for n in DETECTION_SOURCES)
        require_files((item for part in parts for item in part.items), MISSING_REMEDY)
    clips = data.clips(config.clips, config.seed).without({item.id for item in kept.items})
    clips.require_files()
    check_classes(clips, config.most_sources, config.seed)
    return data, clips


def _prepare(config: TrainConfig, encoder: Encoder) -> _Prepared:
    """Check everything that can be wrong before the expensive work."""
    data, clips = check_recipe(config)
    wanted = find_head(config)[1].image_tokens
    if wanted is not None and wanted != encoder.image_tokens:
        raise UsageError(
            f"The head is for image tokens '{wanted}', the encoder gives '{encoder.image_tokens}'.",
            f"Build the encoder with image_tokens='{wanted}'.",
        )
    vocabulary = encoder.vocabulary(clips.names)
    method = build_head(config, encoder, vocabulary)
    require_training(method)
    return _Prepared(data, clips, method, vocabulary)


def build_head(config: TrainConfig, encoder: Encoder, vocabulary: Vocabulary) -> Method:
    """Build the untrained head of a recipe.

    Args:
        config: The recipe; its seed draws the parameters.
        encoder: The encoder.
        vocabulary: The classes of the training labels.

    Returns:
        The head, in training mode, on the CPU.

    Raises:
        UsageError: There is no such method, preset or hyperparameter.
        VocabularyError: The method cannot express the classes.
    """
    kind, hyperparameters = find_head(config)
    hyperparameters = with_overrides(hyperparameters, flip_average=encoder.flip_average)
    torch.manual_seed(config.seed)
    return kind.on_encoder(kind.config_for(hyperparameters, vocabulary), encoder)


def fit_head(
    method: Method,
    vocabulary: Vocabulary,
    config: TrainConfig,
    data: TokenData | DataLoader[TokenBatch],
    steps: int,
    folder: Path | None = None,
    checkpoint: Path | None = None,
    progress: Progress = no_progress,
) -> None:
    """Train a head in place.

    Args:
        method: The head; it is trained where the vocabulary is.
        vocabulary: The classes of the training labels.
        config: The recipe.
        data: Batches of tokens; with validation scenes where the best head is wanted.
        steps: Optimiser steps in all.
        folder: Folder of the run for metrics and checkpoints; without one nothing is written, and
            the head after the last step counts.
        checkpoint: The checkpoint to resume from.
        progress: Called with steps so far and in all.

    Raises:
        DivergedError: The loss is not finite.
        OutputError: The folder cannot be written, or memory does not suffice.
        WeightsError: The checkpoint is damaged.
    """
    device = vocabulary.embeddings.device
    module = HeadTraining(method, vocabulary, config, steps)
    options: dict[str, Any] = {
        "accelerator": "cpu" if device.type == "cpu" else "gpu",
        "devices": 1 if device.index is None else [device.index],
    }
    if folder is None:
        with quiet():
            trainer = Trainer(max_steps=steps, max_epochs=1, barebones=True, **options)
            trainer.fit(module, data)
    else:
        trainer = build_trainer(
            folder,
            steps,
            config.clip_norm,
            progress,
            BestCheckpoint(folder),
            num_sanity_val_steps=0,
            inference_mode=False,
            **options,
        )
        fit(trainer, module, data, checkpoint)
    method.to(device)


def _finish(
    config: TrainConfig,
    method: Method,
    encoder: Encoder,
    folder: Path,
    scenes: list[EncodedBatch],
) -> Path:
    """Write the best head, with what validation decides about it."""
    state = WholeCheckpoints().load_checkpoint(folder / CHECKPOINTS / BEST)
    prefix = "method."
    method.load_state_dict(
        {name.removeprefix(prefix): value for name, value in state["state_dict"].items()}
    )
    method.to(encoder.device).eval()
    mapped = [part for part in scenes if part.sources in MAP_SOURCES and located(part)]
    decided = calibrate(method, mapped, scenes)
    notes: dict[str, JsonValue] = {
        "recipe": config.model_dump(mode="json"),
        "step": state["global_step"],
        "validation": state[VALIDATION_KEY],
        "calibration": asdict(decided),
    }
    return save_head(method, encoder, folder / HEAD_FOLDER, notes, force=True)
