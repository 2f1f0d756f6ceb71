"""The frozen encoder on the fast path: ``Tokens`` of pictures and waveforms, text embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Self

from tvsl.audioclip.checkpoint import (
    build,
    folder_tokenizer,
    load_folder,
    read_state,
    save_audioclip,
)
from tvsl.audioclip.fast_path import FastImageFeatures, fast_audio_features
from tvsl.audioclip.image_encoder import CLIP_DEVIATION, CLIP_MEAN, normalise
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import TextTokenizer, clip_tokenizer, find_clip_tokenizer
from tvsl.encoder import (
    EncoderGraphs,
    EncoderOptions,
    FlipAverage,
    FrameTokens,
    ImageTokenMode,
    LogitScales,
    SoundGrid,
    SoundTokens,
    encode_clips,
)
from tvsl.errors import UsageError, WeightsError
from tvsl.media.image import fitting_size, resize
from tvsl.models import PUBLIC_FILES, VOCABULARY_NAME, existing_file, fetch, model_folder
from tvsl.tokens import Tokens, Vocabulary
from tvsl.utils import kernels
from tvsl.utils.devices import Precision
from tvsl.utils.model_folder import fingerprint
from tvsl.utils.processes import Progress
from tvsl.vocabularies import same_names

_TEXT_BATCH = 64
_MOST_TEXTS = 4096
"""Cached embeddings of names: 16 MB at full size."""


class AudioCLIPEncoder:
    """A frozen AudioCLIP on the fast path.

    Args:
        model: The model; it is frozen here.
        precision: Arithmetic of the convolutions. ``bfloat16`` pays on GPUs and on CPUs with
            matrix units; `benchmarks/encoders.py` tells for a machine.
        image_tokens: Dense image tokens; the config's when None.
        flip_average: Average visual tokens with those of the mirrored picture (``mirror``) or of
            the picture rotated by 180 degrees (``turn``), mapped back: this cancels the spatial
            displacement in the maps of small networks, at twice the cost.

    Attributes:
        config: Sizes of the model.
        embedding: D, the size of the space.
        classes: Class names for detection when none are given; empty for everyday sounds.
        sample_rate: Samples per second that waveforms must have.
    """

    def __init__(
        self,
        model: AudioCLIP,
        precision: Precision = "float32",
        image_tokens: ImageTokenMode | None = None,
        flip_average: FlipAverage = "none",
    ) -> None:
        self.model = model.freeze()
        self.image_tokens = model.config.image_tokens if image_tokens is None else image_tokens
        self.flip_average = flip_average
        self.precision = precision
        self.config = config = model.config
        self.embedding, self.classes = config.embedding, config.classes
        self.sample_rate = config.audio.sample_rate
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self._image_features = FastImageFeatures(model.visual, dtype)
        self._audio_features = fast_audio_features(model.audio, dtype)
        self._text_cache: dict[str, Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.model.device

    @property
    def text_encoder(self) -> AudioCLIP:
        """The frozen text encoder, for learned prompts."""
        return self.model

    @property
    def logit_scales(self) -> LogitScales:
        """Factors of the cosines in AudioCLIP's own losses, as they were trained."""
        return self.model.logit_scales()

    def prepare(self, picture: NDArray[np.uint8], square: bool = False) -> Tensor:
        """Resize and normalise a picture as CLIP was trained; see ``Encoder``."""
        image = self.config.image
        target = (image.resolution, image.resolution)
        if not square:
            target = fitting_size(picture.shape[:2], image.resolution, image.cell)
        return normalise(resize(picture, target)[None])[0]

    def to(self, device: torch.device | str) -> Self:
        """Move the encoder to a device."""
        self.model.to(device)
        self._image_features.to(device)
        self._audio_features.to(device)
        self._text_cache.clear()
        return self

    def save(self, folder: Path) -> None:
        """Write the model in single precision, so that it keeps its fingerprint.

        Args:
            folder: An existing folder, which is empty.

        Raises:
            OutputError: The folder is not empty, or cannot be written.
        """
        save_audioclip(self.model, folder, torch.float32)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over config, names, shapes and values: the same for every file format.

        The names of the classes are left out, since tokens and embeddings do not depend on them.
        """
        return fingerprint(self.config.fingerprinted, self.model.state_dict())

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def encode(self, frames: Tensor, waveforms: Tensor) -> Tokens:
        """Encode clips; see ``Encoder``."""
        return encode_clips(self, frames, waveforms)

    def graphs(self) -> EncoderGraphs:
        """The networks for ``tvsl export``.

        Raises:
            UsageError: The convolutions are not in float32.
        """
        if self.precision != "float32":
            raise UsageError(
                f"An encoder in {self.precision} is not exported.", "Load it in float32."
            )
        image = self.config.image
        return EncoderGraphs(
            (self._image_features, self.model.visual.attnpool),
            (self._audio_features, self.model.audio),
            image.cell,
            image.resolution,
            CLIP_MEAN,
            CLIP_DEVIATION,
            self.model.audio.least_samples,
        )

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def encode_frames(self, frames: Tensor) -> FrameTokens:
        """Encode pictures alone; see ``Encoder``."""
        images = frames.to(self.device)
        self.model.check_images(images)
        if kernels.is_traced():  # on multiples of the cell torch reasons in a fraction of the time
            cell = self.config.image.cell
            height, width = (length // cell * cell for length in images.shape[2:])
            images = images[:, :, :height, :width]
        pool = self.model.visual.attnpool
        features = self._image_features(images)
        grid = (features.shape[2], features.shape[3])
        tokens, pooled = pool.tokens(features, self.image_tokens), pool(features)
        axes = {"none": None, "mirror": (3,), "turn": (2, 3)}[self.flip_average]
        if axes is None:
            return FrameTokens(tokens, pooled, grid)
        flipped = self._image_features(images.flip(axes))
        back = pool.tokens(flipped, self.image_tokens).unflatten(1, grid)
        back = back.flip(tuple(axis - 1 for axis in axes)).flatten(1, 2)
        return FrameTokens((tokens + back) / 2, (pooled + pool(flipped)) / 2, grid)

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def encode_sounds(self, waveforms: Tensor) -> SoundTokens:
        """Encode sounds alone; see ``Encoder``."""
        return self.pool_columns(self.encode_columns(waveforms))

    @property
    def sound_grid(self) -> SoundGrid | None:
        """Order of the columns of the last feature map in time; None for the mini's network."""
        return self.model.audio.grid

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def encode_columns(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, S), as for ``encode_sounds``, to the last feature map (B, C, f, m)."""
        features: Tensor = self._audio_features(self.model.scaled(waveforms.to(self.device)))
        return features

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def pool_columns(self, columns: Tensor) -> SoundTokens:
        """Consecutive columns (B, C, f, m) of the last feature map to tokens and embeddings."""
        return SoundTokens(self.model.audio.tokens(columns), self.model.audio.pool(columns))

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def embed(self, names: Sequence[str]) -> Tensor:
        """Embed class names, the recent ones from a cache; see ``Encoder``.

        Raises:
            VocabularyError: No tokenizer, or a name that is empty or too long.
        """
        forms = same_names(names)
        found = {form: self._text_cache[form] for form in forms if form in self._text_cache}
        spelled = dict(zip(forms, names, strict=True))
        missing = [form for form in spelled if form not in found]
        for start in range(0, len(missing), _TEXT_BATCH):
            batch = missing[start : start + _TEXT_BATCH]
            texts = [spelled[form] for form in batch]
            embedded = F.normalize(self.model.encode_text(texts), dim=-1)
            found.update(zip(batch, embedded, strict=True))
        self._text_cache.update(found)
        while len(self._text_cache) > _MOST_TEXTS:
            del self._text_cache[next(iter(self._text_cache))]
        return torch.stack([found[form] for form in forms])

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Build a vocabulary of class names, token ids included; see ``Encoder``."""
        token_ids = self.model.require_tokenizer().class_ids(names).to(self.device)
        embeddings = self.embed(names).clone()
        return Vocabulary(tuple(names), embeddings, token_ids)


