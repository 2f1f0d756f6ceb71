"""A worker process that extracts clips: pictures and sound of a video become files.

It reads requests and writes answers as lines of JSON. It ends when its input ends, so it outlives
the process that started it by one video at most.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from tvsl.errors import MediaError, MediaLimitError, MediaWarning, OutputError
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
from tvsl.preprocess.options import Options, describe_error
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


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more.

    Args:
        requests: First a line with ``root`` and ``options``, then one for each video with ``clip``,
            ``source``, ``pictures`` and ``earlier``.
        answers: Takes a line with ``ready``, then one for each video: ``extracted`` with the
            fields of ``Extracted``, ``failed`` with the last two of ``Failure``, or, where nothing
            can be written, ``stopped`` with problem, remedy and place.
    """
    first = requests.readline()
    if not first.endswith("\n"):  # the parent process was killed
        return
    setup = json.loads(first)
    root, options = Path(setup["root"]), Options(**setup["options"])
    _write_line(answers, {"ready": True})
    for line in requests:
        if not line.endswith("\n"):
            return
        _write_line(answers, _handle(json.loads(line), root, options))


def _handle(request: dict[str, Any], root: Path, options: Options) -> dict[str, Any]:
    source, pictures = Path(request["source"]), tuple(request["pictures"])
    earlier = tuple(request["earlier"])
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MediaWarning)
            taken = prepare_video(request["clip"], source, pictures, options, root, earlier)
    except OutputError as error:
        return {"stopped": [error.problem, error.remedy, str(error.path or root)]}
    except MediaError as error:
        return {"failed": describe_error(error)}
    said = (item.message for item in caught)
    problems = dict.fromkeys(one.problem for one in said if isinstance(one, MediaWarning))
    return {"extracted": asdict(replace(taken, warnings=tuple(problems)))}


def _write_line(answers: TextIO, content: Any) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def main() -> None:
    """Serve the parent process."""
    # What a library prints goes to stderr: it must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError), answers:  # the parent process has ended
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
