"""The predictor: encodes a picture and its sound once, and localizes any class names in them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from tvsl import loading
from tvsl.clip_encoder import ClipEncoder, Fit, naming
from tvsl.detecting import Classes
from tvsl.encoded import Encoded
from tvsl.encoder import Encoder, FlipAverage, MovableEncoder, SavableEncoder, without_meaning
from tvsl.encoder import same_meaning as same_meaning_of
from tvsl.errors import SilentAudioError, UsageError, first_few, shown
from tvsl.localization import Localization, Request, answer
from tvsl.media.audio import AudioSource, load_audio
from tvsl.media.image import ImageSource
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits
from tvsl.methods.base import Method, with_overrides
from tvsl.methods.checkpoint_io import save_head
from tvsl.methods.tvsl import ReleasedConfig, TVSLConfig
from tvsl.utils.devices import PrecisionChoice, choose_device
from tvsl.utils.hub import hub_model, upload
from tvsl.utils.model_folder import HEAD_FOLDER, writing_bundle
from tvsl.utils.processes import Progress
from tvsl.vocabularies import everyday_sounds, same_names

_MOST_VOCABULARIES = 8
_MOST_NAMED = 5


class Localizer(ClipEncoder):
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
        audio_stream: Whether the sound of a video is encoded once, and the windows of its moments
            take their parts, where they overlap. Less work with other maps
            (docs/speed.md#sound-over-time), and not for every encoder. One moment is heard by
            itself all the same.

    Raises:
        UsageError: A window, a likeness or an encoder that cannot be used so.
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
        audio_stream: bool = False,
    ) -> None:
        if same_meaning is not None and not 0 < same_meaning <= 1:
            raise UsageError(
                f"The likeness of names cannot be {same_meaning}.",
                "Give one over 0 and up to 1; 1 tells all names apart.",
            )
        own_fit: Fit = "square" if method.config.square_pictures else "aspect"
        super().__init__(encoder, fit or own_fit, window, limits, audio_stream)
        self.method = method.to(encoder.device).eval()
        self.name = name
        merged_from = same_meaning_of(encoder) if same_meaning is None else same_meaning
        self.same_meaning = 1.0 if merged_from is None else merged_from
        self._vocabularies: dict[tuple[str, ...], Classes] = {}

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | Encoder = "everyday",
        *,
        revision: str | None = None,
        head: str | Path | None = None,
        preset: str | TVSLConfig | ReleasedConfig | None = None,
        method: str | type[Method] | None = None,
        device: str = "auto",
        precision: PrecisionChoice = "float32",
        flip_average: FlipAverage | None = None,
        window: float | None = None,
        same_meaning: float | None = None,
        audio_stream: bool = False,
        progress: Progress | None = None,
    ) -> Localizer:
        """Load a model.

        Args:
            name_or_path: ``everyday`` or ``mini``, which come with the package; ``audioclip``
                or ``audioclip-partial`` (fetched where absent); the path of a checkpoint: a file,
                or a folder, which may hold a trained head in its folder ``head``; ``user/model``
                or ``user/model@revision`` on Hugging Face's hub, if nothing of that name is here;
                or an encoder of one's own: its registered name, a reference
                (``file.py:MyEncoder``), or itself.
            revision: Commit, tag or branch of a model on the hub; its main branch when None.
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
            audio_stream: As for the class.
            progress: Called with bytes so far and in all while weights are fetched.

        Raises:
            WeightsError: The checkpoint or the head cannot be had or used.
            VocabularyError: The vocabulary file is missing.
            UsageError: No such preset, method or device; a preset together with a head or a
                method; a head of another method; a method that needs a trained head; or a revision
                of what is not on the hub.
        """
        if revision is not None:
            on_hub = hub_model(str(name_or_path), revision)
            if on_hub is None or on_hub.revision != revision:
                raise UsageError(
                    f"{shown(str(name_or_path))} is no model of the hub of which there are "
                    "revisions.",
                    "Leave the revision out, or give user/model.",
                )
            name_or_path = str(on_hub)
        model = loading.load(
            name_or_path, head, preset, device, precision, flip_average, progress, method=method
        )
        return cls(
            model.encoder,
            model.method,
            model.name,
            window=window,
            same_meaning=same_meaning,
            audio_stream=audio_stream,
        )

    def to(self, device: str | torch.device) -> Localizer:
        """Move encoder and head to a device.

        Args:
            device: ``cpu``, ``cuda``, ``cuda:1``, …, or ``auto``.

        Returns:
            The same localizer. What was encoded before may be asked all the same.

        Raises:
            UsageError: There is no such device, or the encoder cannot be moved.
        """
        target = choose_device(str(device))
        if not isinstance(self.encoder, MovableEncoder):
            raise UsageError(
                "This encoder cannot be moved: it has no `to`.", "Make it on the device."
            )
        self.encoder.to(target)
        self.method.to(target)
        self._vocabularies.clear()
        return self

    def save_pretrained(self, folder: str | Path, force: bool = False) -> Path:
        """Save encoder and head as one folder, for ``from_pretrained``: both, or nothing.

        What is loaded from there answers as this one does, to the same bits. The window is no part
        of the model: give it again.

        Args:
            folder: The folder; other files in it stay.
            force: Whether a model that is there may be replaced, with its head.

        Raises:
            UsageError: The method is not registered, or the encoder is none that can be saved.
            OutputError: The folder is not empty and ``force`` is not set, a file that tvsl did not
                write is in the way, or it cannot be written.
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

    def push_to_hub(
        self,
        repo: str,
        *,
        revision: str | None = None,
        private: bool | None = None,
        message: str | None = None,
        token: str | None = None,
    ) -> str:
        """Save encoder and head on Hugging Face's hub, as ``save_pretrained`` does in a folder.

        Args:
            repo: Name of the model, ``user/model``; it is made where there is none.
            revision: The branch to write to; the main branch when None.
            private: Whether a model that is made is private; as the account says when None.
            message: Message of the commit.
            token: A token that may write; that of ``hf auth login`` when None.

        Returns:
            The name with the commit, ``user/model@commit``, which ``from_pretrained`` takes.

        Raises:
            UsageError: As for ``save_pretrained``, a wrong name, or huggingface_hub is missing.
            OutputError: It cannot be written.
        """
        with TemporaryDirectory() as work:
            folder = self.save_pretrained(Path(work) / "model")
            text = message or f"{self.name}, by tvsl"
            return str(upload(folder, repo, text, revision, private, token))

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
            image: Path, PIL picture, RGB array (H, W, 3), or tensor (H, W, 3) or (3, H, W); uint8,
                or floats in [0, 1].
            audio: Path, ``Waveform``, (samples, rate) with samples (S,), (S, channels) or
                (channels, S), an array or a tensor, or ``{"array": …, "sampling_rate": …}``.
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
        encoded = self._encoded(image, audio, panels)
        if request.labels is not None:
            self._require_sound(encoded, audio)
        return self._answer(encoded, request)

    def localize_batch(
        self,
        images: Iterable[ImageSource],
        sounds: Iterable[AudioSource],
        labels: Sequence[Sequence[str]] | None = None,
        vocabulary: Sequence[str] | None = None,
        sources: int | None = None,
        *,
        panels: int = 1,
        batch: int = 16,
    ) -> list[Localization]:
        """Localize many pictures with their sounds; those of one size are encoded together.

        Args:
            images: N pictures, each as for ``localize``.
            sounds: Their N sounds.
            labels: The classes that sound in each, N lists; None to detect them.
            vocabulary: As for ``localize``, the same for all.
            sources: As for ``localize``, the same for all.
            panels: As for ``encode``.
            batch: Most that are read and encoded at once.

        Returns:
            N results, as ``localize`` gives them but for the rounding of floats.

        Raises:
            MediaError: As for ``localize``; the message names the item.
            ShapeError: As for ``localize``.
            VocabularyError: As for ``localize``.
            UsageError: As for ``localize``, or the lists differ in length.
        """
        images, sounds = list(images), list(sounds)
        if not len(images) == len(sounds) == len(images if labels is None else labels):
            raise UsageError(
                f"There are {len(images)} pictures, {len(sounds)} sounds and "
                f"{'no' if labels is None else len(labels)} lists of labels.",
                "Give one of each for each item; the same labels for all are [labels] * N.",
            )
        if batch < 1:
            raise UsageError(f"A batch of {batch} holds nothing.", "Give at least 1.")
        requests = [
            self._request(None if labels is None else labels[number], vocabulary, sources)
            for number in range(len(images) if labels is not None else 1)
        ] * (1 if labels is not None else len(images))
        found: list[Localization] = []
        for first in range(0, len(images), batch):
            part = range(first, min(first + batch, len(images)))
            encoded = self._encode_batch(images, sounds, part, panels)
            for number, one in zip(part, encoded, strict=True):
                with naming(number):
                    if requests[number].labels is not None:
                        self._require_sound(one, sounds[number])
                found.append(self._answer(one, requests[number]))
        return found

    def localize_encoded(
        self,
        encoded: Encoded,
        labels: Sequence[str] | None = None,
        vocabulary: Sequence[str] | None = None,
        sources: int | None = None,
    ) -> Localization:
        """``localize`` for what ``encode`` or ``encode_video`` gave; cheap.

        Args:
            encoded: A picture and its sound, on any device. Where nothing sounds there are no
                sources.
            labels: As for ``localize``.
            vocabulary: As for ``localize``.
            sources: As for ``localize``.

        Raises:
            VocabularyError: As for ``localize``.
            UsageError: As for ``localize``, a method that cannot detect, or what another encoder
                encoded.
        """
        if encoded.encoder not in (None, self.encoder.fingerprint):
            raise UsageError(
                "This was encoded by another encoder.",
                f"Encode it with this one, {shown(self.name)}, or load the other.",
            )
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
        moments = self.encode_video(path, at=at, every=every, start=start, end=end, panels=panels)
        return self._answers(moments, request, path, at is not None)

    def localize_frames(
        self,
        frames: Iterable[ImageSource],
        times: Sequence[float],
        sound: AudioSource,
        labels: Sequence[str] | None = None,
        vocabulary: Sequence[str] | None = None,
        sources: int | None = None,
        *,
        panels: int = 1,
    ) -> Iterator[Localization]:
        """Localize in pictures that are decoded already, as ``localize_video`` does in a file.

        Args:
            frames: The pictures, each as for ``localize``: a list, an array (T, H, W, 3), a tensor
                (T, 3, H, W), or an iterator, of which one is held at a time.
            times: Second of each picture on the sound's clock, rising.
            sound: The whole sound, as for ``localize``.
            labels: As for ``localize``.
            vocabulary: As for ``localize``.
            sources: As for ``localize_video``.
            panels: As for ``encode``.

        Returns:
            An iterator over the moments. The step between moments is the median of that of
            ``times``. The results do not hold the pictures: give them to ``overlay`` and ``plot``.

        Raises:
            MediaError: The sound cannot be used; with one picture and labels, also where nothing
                sounds.
            ShapeError: A picture or the sound of another shape, type or range.
            VocabularyError: As for ``localize``.
            UsageError: As for ``localize``, or the times do not rise, or are not as many as the
                pictures.
        """
        request = self._request(labels, vocabulary, sources)
        moments = _rising(times)
        every = median(b - a for a, b in pairwise(moments)) if len(moments) > 1 else None
        resolution = self.resolution(moments[0] if every is None else None, every)
        heard = load_audio(sound, self.encoder.sample_rate, limits=self.limits)
        timed, end = self._timed(frames, moments), moments[-1] if moments else None
        encoded = self._moments(None, heard, timed, panels, resolution, end)
        return self._answers(encoded, request, None, every is None)

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
        """A notice on class names that mean nothing to the model, if it can tell."""
        strange = [shown(name) for name in without_meaning(self.encoder, names)]
        if not strange:
            return ()
        listed = ", ".join(first_few(strange, _MOST_NAMED))
        return (f"the model knows no meaning of {listed}: it can only guess what that is",)

    def _answers(
        self, moments: Iterable[Encoded], request: Request, path: str | Path | None, alone: bool
    ) -> Iterator[Localization]:
        """Answer a request about each moment; one that stands alone must sound, if labels do."""
        for encoded in moments:
            if alone and encoded.silence is not None and request.labels is not None:
                raise SilentAudioError(
                    f"{encoded.silence[0].upper()}{encoded.silence[1:]}.",
                    "Choose another moment or file; there is nothing to localize.",
                    path,
                )
            yield self._answer(encoded, request)

    def _answer(self, encoded: Encoded, request: Request) -> Localization:
        if encoded.tokens is not None and encoded.tokens.visual.device != self.encoder.device:
            encoded = replace(encoded, tokens=encoded.tokens.to(self.encoder.device))
        return answer(self.method, encoded, request, self._classes(request), self.name)

    def class_names(self, request: Request) -> tuple[str, ...]:
        """Names of the classes that a request is answered among.

        Where a method compares classes, given labels are looked for among all that the model
        knows, as in the tables: else a label would mean something else beside other labels.
        """
        known = self.encoder.classes
        names = tuple(request.names or known or everyday_sounds())
        if request.labels is None or not self.method.config.compares_classes:
            return names
        return known if set(same_names(names)) <= set(same_names(known)) else names

    def _classes(self, request: Request) -> Classes:
        """The classes that a request is answered among, with their embeddings."""
        names = self.class_names(request)
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


def _rising(times: Iterable[float]) -> list[float]:
    """Times of pictures, checked."""
    remedy = "Give the second of each picture, one after the other."
    try:
        moments = [float(time) for time in times]
    except (TypeError, ValueError) as error:
        raise UsageError("The times of the pictures are no numbers.", remedy) from error
    rises = all(first < second for first, second in pairwise(moments))
    if not moments or not rises or not all(0 <= time < float("inf") for time in moments):
        raise UsageError("The times of the pictures do not rise from 0 s or later.", remedy)
    return moments


load = Localizer.from_pretrained
"""The function ``tvsl.load``."""
