"""The predictor: encode a picture and its sound once, ask with class names as often as wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tvsl.audioclip.encoder import AudioCLIPEncoder, FlipAverage
from tvsl.audioclip.weights import load_audioclip
from tvsl.devices import PrecisionChoice, choose_device, choose_precision
from tvsl.encoder import Encoder
from tvsl.errors import UsageError
from tvsl.localization import LabelSource, Localization, SoundSource
from tvsl.media.audio import AudioSource, Waveform, is_silent, require_sound, sound_window
from tvsl.media.image import ImageSource, load_image
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits
from tvsl.media.middle import sound_middle
from tvsl.media.video import VideoFrame, iterate_frames, read_frame
from tvsl.methods.base import Method
from tvsl.methods.tvsl import ReleasedConfig, TVSLConfig, build
from tvsl.methods.tvsl import preset as find_preset
from tvsl.methods.tvsl.detection import select
from tvsl.request import Request
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.vocabularies import everyday_sounds

Fit = Literal["aspect", "square"]

DEFAULT_WINDOW = 5.0
DEFAULT_STEP = 1.0


@dataclass(frozen=True, eq=False)
class Encoded:
    """A picture and its sound, encoded once.

    Attributes:
        tokens: Their tokens, B = 1.
        size: Height and width of the picture in pixels.
        time: Where in its video the picture stands, in seconds, or None.
        time_range: Start and end in seconds of the sound that was heard.
    """

    tokens: Tokens
    size: tuple[int, int]
    time: float | None
    time_range: tuple[float, float]


class Localizer:
    """Finds what sounds where.

    Args:
        encoder: The frozen encoder.
        method: A head for it.
        name: What results call the two.
        fit: ``aspect`` keeps a picture's shape in whole cells; ``square`` squeezes it into the
            encoder's training size, as the benchmarks do.
        window: Longest stretch of sound that is heard at once, in seconds; of a longer sound the
            middle is taken, and the result's time range says which.
        detection_threshold: Score from which a class counts as detected; None for classes that
            stand out of the vocabulary.
        limits: What untrusted files may ask for.
    """

    def __init__(
        self,
        encoder: Encoder,
        method: Method,
        name: str,
        fit: Fit = "aspect",
        window: float = DEFAULT_WINDOW,
        detection_threshold: float | None = None,
        limits: MediaLimits = DEFAULT_LIMITS,
    ) -> None:
        if not 0.1 <= window <= 60:
            raise UsageError(f"A window of {window} s cannot be heard.", "Give 0.1 to 60 seconds.")
        self.encoder = encoder
        self.method = method.to(encoder.device).eval()
        self.name = name
        self.fit = fit
        self.window = window
        self.detection_threshold = detection_threshold
        self.limits = limits
        self._vocabularies: dict[tuple[str, ...], Vocabulary] = {}

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = "audioclip",
        *,
        preset: str | TVSLConfig | ReleasedConfig = "tvsl",
        device: str = "auto",
        precision: PrecisionChoice = "float32",
        flip_average: FlipAverage = "none",
        window: float = DEFAULT_WINDOW,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Localizer:
        """Load a model.

        Args:
            name_or_path: ``audioclip`` or ``audioclip-partial`` (fetched where absent), or the
                path of a checkpoint.
            preset: Preset of the untrained T-VSL head, ``tvsl`` localizes zero-shot; or a config
                of one's own.
            device: ``auto``, or a device of torch.
            precision: Arithmetic of the convolutions; ``auto`` takes bfloat16 where it pays.
            flip_average: Average with the tokens of the flipped picture.
            window: Longest stretch of sound that is heard at once, in seconds.
            progress: Called with bytes so far and in all while weights are fetched.

        Returns:
            The localizer.

        Raises:
            WeightsError: The checkpoint cannot be had or used.
            VocabularyError: The vocabulary file is missing.
            UsageError: No such preset or device.
        """
        config = find_preset(preset) if isinstance(preset, str) else preset
        target = choose_device(device)
        model = load_audioclip(name_or_path, config.waveform_scale, progress)
        model.require_tokenizer()  # else the lack of it would show only after all other work
        arithmetic = choose_precision(precision, target)
        encoder = AudioCLIPEncoder(model, arithmetic, config.image_tokens, flip_average)
        method = build(config, model.config.embedding, text_encoder=model)
        head = preset if isinstance(preset, str) else "tvsl (own switches)"
        return cls(
            encoder.to(target),
            method,
            name=f"{Path(name_or_path).name}/{head}",
            fit="square" if config.square_pictures else "aspect",
            window=window,
            detection_threshold=config.detection_threshold,
        )

    def encode(self, image: ImageSource, audio: AudioSource) -> Encoded:
        """Encode a picture and its sound.

        Args:
            image: Path, PIL picture, or RGB array (H, W, 3) uint8.
            audio: Path, ``Waveform``, or (samples, rate) with samples (S,) or (S, channels).

        Returns:
            What ``localize_encoded`` takes.

        Raises:
            MediaError: A file cannot be used, or the sound is silent.
            ShapeError: An array of another shape or type.
        """
        picture = load_image(image, self.limits)
        rate = self.encoder.sample_rate
        waveform = sound_middle(audio, self.window, rate, self.limits)
        path = audio if isinstance(audio, str | Path) else None
        return self._encode(picture, require_sound(waveform, path), None)

    def localize(
        self,
        image: ImageSource,
        audio: AudioSource,
        labels: Sequence[str] | None = None,
        vocabulary: Sequence[str] | None = None,
        sources: int | None = None,
    ) -> Localization:
        """Localize the sound sources of a picture.

        Args:
            image: Path, PIL picture, or RGB array (H, W, 3) uint8.
            audio: Path, ``Waveform``, or (samples, rate) with samples (S,) or (S, channels).
            labels: The classes that sound, when they are known: one map for each.
            vocabulary: Else the classes among which to detect; everyday sounds when None.
            sources: Else how many to detect; as many as are found when None.

        Returns:
            The sources with their maps.

        Raises:
            MediaError: A file cannot be used, or the sound is silent.
            ShapeError: An array of another shape or type.
            VocabularyError: A name is empty, occurs twice or is too long.
            UsageError: Labels together with a vocabulary or a number of sources.
        """
        request = Request(labels, vocabulary, sources)
        return self._answer(self.encode(image, audio), request)

    def localize_encoded(
        self,
        encoded: Encoded,
        labels: Sequence[str] | None = None,
        vocabulary: Sequence[str] | None = None,
        sources: int | None = None,
    ) -> Localization:
        """``localize`` for what ``encode`` gave; cheap.

        Args:
            encoded: A picture and its sound.
            labels: As for ``localize``.
            vocabulary: As for ``localize``.
            sources: As for ``localize``.

        Returns:
            The sources with their maps.

        Raises:
            VocabularyError: As for ``localize``.
            UsageError: As for ``localize``, or a method that cannot detect.
        """
        return self._answer(encoded, Request(labels, vocabulary, sources))

    def localize_video(
        self,
        path: str | Path,
        labels: Sequence[str] | None = None,
        vocabulary: Sequence[str] | None = None,
        sources: int | None = None,
        *,
        at: float | None = None,
        every: float | None = None,
    ) -> Iterator[Localization]:
        """Localize the sound sources of a video, moment by moment, in bounded memory.

        Each picture is heard with the window of sound around it.

        Args:
            path: A local video file with sound.
            labels: As for ``localize``.
            vocabulary: As for ``localize``.
            sources: As for ``localize``.
            at: One moment in seconds, in place of a series.
            every: Seconds from moment to moment; 1 when None.

        Returns:
            An iterator over the moments; one without sources where the sound is silent. Broken
            files raise while it runs.

        Raises:
            MediaError: The file cannot be used; with ``at``, also where its sound is silent.
            VocabularyError: A name is empty, occurs twice or is too long.
            UsageError: Arguments that contradict each other.
        """
        request = Request(labels, vocabulary, sources)
        if at is not None and every is not None:
            raise UsageError("`at` and `every` exclude each other.", "Give one of them.")
        if at is not None:
            return self._moment(path, request, at)
        step = DEFAULT_STEP if every is None else every
        return self._moments(path, request, iterate_frames(path, step, limits=self.limits))

    def _moment(self, path: str | Path, request: Request, at: float) -> Iterator[Localization]:
        frame = read_frame(path, at, self.limits)
        waveform = require_sound(self._sound_at(path, frame), path)
        yield self._answer(self._encode(frame.image, waveform, frame.time), request)

    def _moments(
        self, path: str | Path, request: Request, frames: Iterator[VideoFrame]
    ) -> Iterator[Localization]:
        for frame in frames:
            waveform = self._sound_at(path, frame)
            if is_silent(waveform):
                size = (frame.image.shape[0], frame.image.shape[1])
                yield self._result((), request, size, frame.time)
            else:
                yield self._answer(self._encode(frame.image, waveform, frame.time), request)

    @torch.inference_mode()
    def _answer(self, encoded: Encoded, request: Request) -> Localization:
        classes = self._vocabulary(request.names)
        scores = self.method.detect(encoded.tokens, classes)
        if request.labels is not None:
            queries = Queries.from_lists([range(len(classes))]).to(self.encoder.device)
        elif scores is None:
            raise UsageError("This method cannot detect classes.", "Give labels.")
        else:
            queries = select(scores, request.sources, self.detection_threshold)
        maps = self.method.maps(encoded.tokens, queries, classes) * self.method.polarity
        found = tuple(
            SoundSource(
                label=classes.names[label],
                score=0.0 if scores is None else float(scores[0, label]),
                grid=grid,
                size=encoded.size,
                time_range=encoded.time_range,
            )
            for label, grid in zip(queries.label.tolist(), maps.float().cpu().numpy(), strict=True)
        )
        return self._result(found, request, encoded.size, encoded.time)

    def _result(
        self,
        sources: tuple[SoundSource, ...],
        request: Request,
        size: tuple[int, int],
        time: float | None,
    ) -> Localization:
        label_source: LabelSource = "detected" if request.labels is None else "given"
        return Localization(sources, label_source, self.name, size, time)

    def _sound_at(self, path: str | Path, frame: VideoFrame) -> Waveform:
        rate = self.encoder.sample_rate
        return sound_window(path, frame.time, self.window, rate, self.limits)

    def _encode(
        self, picture: NDArray[np.uint8], waveform: Waveform, time: float | None
    ) -> Encoded:
        size = (picture.shape[0], picture.shape[1])
        frames = self.encoder.prepare(picture, square=self.fit == "square")[None]
        tokens = self.encoder.encode(frames, torch.from_numpy(waveform.samples)[None])
        end = waveform.start + waveform.duration
        return Encoded(tokens, size, time, (waveform.start, end))

    def _vocabulary(self, names: Sequence[str] | None) -> Vocabulary:
        key = everyday_sounds() if names is None else tuple(names)
        if key not in self._vocabularies:
            self._vocabularies[key] = self.encoder.vocabulary(key)
        return self._vocabularies[key]
