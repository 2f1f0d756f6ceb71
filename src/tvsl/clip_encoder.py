"""Pictures, sounds and videos to ``Encoded``: the expensive part of a localization."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tvsl.encoded import Encoded, PictureSource
from tvsl.encoder import Encoder, FrameTokens, SoundGrid, SoundTokens, StreamingEncoder, join_panels
from tvsl.errors import TvslError, UsageError
from tvsl.media.audio import AudioSource, SoundReader
from tvsl.media.center_crop import Read, crop_center, sound_event, window_reader
from tvsl.media.image import ImageSource, block_means, cut_panels, load_image, same_blocks
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits
from tvsl.media.video import VideoFrame, iterate_frames, read_frames
from tvsl.media.waveform import Waveform, is_silent, require_sound

Fit = Literal["aspect", "square"]

DEFAULT_WINDOW = 5.0
DEFAULT_STEP = 1.0
# Moments of a video are heard through a window of so many steps, within these seconds: what sounds
# further away belongs to other moments.
WINDOW_STEPS = 2
SMALLEST_WINDOW = 1.0
# A moment sounds where something sounds within half a step around it, at least within this.
SMALLEST_SPAN = 0.5
# Columns of a long sound that are encoded at once, without those of their margins.
PIECE = 64


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


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A picture and its sound before they are encoded.

    Attributes:
        frames: The panels, (panels, 3, H, W).
        samples: The sound, (S,).
        blank: What they become, without tokens.
    """

    frames: torch.Tensor
    samples: torch.Tensor
    blank: Encoded


def streaming(encoder: Encoder) -> tuple[StreamingEncoder, SoundGrid]:
    """An encoder that hears a long sound once, with its grid.

    Raises:
        UsageError: It cannot.
    """
    if isinstance(encoder, StreamingEncoder) and encoder.sound_grid is not None:
        return encoder, encoder.sound_grid
    raise UsageError(
        "This model hears every window by itself: windows share nothing in it.",
        "Leave audio_stream (--audio-stream) out.",
    )


