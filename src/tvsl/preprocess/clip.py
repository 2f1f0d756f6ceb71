"""Extraction of one clip: the pictures and the sound of a video become files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import MediaError, MediaLimitError
from tvsl.media import (
    Waveform,
    load_audio,
    probe_video,
    read_frame,
    read_frames,
    require_sound,
    shrink,
    sound_window,
    to_int16,
    write_jpeg,
    write_wav,
)
from tvsl.preprocess.journal import Extracted
from tvsl.preprocess.layouts import Moment, every_second, listed_pictures, replacing_clip
from tvsl.preprocess.options import Options
from tvsl.utils.atomic import writable

_LARGEST_JPEG = 65_500


def prepare_video(
    clip: str,
    source: Path,
    pictures: tuple[str, ...],
    options: Options,
    root: Path,
    earlier: tuple[str, ...] = (),
) -> Extracted:
    """Write the files of one clip: all of them, or none.

    The files of an earlier run stay until the new ones are complete.

    Args:
        clip: The clip's id, already checked.
        source: The video.
        pictures: Names of the pictures that a list asks for; empty for all.
        options: What is extracted.
        root: The folder with existing ``frames`` and ``audio``.
        earlier: Names of the pictures of the existing clip.

    Raises:
        MediaError: The video cannot be used, or the part of its sound is silent.
        OutputError: A file cannot be written.
    """
    if options.at is None:
        return _every_second(clip, source, pictures, options, root, earlier)
    return _one_moment(clip, source, options.at, options, root, earlier)


def _one_moment(
    clip: str, source: Path, at: Moment, options: Options, root: Path, earlier: tuple[str, ...]
) -> Extracted:
    """A picture and the sound around it; both are read before either is written."""
    moment = probe_video(source).duration / 2 if at == "middle" else at
    frame = read_frame(source, moment)
    if options.window == "whole":
        sound = load_audio(source, options.rate)
    else:
        sound = sound_window(source, moment, options.window, options.rate)
        end = sound.start + sound.duration
        if end <= moment - options.window / 2:
            raise MediaError(
                f"The sound ends at {end:.2f} s, before what is wanted around {moment:.2f} s.",
                "Take another moment with --at, or the whole sound with --window whole.",
            )
    require_sound(sound)
    with replacing_clip(root, clip, (clip, *earlier)) as (frames_to, audio_to):
        _write_picture(frames_to, clip, frame.image, options)
        return Extracted({clip: frame.time}, _write_sound(audio_to, clip, sound))


def _every_second(
    clip: str,
    source: Path,
    pictures: tuple[str, ...],
    options: Options,
    root: Path,
    earlier: tuple[str, ...],
) -> Extracted:
    """Pictures of every second, or those of a list, and the whole sound."""
    info = probe_video(source)
    if pictures:
        moments = listed_pictures(pictures, info.frame_rate)
    else:
        moments = every_second(clip, info.duration, info.frame_rate)
    sound = require_sound(load_audio(source, options.rate))
    frames = read_frames(source, moments.values())
    with replacing_clip(root, clip, (*moments, *earlier)) as (frames_to, audio_to):
        for name, frame in zip(moments, frames, strict=True):
            _write_picture(frames_to, name, frame.image, options)
        return Extracted(moments, _write_sound(audio_to, clip, sound))


def _write_picture(folder: Path, name: str, picture: NDArray[np.uint8], options: Options) -> None:
    if options.short_side is not None:
        picture = shrink(picture, options.short_side)
    if max(picture.shape) > _LARGEST_JPEG:
        raise MediaLimitError(
            f"A picture of {picture.shape[1]} x {picture.shape[0]} pixels is too large for JPEG.",
            "Reduce the pictures with --short-side.",
        )
    path = folder / f"{name}.jpg"
    with writable(path, "file"):
        write_jpeg(path, picture)


def _write_sound(folder: Path, clip: str, sound: Waveform) -> tuple[float, float]:
    path = folder / f"{clip}.wav"
    with writable(path, "file"):
        write_wav(path, to_int16(sound.samples), sound.rate)
    return sound.start, sound.start + sound.duration
