"""The predictor: encodes a picture and its sound once, and localizes any class names in them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tvsl import loading
from tvsl.detecting import Classes
from tvsl.encoder import Encoder, FlipAverage, SavableEncoder, without_meaning
from tvsl.encoder import same_meaning as same_meaning_of
from tvsl.errors import SilentAudioError, UsageError, first_few, shown
from tvsl.localization import Encoded, Localization, Request, answer, outcome
from tvsl.media.audio import AudioSource, SoundReader
from tvsl.media.center_crop import crop_center, sound_event
from tvsl.media.image import (
    ImageSource,
    block_means,
    cut_panels,
    load_image,
    same_blocks,
)
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits
from tvsl.media.video import VideoFrame, iterate_frames, read_frames
from tvsl.media.waveform import Waveform, is_silent, require_sound
from tvsl.methods.base import Method, with_overrides
from tvsl.methods.checkpoint_io import save_head
from tvsl.methods.tvsl import ReleasedConfig, TVSLConfig
from tvsl.utils.devices import PrecisionChoice
from tvsl.utils.model_folder import HEAD_FOLDER, writing_bundle
from tvsl.utils.progress import Progress
from tvsl.vocabularies import everyday_sounds, same_names

Fit = Literal["aspect", "square"]

DEFAULT_WINDOW = 5.0
DEFAULT_STEP = 1.0
# Moments of a video are heard through a window of so many steps, within these seconds: what sounds
# further away belongs to other moments.
WINDOW_STEPS = 2
SMALLEST_WINDOW = 1.0
# A moment sounds where something sounds within half a step around it, at least within this.
SMALLEST_SPAN = 0.5
_MOST_VOCABULARIES = 8
_MOST_NAMED = 5


@dataclass(frozen=True)
class Resolution:
    """Steps and windows in time by which a video is heard.

    Attributes:
        step: Seconds from moment to moment; None for one moment.
        window: Longest sound around a moment in which its classes are detected, in seconds.
        span: Seconds around a moment in which something must sound for it to have sources.
    """

    step: float | None
    window: float
    span: float

    def to_dict(self) -> dict[str, float | None]:
        """The resolution as plain JSON types."""
        return {"step": self.step, "window": self.window, "span": self.span}


class Localizer:
    """Finds what sounds where.

    Args:
        encoder: The frozen encoder.
        method: A head for it.
        name: Name of the two in results.
        fit: ``aspect`` keeps a picture's shape in whole cells; ``square`` squeezes it into the
            encoder's training size, as the benchmarks do; as the head's config says when None.
        window: Longest stretch of sound that is heard at once, in seconds; of a longer sound the
            middle is taken, or what lies around the moment of a video, and the result says which.
            When None, 5 for a picture, and for a video twice the step, from 1 to 5.
        limits: Limits on untrusted files.
        same_meaning: Cosine from which on two names of a vocabulary are one to the model, where
            classes are detected; 1 for none. The encoder's own when None, if it has one.
    """

    def __init__(
        self,
        encoder: Encoder,
        method: Method,
        name: str,
        fit: Fit | None = None,
        window: float | None = None,
        limits: MediaLimits = DEFAULT_LIMITS,
        same_meaning: float | None = None,
    ) -> None:
        if same_meaning is not None and not 0 < same_meaning <= 1:
            raise UsageError(
                f"Names cannot be merged from a cosine of {same_meaning} on.",
                "Give one over 0, or 1 to merge none.",
            )
        if window is not None and not 0.1 <= window <= 60:
            raise UsageError(f"A window of {window} s cannot be heard.", "Give 0.1 to 60 seconds.")
        self.encoder = encoder
        self.method = method.to(encoder.device).eval()
        self.name = name
        self.fit: Fit = fit or ("square" if method.config.square_pictures else "aspect")
        self.window = DEFAULT_WINDOW if window is None else window
        self._fits_window = window is None
        self.limits = limits
        merged_from = same_meaning_of(encoder) if same_meaning is None else same_meaning
        self.same_meaning = 1.0 if merged_from is None else merged_from
        self._vocabularies: dict[tuple[str, ...], Classes] = {}

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | Encoder = "everyday",
        *,
        head: str | Path | None = None,
        preset: str | TVSLConfig | ReleasedConfig | None = None,
        method: str | type[Method] | None = None,
        device: str = "auto",
        precision: PrecisionChoice = "float32",
        flip_average: FlipAverage | None = None,
        window: float | None = None,
        same_meaning: float | None = None,
        progress: Progress | None = None,
    ) -> Localizer:
        """Load a model.

        Args:
            name_or_path: ``everyday`` or ``mini``, which come with the package; ``audioclip``
                or ``audioclip-partial`` (fetched where absent); the path of a checkpoint: a file,
                or a folder, which may hold a trained head in its folder ``head``; or an encoder
                of one's own: its registered name, a reference (``file.py:MyEncoder``), or itself.
            head: Folder of another trained head; the model's own when None, if it has one.
            preset: Else an untrained T-VSL head; the zero-shot preset ``tvsl`` when None.
            method: The head's method: a name of ``tvsl.methods.METHODS``, a reference
                (``file.py:MyMethod``) or the class; without a head of it, an untrained one, where
                the method is of use so.
            device: ``auto``, or a device of torch.
            precision: Arithmetic of the convolutions; ``auto`` takes bfloat16 where it pays.
            flip_average: Average with the flipped picture's tokens; the head's choice when None.
            window: Longest stretch of sound that is heard at once, in seconds; as for the class
                when None.
            same_meaning: As for the class.
            progress: Called with bytes so far and in all while weights are fetched.

        Returns:
            The localizer.

        Raises:
            WeightsError: The checkpoint or the head cannot be had or used.
            VocabularyError: The vocabulary file is missing.
            UsageError: No such preset, method or device; a preset together with a head or a
                method; a head of another method; or a method that needs a trained head.
        """
        model = loading.load(
            name_or_path, head, preset, device, precision, flip_average, progress, method=method
        )
        return cls(
            model.encoder, model.method, model.name, window=window, same_meaning=same_meaning
        )

    def save_pretrained(self, folder: str | Path, force: bool = False) -> Path:
        """Save encoder and head as one folder, for ``from_pretrained``: both, or nothing.

        What is loaded from there answers as this one does, to the same bits. The window is no part
        of the model: give it again.

        Args:
            folder: The folder; other files in it stay.
            force: Whether a model that is there may be replaced, with its head.

        Returns:
            The folder.

        Raises:
            UsageError: The method is not registered, or the encoder is none that can be saved.
            OutputError: The folder is not empty and ``force`` is not set, or cannot be written.
        """
        folder = Path(folder).expanduser()
        if not isinstance(self.encoder, SavableEncoder):
            raise UsageError("This encoder cannot be saved.", "Use one of tvsl.list_models().")
        head = copy.copy(self.method)
        head.config = with_overrides(
            self.method.config,
            flip_average=self.encoder.flip_average,
            square_pictures=self.fit == "square",
        )
        with writing_bundle(folder, force) as work:
            self.encoder.save(work)
            save_head(head, self.encoder, work / HEAD_FOLDER)
        return folder

    def encode(self, image: ImageSource, audio: AudioSource, panels: int = 1) -> Encoded:
        """Encode a picture and its sound.

        Args:
            image: Path, PIL picture, or RGB array (H, W, 3) uint8.
            audio: Path, ``Waveform``, or (samples, rate) with samples (S,) or (S, channels).
            panels: Number of frames side by side in the picture, as in the benchmarks'
                mixtures: it is cut into as many equal parts, each encoded by itself.

        Returns:
            What ``localize_encoded`` takes.

        Raises:
            MediaError: A file cannot be used, or the sound is silent.
            ShapeError: An array of another shape or type.
            UsageError: The panels do not divide the picture's width.
        """
        pictures, waveform = self._read(image, audio, panels)
        path = audio if isinstance(audio, str | Path) else None
        return self._encode(pictures, require_sound(waveform, path), None)

    def _read(
        self, image: ImageSource, audio: AudioSource, panels: int
    ) -> tuple[list[NDArray[np.uint8]], Waveform]:
        """Panels of a picture, and the sound that is heard with it."""
        where = image if isinstance(image, str | Path) else None
        pictures = cut_panels(load_image(image, self.limits), panels, where)
        rate = self.encoder.sample_rate
        return pictures, crop_center(audio, self.window, rate, self.limits)

    def localize(
        self,
        image: ImageSource,
        audio: AudioSource,
        labels: Sequence[str] | None = None,
        vocabulary: Sequence[str] | None = None,
        sources: int | None = None,
        panels: int = 1,
    ) -> Localization:
        """Localize the sound sources of a picture.

        Args:
            image: Path, PIL picture, or RGB array (H, W, 3) uint8.
            audio: Path, ``Waveform``, or (samples, rate) with samples (S,) or (S, channels).
            labels: The classes that sound, when they are known: one map for each. A method that
                shares a sound out among classes does so among the model's own; among the labels
                themselves, where the model does not know all of them.
            vocabulary: Else the classes among which to detect; the model's own when None.
            sources: Else how many to detect; as many as are found when None.
            panels: As for ``encode``.

        Returns:
            The sources with their maps. None where classes are detected and nothing sounds, or
            nothing that a calibrated head knows; its notices say so.

        Raises:
            MediaError: A file cannot be used, or labels are given and the sound is silent.
            ShapeError: An array of another shape or type.
            VocabularyError: A name occurs twice, be it in two spellings, or the model cannot
                express it.
            UsageError: Labels together with a vocabulary or a number of sources, or panels that
                do not divide the picture's width.
        """
        request = self._request(labels, vocabulary, sources)
        pictures, waveform = self._read(image, audio, panels)
        if request.labels is None and is_silent(waveform):
            end = waveform.start + waveform.duration
            size = (pictures[0].shape[0], pictures[0].shape[1] * panels)
            where = f"here: the sound is silent from {waveform.start:.2f} to {end:.2f} s"
            return self._silence(request, size, None, where)
        path = audio if isinstance(audio, str | Path) else None
        return self._answer(self._encode(pictures, require_sound(waveform, path), None), request)

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
        return self._answer(encoded, self._request(labels, vocabulary, sources))

    def localize_video(
        self,
        path: str | Path,
        labels: Sequence[str] | None = None,
        vocabulary: Sequence[str] | None = None,
        sources: int | None = None,
        *,
        at: float | None = None,
        every: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        panels: int = 1,
    ) -> Iterator[Localization]:
        """Localize the sound sources of a video, moment by moment, in bounded memory.

        A moment has sources where something sounds in the span around it, half a step and at
        least half a second long. Their classes are detected in the window of sound around the
        moment, which ends at silences; ``resolution`` has both lengths.

        Args:
            path: A local video file with sound.
            labels: As for ``localize``.
            vocabulary: As for ``localize``.
            sources: As for ``localize``; so many at each moment that sounds, whatever their scores.
            at: One moment in seconds, in place of a series.
            every: Seconds from moment to moment; 1 when None.
            start: First moment of the series in seconds.
            end: Seconds before which the series ends; the end of the video when None.
            panels: As for ``encode``.

        Returns:
            An iterator over the moments; one without sources where nothing sounds, or nothing
            that is known. Broken files raise while it runs.

        Raises:
            MediaError: The file cannot be used; with ``at`` and labels, also where nothing sounds.
            VocabularyError: As for ``localize``.
            UsageError: Arguments that contradict each other.
        """
        request = self._request(labels, vocabulary, sources)
        if at is not None and every is not None:
            raise UsageError("`at` and `every` exclude each other.", "Give one of them.")
        if at is not None and (start or end is not None):
            raise UsageError("One moment has neither start nor end.", "Leave `at` out, or these.")
        resolution = self.resolution(at, every)
        if at is not None:
            frames = read_frames(path, [at], self.limits)
        else:
            frames = iterate_frames(path, resolution.step, start, end, self.limits)
        return self._moments(path, request, frames, panels, resolution)

    def resolution(self, at: float | None = None, every: float | None = None) -> Resolution:
        """Step, window and span by which ``localize_video`` hears a video.

        Args:
            at: As for ``localize_video``; one moment is heard like those of the usual series.
            every: As for ``localize_video``.

        Returns:
            Step, window and span.
        """
        step = DEFAULT_STEP if every is None else every
        fitted = min(max(WINDOW_STEPS * step, SMALLEST_WINDOW), DEFAULT_WINDOW)
        window = fitted if self._fits_window else self.window
        span = min(max(step / 2, SMALLEST_SPAN), window)
        return Resolution(None if at is not None else step, window, span)

    def _request(
        self,
        labels: Sequence[str] | None,
        vocabulary: Sequence[str] | None,
        sources: int | None,
    ) -> Request:
        """A request whose names the model can express, so that no work is done in vain."""
        request = Request(labels, vocabulary, sources)
        if request.names is None:
            return request
        self._classes(request)
        return replace(request, notices=self.notices(request.names))

    def notices(self, names: Sequence[str]) -> tuple[str, ...]:
        """Notices on class names: that some mean nothing to the model.

        Args:
            names: Class names.

        Returns:
            At most one sentence; none for a model that cannot tell.
        """
        strange = [shown(name) for name in without_meaning(self.encoder, names)]
        if not strange:
            return ()
        listed = ", ".join(first_few(strange, _MOST_NAMED))
        return (f"the model knows no meaning of {listed}: it can only guess what that is",)

    def _moments(
        self,
        path: str | Path,
        request: Request,
        frames: Iterator[VideoFrame],
        panels: int,
        resolution: Resolution,
    ) -> Iterator[Localization]:
        rate, is_series = self.encoder.sample_rate, resolution.step is not None
        still: NDArray[np.int16] | None = None
        reader = SoundReader(Path(path), rate, self.limits)
        before: tuple[NDArray[np.uint8], Encoded] | None = None
        for frame in frames:
            blocks = block_means(frame.image)
            is_still = still is not None and same_blocks(still, blocks)
            still = still if is_still else blocks
            pictures = cut_panels(frame.image, panels, path)
            waveform = sound_event(
                path, frame.time, resolution.window, resolution.span, rate, self.limits, reader
            )
            if waveform is not None:
                if before is not None and np.array_equal(before[0], frame.image):
                    encoded = self._with_sound(before[1], waveform, frame.time)
                else:
                    encoded = self._encode(pictures, waveform, frame.time)
                before = frame.image, encoded
                yield replace(self._answer(encoded, request), still=is_still)
                continue
            size = (frame.image.shape[0], frame.image.shape[1])
            where = f"within {resolution.span:g} s around {frame.time:g} s"
            if not is_series and request.labels is not None:
                raise SilentAudioError(
                    f"Nothing sounds {where}.",
                    "Choose another moment or file; there is nothing to localize.",
                    path,
                )
            yield replace(self._silence(request, size, frame.time, where), still=is_still)

    def _answer(self, encoded: Encoded, request: Request) -> Localization:
        return answer(self.method, encoded, request, self._classes(request), self.name)

    def _silence(
        self, request: Request, size: tuple[int, int], time: float | None, where: str
    ) -> Localization:
        """The result where nothing sounds."""
        return outcome((), request, self.name, size, time, silence=f"nothing sounds {where}")

    def _encode(
        self, pictures: Sequence[NDArray[np.uint8]], waveform: Waveform, time: float | None
    ) -> Encoded:
        """Encode what ``cut_panels`` gave, and its sound."""
        height, width = pictures[0].shape[:2]
        square = self.fit == "square"
        frames = torch.stack([self.encoder.prepare(picture, square) for picture in pictures])
        tokens = self.encoder.encode(frames[None], torch.from_numpy(waveform.samples)[None])
        end = waveform.start + waveform.duration
        size = (height, width * len(pictures))
        return Encoded(tokens, size, time, (waveform.start, end))

    def _with_sound(self, encoded: Encoded, waveform: Waveform, time: float | None) -> Encoded:
        """The picture of what was encoded with another sound; the picture is not encoded again."""
        sounds = self.encoder.encode_sounds(torch.from_numpy(waveform.samples)[None])
        tokens = replace(encoded.tokens, audio=sounds.tokens, sound=sounds.embeddings)
        heard = (waveform.start, waveform.start + waveform.duration)
        return replace(encoded, tokens=tokens, time=time, time_range=heard)

    def _classes(self, request: Request) -> Classes:
        """The classes that a request is answered among.

        Where a method compares classes, given labels are looked for among all that the model
        knows, as in the tables: else a label would mean something else beside other labels.
        """
        known = self.encoder.classes
        names = tuple(request.names or known or everyday_sounds())
        if request.labels is not None and self.method.config.compares_classes:
            names = known if set(same_names(names)) <= set(same_names(known)) else names
        classes = self._vocabularies.pop(names, None) or self._grouped(names)
        self._vocabularies[names] = classes  # at the end: the one used last
        while len(self._vocabularies) > _MOST_VOCABULARIES:
            del self._vocabularies[next(iter(self._vocabularies))]
        return classes

    def _grouped(self, names: Sequence[str]) -> Classes:
        """Class names with those that are one to the model."""
        vocabulary = self.encoder.vocabulary(names)
        if self.same_meaning >= 1:
            return Classes(vocabulary)
        return Classes(vocabulary, vocabulary.groups(self.same_meaning))


load = Localizer.from_pretrained
"""The function ``tvsl.load``."""