class SoundStream:
    """A long sound that is encoded once, in pieces; a window takes the columns that lie in it.

    A column hears what lies around the window too, where a window that is encoded by itself ends
    in silence. One piece is held at a time.

    Args:
        encoder: An encoder that can hear so.
        read: Reads the sound.
        until: Sample behind the last that will be asked for; None for the end of the sound.

    Raises:
        UsageError: The encoder cannot hear so.
    """

    def __init__(self, encoder: Encoder, read: Read, until: int | None = None) -> None:
        self._encoder, self._grid = streaming(encoder)
        self._read = read
        self._until = sys.maxsize if until is None else math.ceil(until / self._grid.step)
        self._columns: torch.Tensor | None = None
        self._at = self._first = self._stop = 0

    def hear(self, begin: int, samples: int) -> SoundTokens:
        """Tokens of a window.

        Args:
            begin: Its first sample, inside the sound. Fast where windows move forwards.
            samples: Its length.

        Returns:
            As many tokens as the window has by itself; fewer where the sound ends before it.
        """
        first, count = round(begin / self._grid.step), self._grid.columns(samples)
        columns = self._columns
        if columns is None or first < self._first or first + count > self._stop:
            # So far back that the piece holds a column of the whole sound.
            start = max(0, (begin - self._grid.overlap) // self._grid.step)
            columns = self._columns = self._encode(min(first, start), first + count)
        stop = min(first + count - self._at, columns.shape[-1])
        return self._encoder.pool_columns(columns[..., max(0, stop - count) : stop])

    def _encode(self, first: int, least: int) -> torch.Tensor:
        """Encode a piece from a column on, at least up to another, and what its margins hear."""
        step, overlap, margin = self._grid
        self._at = max(0, first - margin)
        stop = max(least, min(first + PIECE, self._until))
        count = (stop + margin - self._at) * step + overlap
        samples, _ = self._read(self._at * step, count)
        self._first, self._stop = first, stop if samples.size == count else sys.maxsize
        return self._encoder.encode_columns(_tensor(samples)[None])


class ClipEncoder:
    """Reads and encodes pictures with their sounds, and videos.

    Args:
        encoder: The frozen encoder.
        fit: As for ``tvsl.Localizer``.
        window: As for ``tvsl.Localizer``.
        limits: As for ``tvsl.Localizer``.
        audio_stream: As for ``tvsl.Localizer``.
    """

    def __init__(
        self,
        encoder: Encoder,
        fit: Fit = "aspect",
        window: float | None = None,
        limits: MediaLimits = DEFAULT_LIMITS,
        audio_stream: bool = False,
    ) -> None:
        if window is not None and not 0.1 <= window <= 60:
            raise UsageError(f"A window of {window} s cannot be heard.", "Give 0.1 to 60 seconds.")
        self.encoder = encoder
        self.fit: Fit = fit
        self.window = DEFAULT_WINDOW if window is None else window
        self._fits_window = window is None
        self.limits = limits
        self.audio_stream = audio_stream
        if audio_stream:
            streaming(encoder)

    def encode(self, image: ImageSource, audio: AudioSource, panels: int = 1) -> Encoded:
        """Encode a picture and its sound.

        Args:
            image: Path, PIL picture, RGB array (H, W, 3), or tensor (H, W, 3) or (3, H, W); uint8,
                or floats in [0, 1].
            audio: Path, ``Waveform``, (samples, rate) with samples (S,), (S, channels) or
                (channels, S), an array or a tensor, or ``{"array": …, "sampling_rate": …}``.
            panels: Number of frames side by side in the picture, as in the benchmarks'
                mixtures: it is cut into as many equal parts, each encoded by itself.

        Returns:
            What ``localize_encoded`` takes.

        Raises:
            MediaError: A file cannot be used, or the sound is silent.
            ShapeError: An array of another shape or type.
            UsageError: The panels do not divide the picture's width.
        """
        encoded = self._encoded(image, audio, panels)
        return self._require_sound(encoded, audio)

    def encode_video(
        self,
        path: str | Path,
        *,
        at: float | None = None,
        every: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        panels: int = 1,
    ) -> Iterator[Encoded]:
        """Encode a video moment by moment, to ask of it often: the expensive part, once.

        Args:
            path: As for ``localize_video``.
            at: As for ``localize_video``.
            every: As for ``localize_video``.
            start: As for ``localize_video``.
            end: As for ``localize_video``.
            panels: As for ``encode``.

        Returns:
            An iterator over the moments; make a list of it to keep them: some 200 kB each with the
            everyday model. ``localize_encoded`` takes each.

        Raises:
            MediaError: The file cannot be used.
            UsageError: Arguments that contradict each other.
        """
        if at is not None and every is not None:
            raise UsageError("`at` and `every` exclude each other.", "Give one of them.")
        if at is not None and (start or end is not None):
            raise UsageError("One moment has neither start nor end.", "Leave `at` out, or these.")
        resolution = self.resolution(at, every)
        if at is not None:
            frames = read_frames(path, [at], self.limits)
        else:
            frames = iterate_frames(path, resolution.step, start, end, self.limits)
        return self._moments(path, path, frames, panels, resolution, end)

    def resolution(self, at: float | None = None, every: float | None = None) -> Resolution:
        """Step, window and span by which ``localize_video`` hears a video.

        Args:
            at: As for ``localize_video``; one moment is heard like those of the usual series.
            every: As for ``localize_video``.
        """
        step = DEFAULT_STEP if every is None else every
        fitted = min(max(WINDOW_STEPS * step, SMALLEST_WINDOW), DEFAULT_WINDOW)
        window = fitted if self._fits_window else self.window
        span = min(max(step / 2, SMALLEST_SPAN), window)
        return Resolution(None if at is not None else step, window, span)

    def _encoded(self, image: ImageSource, audio: AudioSource, panels: int) -> Encoded:
        """A picture and its sound; without tokens where that is silent."""
        pictures, waveform = self._read(image, audio, panels)
        known = PictureSource(image, limits=self.limits)
        if is_silent(waveform):
            return self._silence(_size(pictures), None, _silent_from(waveform), known)
        return self._encode_prepared([self._prepared(pictures, waveform, None, known)])[0]

    def _require_sound(self, encoded: Encoded, audio: AudioSource) -> Encoded:
        """Refuse silence, with the words that are used everywhere."""
        if encoded.tokens is None:
            path = audio if isinstance(audio, str | Path) else None
            rate = self.encoder.sample_rate
            require_sound(crop_center(audio, self.window, rate, self.limits), path)
        return encoded

    def _read(
        self, image: ImageSource, audio: AudioSource, panels: int
    ) -> tuple[list[NDArray[np.uint8]], Waveform]:
        """Panels of a picture, and the sound that is heard with it."""
        where = image if isinstance(image, str | Path) else None
        pictures = cut_panels(load_image(image, self.limits), panels, where)
        rate = self.encoder.sample_rate
        return pictures, crop_center(audio, self.window, rate, self.limits)

    def _encode_batch(
        self,
        images: Sequence[ImageSource],
        sounds: Sequence[AudioSource],
        numbers: range,
        panels: int,
    ) -> list[Encoded]:
        """Encode some items, those together whose frames and waveforms have one shape."""
        done: dict[int, Encoded] = {}
        groups: dict[tuple[object, ...], list[tuple[int, _Prepared]]] = {}
        for number in numbers:
            with naming(number):
                pictures, waveform = self._read(images[number], sounds[number], panels)
                known = PictureSource(images[number], limits=self.limits)
                if is_silent(waveform):
                    where = _silent_from(waveform)
                    done[number] = self._silence(_size(pictures), None, where, known)
                    continue
                one = self._prepared(pictures, waveform, None, known)
            key = (tuple(one.frames.shape), tuple(one.samples.shape))
            groups.setdefault(key, []).append((number, one))
        for members in groups.values():
            encoded = self._encode_prepared([one for _, one in members])
            done |= {n: one for (n, _), one in zip(members, encoded, strict=True)}
        return [done[number] for number in numbers]

    def _timed(self, frames: Iterable[ImageSource], times: Sequence[float]) -> Iterator[VideoFrame]:
        """Pictures with their times."""
        for number, (frame, time) in enumerate(zip_longest(frames, times)):
            if time is None or frame is None:
                more = "pictures" if time is None else "times"
                raise UsageError(f"There are more {more} than {number}.", "Give as many of both.")
            with naming(number, "Frame"):
                # A copy: an iterator may fill one array again and again.
                picture = load_image(frame, self.limits).copy()
            yield VideoFrame(time, picture)

    def _moments(
        self,
        path: str | Path | None,
        sound: str | Path | Waveform,
        frames: Iterator[VideoFrame],
        panels: int,
        resolution: Resolution,
        end: float | None,
    ) -> Iterator[Encoded]:
        """Encode moments; a still picture is not encoded again, nor a sound that is the same."""
        rate = self.encoder.sample_rate
        reader = (
            None if isinstance(sound, Waveform) else SoundReader(Path(sound), rate, self.limits)
        )
        stream = self._stream(sound, resolution, end)
        still: NDArray[np.int16] | None = None
        seen: FrameTokens | None = None  # of a picture that is the same as ``still``
        heard: tuple[Waveform, SoundTokens] | None = None
        for frame in frames:
            blocks = block_means(frame.image)
            is_still = still is not None and same_blocks(still, blocks)
            if not is_still:
                still, seen = blocks, None
            pictures = cut_panels(frame.image, panels, path)
            known = None if path is None else PictureSource(path, frame.time, self.limits)
            waveform = sound_event(
                sound, frame.time, resolution.window, resolution.span, rate, self.limits, reader
            )
            if waveform is None:
                where = f"within {resolution.span:g} s around {frame.time:g} s"
                encoded = self._silence(_size(pictures), frame.time, where, known)
            else:
                if seen is None:
                    seen = self.encoder.encode_frames(self._frames(pictures))
                if heard is None or not _same_sound(heard[0], waveform):
                    heard = waveform, self._hear(waveform, stream)
                tokens = join_panels(seen, heard[1], panels).clip(0)
                blank = self._blank(pictures, waveform, frame.time, known)
                encoded = replace(blank, tokens=tokens)
            yield replace(encoded, still=is_still)

    def _stream(
        self, sound: str | Path | Waveform, resolution: Resolution, end: float | None
    ) -> SoundStream | None:
        """The stream in which moments are heard up to an end; None for each by itself."""
        if not self.audio_stream or resolution.step is None:
            return None
        if resolution.window <= resolution.step:
            raise UsageError(
                f"Windows of {resolution.window:g} s, one every {resolution.step:g} s, share no "
                "sound.",
                "Leave audio_stream (--audio-stream) out, or give a longer window.",
            )
        rate = self.encoder.sample_rate
        until = None if end is None else math.ceil((end + resolution.window) * rate)
        return SoundStream(self.encoder, window_reader(sound, rate, self.limits), until)

    def _hear(self, waveform: Waveform, stream: SoundStream | None) -> SoundTokens:
        """Tokens of the sound of one moment."""
        if stream is None:
            return self.encoder.encode_sounds(_tensor(waveform.samples)[None])
        return stream.hear(round(waveform.start * waveform.rate), waveform.samples.size)

    def _silence(
        self, size: tuple[int, int], time: float | None, where: str, known: PictureSource | None
    ) -> Encoded:
        """A picture with which nothing sounds."""
        silence, encoder = f"nothing sounds {where}", self.encoder.fingerprint
        return Encoded(None, size, time, None, silence=silence, encoder=encoder, picture=known)

    def _prepared(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        waveform: Waveform,
        time: float | None,
        known: PictureSource | None,
    ) -> _Prepared:
        blank = self._blank(pictures, waveform, time, known)
        return _Prepared(self._frames(pictures), _tensor(waveform.samples), blank)

    def _frames(self, pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Prepared panels, (panels, 3, H, W)."""
        square = self.fit == "square"
        return torch.stack([self.encoder.prepare(picture, square) for picture in pictures])

    def _blank(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        waveform: Waveform,
        time: float | None,
        known: PictureSource | None,
    ) -> Encoded:
        """The result for a picture and a sound, without tokens."""
        heard = (waveform.start, waveform.start + waveform.duration)
        fingerprint = self.encoder.fingerprint
        return Encoded(None, _size(pictures), time, heard, encoder=fingerprint, picture=known)

    def _encode_prepared(self, items: Sequence[_Prepared]) -> list[Encoded]:
        """Encode items whose frames have one shape, and whose waveforms have one length."""
        frames = torch.stack([one.frames for one in items])
        tokens = self.encoder.encode(frames, torch.stack([one.samples for one in items]))
        return [replace(one.blank, tokens=tokens.clip(number)) for number, one in enumerate(items)]


def _size(pictures: Sequence[NDArray[np.uint8]]) -> tuple[int, int]:
    """Height and width of a picture in panels."""
    height, width = pictures[0].shape[:2]
    return height, width * len(pictures)


def _tensor(samples: NDArray[np.float32]) -> torch.Tensor:
    """Samples as a tensor, (S,); those that may not be written to are copied, or torch warns."""
    return torch.from_numpy(np.require(samples, requirements="W"))


def _same_sound(one: Waveform, other: Waveform) -> bool:
    return one.start == other.start and np.array_equal(one.samples, other.samples)


def _silent_from(waveform: Waveform) -> str:
    end = waveform.start + waveform.duration
    return f"here: the sound is silent from {waveform.start:.2f} to {end:.2f} s"


@contextmanager
def naming(number: int, noun: str = "Item") -> Iterator[None]:
    """Say of which of many an error is, where it has no file.

    Args:
        number: Its number, from 0.
        noun: What it is.
    """
    try:
        yield
    except TvslError as error:
        if error.path is not None:
            raise
        raise type(error)(f"{noun} {number}: {error.problem}", error.remedy) from error
