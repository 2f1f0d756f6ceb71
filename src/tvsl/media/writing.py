"""Write arrays as PNG, JPEG, WAV and MP4 files.

Nothing here is staged: write into a folder of ``tvsl.utils.atomic`` if a half-written file would
do harm. An ``OSError``, which PyAV's errors are also turned into, is left to the caller.
"""

from __future__ import annotations

import io
import wave
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from tvsl.errors import OutputError
from tvsl.media.planes import BT601

FRAME_RATE = 25
X264: Final = "libx264"
# Of 9: the usual 6 takes three times as long and saves a twentieth of the bytes.
_PNG_LEVEL = 3
_SOUND_BITS = 96_000  # the most that AAC takes at 16 kHz in one channel


def write_png(path: Path, picture: NDArray[np.uint8], palette: bytes | None = None) -> None:
    """Write a picture without loss.

    Args:
        path: The file; an existing one is replaced.
        picture: (H, W, 3) RGB or (H, W) grey.
        palette: Red, green and blue for the values of a grey picture, to be looked at; the
            values themselves stay what they are.
    """
    image = Image.fromarray(picture)
    if palette is not None:
        image.putpalette(palette)
    image.save(path, format="PNG", compress_level=_PNG_LEVEL)


def write_jpeg(path: Path, picture: NDArray[np.uint8], quality: int = 95) -> None:
    """Write a picture as JPEG, with some loss.

    Args:
        path: The file; an existing one is replaced.
        picture: (H, W, 3) RGB or (H, W) grey.
        quality: From 1 to 95; higher is better.
    """
    Image.fromarray(picture).save(path, format="JPEG", quality=quality)


def write_wav(path: Path, samples: NDArray[np.int16], rate: int) -> None:
    """Write a mono sound as 16-bit PCM, without loss.

    Args:
        path: The file; an existing one is replaced.
        samples: (n,).
        rate: Samples per second.
    """
    path.write_bytes(wav_bytes(samples, rate))


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples in [-1, 1] as 16-bit integers, any shape; louder ones are clipped."""
    limits = np.iinfo(np.int16)
    return np.rint(samples * 32768).clip(limits.min, limits.max).astype(np.int16)


def wav_bytes(samples: NDArray[np.int16], rate: int) -> bytes:
    """Encode a mono sound as a WAV file in memory, 16-bit PCM, without loss.

    Args:
        samples: (n,).
        rate: Samples per second.
    """
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return content.getvalue()


def write_still_video(
    path: Path, picture: NDArray[np.uint8], samples: NDArray[np.int16], rate: int
) -> None:
    """Write a still picture that lasts as long as a sound, as mp4.

    H.264 with full colour resolution (4:4:4), because halved colours cost a small noisy picture
    20 dB, and AAC. Where FFmpeg was built without x264 it is MPEG-4 Part 2 with halved colours.

    Args:
        path: The file; an existing one is replaced.
        picture: (H, W, 3) RGB, H and W even.
        samples: (n,) mono.
        rate: Samples per second, one that AAC knows, e.g. 16000, 44100 or 48000.

    Raises:
        OSError: The file cannot be written.
    """
    try:
        _write_still_video(str(path), picture, samples, rate)
    except av.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error


def require_still_video(height: int, width: int, rate: int) -> None:
    """Check that ``write_still_video`` works with the installed FFmpeg.

    A short black video is encoded in memory.

    Args:
        height: Of the pictures, even.
        width: Of the pictures, even.
        rate: As for ``write_still_video``.

    Raises:
        OutputError: There is no encoder, or it does not work.
    """
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    try:
        _write_still_video(io.BytesIO(), picture, np.zeros(rate // 5, dtype=np.int16), rate)
    except (av.FFmpegError, ValueError) as error:  # an unknown codec is a ValueError
        raise OutputError(
            f"No videos can be written: FFmpeg has no encoder for them that works here ({error}).",
            "Install PyAV from PyPI, whose FFmpeg has H.264 and AAC, or do without videos.",
        ) from error


def _write_still_video(
    target: str | io.BytesIO, picture: NDArray[np.uint8], samples: NDArray[np.int16], rate: int
) -> None:
    with av.open(target, "w", format="mp4") as output:
        video, sound = _video_stream(output), output.add_stream("aac", rate=rate)
        sound.codec_context.layout = "mono"
        sound.codec_context.bit_rate = _SOUND_BITS
        video.height, video.width = picture.shape[:2]
        _encode_picture(output, video, picture, round(len(samples) / rate * FRAME_RATE))
        _encode_sound(output, sound, samples, rate)


def has_encoder(name: str) -> bool:
    """Tell whether this build of FFmpeg has an encoder, whose name no decoder shares."""
    return name in av.codec.codecs_available


def _video_stream(output: OutputContainer) -> VideoStream:
    if has_encoder(X264):
        options = {"crf": "1", "preset": "veryfast"}
        stream = output.add_stream(X264, rate=FRAME_RATE, options=options)
        stream.pix_fmt = "yuv444p"
    else:
        stream = output.add_stream("mpeg4", rate=FRAME_RATE, options={"q:v": "1", "qmax": "1"})
        stream.pix_fmt = "yuv420p"
    stream.codec_context.colorspace = BT601.number  # PyAV converts with it
    return stream


def _encode_picture(
    output: OutputContainer, stream: VideoStream, picture: NDArray[np.uint8], count: int
) -> None:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
    for number in range(max(count, 1)):
        frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _encode_sound(
    output: OutputContainer, stream: AudioStream, samples: NDArray[np.int16], rate: int
) -> None:
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    resampler = av.AudioResampler(stream.codec_context.format, "mono", rate)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(stream.encode(piece))
    output.mux(stream.encode(None))