def load(path_or_name: str | Path, options: EncoderOptions) -> AudioCLIPEncoder:
    """Load an AudioCLIP as an encoder.

    Args:
        path_or_name: As for ``load_audioclip``.
        options: Options of the encoder.

    Raises:
        WeightsError: As for ``load_audioclip``.
        VocabularyError: The vocabulary file is missing.
    """
    model = load_audioclip(path_or_name, options.waveform_scale, options.progress)
    model.require_tokenizer()  # else the lack of it would show only after all other work
    encoder = AudioCLIPEncoder(model, options.precision, options.image_tokens, options.flip_average)
    return encoder.to(options.device)


def check_names(path_or_name: str | Path, names: Sequence[str]) -> None:
    """Refuse class names that a model cannot express, as far as is known without its weights.

    Args:
        path_or_name: As for ``load_audioclip``.
        names: Different class names.

    Raises:
        VocabularyError: It cannot express one, or one occurs twice.
        WeightsError: Its tokenizer is damaged.
    """
    tokenizer = known_tokenizer(path_or_name)
    if tokenizer is not None:
        tokenizer.class_ids(names)


def load_audioclip(
    path_or_name: str | Path, waveform_scale: float | None = None, progress: Progress | None = None
) -> AudioCLIP:
    """Load a frozen AudioCLIP, strictly and without running any code from the file.

    Args:
        path_or_name: ``mini``, which comes with the package; ``audioclip`` or
            ``audioclip-partial``, fetched where absent; or the path of an official ``.pt`` file,
            of a ``.safetensors`` file written by ``convert``, or of a folder written by
            ``save_audioclip``.
        waveform_scale: Overrides the config's; 1 for what the released T-VSL computes.
        progress: Called with bytes so far and bytes in all while fetching.

    Returns:
        The model, frozen, on the CPU, with its tokenizer: the folder's own, or CLIP's where its
        vocabulary file is found beside the checkpoint or in the weights folder.

    Raises:
        WeightsError: The file is missing, damaged, unsafe, or of another model.
    """
    folder = model_folder(path_or_name)
    if folder is not None:
        return load_folder(folder, waveform_scale)
    path = _checkpoint_path(path_or_name, progress)
    state, config = read_state(path)
    if waveform_scale is not None:
        config = config.model_copy(update={"waveform_scale": waveform_scale})
    model = build(state, config, path)
    model.tokenizer = find_clip_tokenizer(config.text, beside=path)
    return model


