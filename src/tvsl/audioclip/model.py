"""AudioCLIP: image, audio and text in one space (Sec. 3.1, Eq. 1; Guzhov et al., 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

from tvsl.audioclip.audio_encoder import AudioEncoder, AudioNetwork
from tvsl.audioclip.config import AudioCLIPConfig, AudioEncoderConfig
from tvsl.audioclip.image_encoder import ImageEncoder
from tvsl.audioclip.modulation_audio_encoder import ModulationAudioEncoder
from tvsl.audioclip.text_encoder import TextEncoder
from tvsl.audioclip.tokenizer import VOCABULARY_IDS, TextTokenizer, find_clip_tokenizer
from tvsl.contrastive import symmetric_info_nce
from tvsl.encoder import ImageTokenMode, LogitScales
from tvsl.errors import ShapeError, VocabularyError
from tvsl.models import VOCABULARY_FILE

MAX_LOGIT_SCALE = 100.0


class Logits(NamedTuple):
    """Scaled cosines between pooled embeddings, each (B, B); None where a modality is missing."""

    audio_image: Tensor | None
    audio_text: Tensor | None
    image_text: Tensor | None


class AudioCLIP(TextEncoder):
    """The tri-modal model.

    The text encoder is the base class because its parameters stand at the root of the public
    state dict, as in CLIP; ``visual`` and ``audio`` are the two other encoders.

    Args:
        config: Sizes; the default is the public checkpoint's.
        tokenizer: Tokenizer for strings; CLIP's from the weights folder when None.
    """

    def __init__(
        self,
        config: AudioCLIPConfig = AudioCLIPConfig(),  # noqa: B008  (frozen)
        tokenizer: TextTokenizer | None = None,
    ) -> None:
        super().__init__(config.text, config.embedding)
        self.config = config
        self.tokenizer = tokenizer
        self.visual = ImageEncoder(config.image, config.embedding)
        self.audio: AudioNetwork = (
            AudioEncoder(config.audio, config.embedding)
            if isinstance(config.audio, AudioEncoderConfig)
            else ModulationAudioEncoder(config.audio, config.embedding)
        )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(MAX_LOGIT_SCALE)))
        self.logit_scale_ai = nn.Parameter(torch.tensor(math.log(MAX_LOGIT_SCALE)))
        self.logit_scale_at = nn.Parameter(torch.tensor(math.log(MAX_LOGIT_SCALE)))
        self._frozen = False

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.logit_scale.device

    def freeze(self) -> Self:
        """Fix every parameter and buffer for good: ``train()`` no longer has an effect."""
        self._frozen = True
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, unless the model is frozen."""
        return super().train(mode and not self._frozen)

    def encode_image(self, images: Tensor) -> Tensor:
        """Pooled image embeddings: (B, D), not normalised.

        Args:
            images: Pictures normalised by CLIP's mean and deviation, (B, 3, H, W), H and W
                multiples of the cell size.

        Raises:
            ShapeError: Another shape.
        """
        self.check_images(images)
        pooled: Tensor = self.visual(images)
        return pooled

    def image_tokens(self, images: Tensor, mode: ImageTokenMode | None = None) -> Tensor:
        """Dense image tokens (Sec. 3.2): (B, n_v, D), row-major over the cells, not normalised.

        Args:
            images: As for ``encode_image``.
            mode: ``values``, ``cells`` or ``released``, see ``AttentionPool.tokens``; that of
                the config when None.

        Raises:
            ShapeError: Another shape.
        """
        self.check_images(images)
        mode = self.config.image_tokens if mode is None else mode
        return self.visual.attnpool.tokens(self.visual.features(images), mode)

    def encode_audio(self, waveforms: Tensor) -> Tensor:
        """Pooled audio embeddings: (B, D), not normalised.

        Args:
            waveforms: Mono in [-1, 1] at the config's sample rate, (B, S) or (B, 1, S).

        Raises:
            ShapeError: Another shape.
        """
        pooled: Tensor = self.audio(self.scaled(waveforms))
        return pooled

    def audio_tokens(self, waveforms: Tensor) -> Tensor:
        """Dense audio tokens (Sec. 3.2).

        Args:
            waveforms: As for ``encode_audio``.

        Returns:
            Tokens, (B, n_a, D), row-major over frequency and time, not normalised; n_a follows
            from the duration (143 at 5 s).

        Raises:
            ShapeError: Another shape.
        """
        return self.audio.tokens(self.audio.features(self.scaled(waveforms)))

    def encode_text(self, texts: Sequence[str] | Tensor) -> Tensor:
        """Text embeddings: (N, D), not normalised.

        Args:
            texts: Strings, or token ids (N, L).

        Raises:
            VocabularyError: Strings without a tokenizer, or a text that is empty or too long.
            ShapeError: Token ids of another shape.
        """
        if isinstance(texts, Tensor):
            if texts.ndim != 2 or not 1 <= texts.shape[1] <= self.config.text.context:
                raise ShapeError(
                    f"Token ids must be (N, L) with L up to {self.config.text.context}, "
                    f"got {tuple(texts.shape)}.",
                    "Use the model's tokenizer.",
                )
            return self.encode_token_ids(texts.to(self.device))
        return self.encode_token_ids(self.require_tokenizer()(texts).to(self.device))

    def require_tokenizer(self) -> TextTokenizer:
        """The tokenizer; CLIP's from the weights folder if none was given.

        Raises:
            VocabularyError: There is none, so strings cannot be read.
        """
        if self.tokenizer is None:
            self.tokenizer = find_clip_tokenizer(self.config.text)
        if self.tokenizer is None:
            if self.config.text.vocabulary != VOCABULARY_IDS:
                raise VocabularyError(
                    "The model has no tokenizer, so no text can be read.",
                    "Get its tokenizer.json, which belongs beside model.safetensors.",
                )
            raise VocabularyError(
                f"Without CLIP's vocabulary file {VOCABULARY_FILE} no text can be read.",
                "Put it beside the checkpoint, or run `tvsl weights fetch clip-vocabulary`.",
            )
        return self.tokenizer

    def logits(
        self, image: Tensor | None = None, audio: Tensor | None = None, text: Tensor | None = None
    ) -> Logits:
        """Scaled cosines between pooled embeddings.

        Args:
            image: Image embeddings, (B, D).
            audio: Audio embeddings, (B', D).
            text: Text embeddings, (B'', D).

        Returns:
            A matrix for each pair of modalities that are both given.
        """

        def similarity(first: Tensor | None, second: Tensor | None, scale: Tensor) -> Tensor | None:
            if first is None or second is None:
                return None
            cosines = F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T
            return _factor(scale) * cosines

        return Logits(
            audio_image=similarity(audio, image, self.logit_scale_ai),
            audio_text=similarity(audio, text, self.logit_scale_at),
            image_text=similarity(image, text, self.logit_scale),
        )

    def logit_scales(self) -> LogitScales:
        """Factors of the cosines, as numbers."""
        return LogitScales(
            image_text=_factor(self.logit_scale).item(),
            audio_text=_factor(self.logit_scale_at).item(),
            audio_image=_factor(self.logit_scale_ai).item(),
        )

    def contrastive_loss(
        self, image: Tensor | None = None, audio: Tensor | None = None, text: Tensor | None = None
    ) -> Tensor:
        """Eq. 1: the sum of symmetric InfoNCE over every pair of modalities that are given.

        Each direction counts in full. AudioCLIP's own code divides the sum by a constant that
        depends on the number of pairs; the printed equation does not, and a constant factor
        belongs to the learning rate.

        Args:
            image: Image embeddings, (B, D); row i of each argument belongs to sample i.
            audio: Audio embeddings, (B, D).
            text: Text embeddings, (B, D).

        Raises:
            ShapeError: Fewer than two modalities, or batches of different sizes.
        """
        given = [len(features) for features in (image, audio, text) if features is not None]
        if len(given) < 2 or len(set(given)) != 1:
            raise ShapeError(
                f"Eq. 1 needs two or three modalities of one batch size, got {given}.",
                "Give the embeddings of the same samples.",
            )
        pairs = [pair for pair in self.logits(image, audio, text) if pair is not None]
        return torch.stack([symmetric_info_nce(pair, "sum") for pair in pairs]).sum()

    def check_images(self, images: Tensor) -> None:
        """Refuse pictures that ``encode_image`` does not take.

        Raises:
            ShapeError: Not float (B, 3, H, W) in whole cells.
        """
        cell = self.config.image.cell
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ShapeError(
                f"Pictures must be float (B, 3, H, W), got {tuple(images.shape)} {images.dtype}.",
                "Normalise them with `tvsl.audioclip.image_encoder.normalise`.",
            )
        if images.shape[2] % cell or images.shape[3] % cell or 0 in images.shape:
            raise ShapeError(
                f"Height and width must be multiples of {cell}, got {tuple(images.shape[2:])}.",
                "Resize the pictures.",
            )

    def scaled(self, waveforms: Tensor) -> Tensor:
        """Scale waveforms to the audio encoder's range: (B, S).

        Args:
            waveforms: Mono in [-1, 1], (B, S) or (B, 1, S).

        Raises:
            ShapeError: Another shape.
        """
        if waveforms.ndim == 3 and waveforms.shape[1] == 1:
            waveforms = waveforms[:, 0]
        if waveforms.ndim != 2 or waveforms.shape[1] < 1 or not waveforms.is_floating_point():
            raise ShapeError(
                f"Waveforms must be float (B, S), got {tuple(waveforms.shape)} {waveforms.dtype}.",
                "Mix channels to mono and scale to [-1, 1].",
            )
        return waveforms * self.config.waveform_scale


def _factor(scale: Tensor) -> Tensor:
    """Factor of the cosines from a logit scale, which is a logarithm."""
    return scale.exp().clamp(1.0, MAX_LOGIT_SCALE)