def known_tokenizer(path_or_name: str | Path) -> TextTokenizer | None:
    """Load the tokenizer of a model before its weights are fetched or read.

    Args:
        path_or_name: As for ``load_audioclip``.

    Returns:
        The tokenizer; None if it follows from the weights alone, or is not installed.

    Raises:
        WeightsError: A file of the model is missing, damaged, or of another model.
    """
    folder = model_folder(path_or_name)
    if folder is not None:
        return folder_tokenizer(folder)
    vocabulary = PUBLIC_FILES[VOCABULARY_NAME].path
    if str(path_or_name) in PUBLIC_FILES and vocabulary.is_file():
        return clip_tokenizer(vocabulary)
    return None


def _checkpoint_path(path_or_name: str | Path, progress: Progress | None = None) -> Path:
    """File of a checkpoint by its path, or by the name of a public model, which is fetched."""
    models = [entry.name for entry in PUBLIC_FILES.values() if entry.is_model]
    if str(path_or_name) in models:
        return fetch(str(path_or_name), progress)
    path = Path(path_or_name).expanduser()
    if str(path_or_name) in PUBLIC_FILES:
        raise WeightsError(
            f"'{path_or_name}' is no AudioCLIP model.", f"Models: {', '.join(models)}."
        )
    return existing_file(path)
