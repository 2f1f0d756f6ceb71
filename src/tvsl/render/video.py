"""Videos with the sources drawn in, and their sound beside them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from tvsl.errors import OutputError, UsageError
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, open_container
from tvsl.media.planes import FORMAT, ColorMatrix, Planes, planes_frame
from tvsl.media.streams import clock_zero, require_video_stream
from tvsl.media.video import VideoInfo, VideoPlanes, iterate_planes, probe_video
from tvsl.media.writing import X264, has_encoder
from tvsl.render.overlay import SMALLEST_DRAWING
from tvsl.render.video_overlay import STEPS_A_SECOND, VideoOverlay
from tvsl.render.video_sound import TEMPLATE_OPTIONS, SoundTrack, packet_start
from tvsl.utils.atomic import check_free_file, writable, write_whole
from tvsl.utils.processes import Progress, no_progress

if TYPE_CHECKING:
    from tvsl.localization import Localization

LONGEST_OVERLAY = 1280
_SMALLEST_LIMIT = 16
# Fine enough for every frame rate in use, and within what MPEG-4 Part 2 can express.
_CLOCK = Fraction(1, 60_000)
_USUAL_FRAME_RATE = 25.0
# Encoders take no rate of a picture an hour, as a still with a song has it.
_LOWEST_FRAME_RATE = 1.0
# Seconds after which what is drawn moves on: a picture that lasts longer is held. The rest is what
# containers round.
_STEP = 1.0 / STEPS_A_SECOND
_LONGEST_BRIEF = _STEP + 0.002
_BITS_PER_PIXEL = 0.2
# Quality of H.264, and effort for few bytes: of drawn videos, whose encoding is most of the work,
# and of those that a page holds in itself. The former have what saves the most bytes for the least
# work of what x264's quickest preset leaves out.
_DRAWN: dict[str, str] = {
    "crf": "20",
    "preset": "ultrafast",
    "x264-params": "cabac=1:deblock=1,0,0:bframes=3:b-adapt=0",
}
_IN_PAGE: dict[str, str] = {"crf": "28", "preset": "superfast"}
# Bytes up to which a page takes a video as it is: more are saved by encoding it anew.
_MOST_COPIED = 3_000_000
# What browsers play of H.264: 8 bits, halved colours.
_PLAYED_FORMATS = frozenset({"yuv420p", "yuvj420p"})
# Seconds by which a copied video may go on behind its end. Slides that lean on later ones go on for
# longer, and are encoded anew.
_LARGEST_OVERHANG = 0.5
# First byte of the headers of H.264 as mp4 holds it.
_AVC_HEADER = b"\x01"


@dataclass(frozen=True)
class PageVideo:
    """Place of a page's video in its source.

    Attributes:
        start: Second of the source at which its time 0 lies; less than 0 where the sound begins
            before the first picture.
        length: Its length in seconds.
    """

    start: float = 0.0
    length: float = 0.0


def write_overlay_video(
    source: str | Path,
    target: str | Path,
    localizations: Sequence[Localization],
    force: bool = False,
    progress: Progress = no_progress,
    max_side: int = LONGEST_OVERLAY,
    limits: MediaLimits = DEFAULT_LIMITS,
    start: float = 0.0,
    end: float | None = None,
    min_side: int = SMALLEST_DRAWING,
) -> Path:
    """Write a video with the map of every source in its own colour, and with the original sound.

    Between two analysed moments the maps of a label are mixed by time; before the first and
    after the last one they are held. One moment alone is held throughout. Every label keeps its
    colour. A picture that is held, as of slides or of a still with a song, is written ten times a
    second, so that its maps move too. The file is H.264 in mp4 (MPEG-4 Part 2 where no H.264
    encoder is installed); it appears whole or not at all.

    Args:
        source: The video.
        target: Where to, an mp4 file; the folder must exist.
        localizations: The analysed moments of this video, each with its time in seconds.
        force: Whether an existing file may be replaced.
        progress: Called after each frame with the number of frames written and of all frames
            (an estimate; None where the file does not tell).
        max_side: Longest side of the output in pixels, at least 16; larger videos are scaled.
        limits: What the source may demand at most.
        start: Second of the source at which the output begins.
        end: Second of the source at which it ends; the source's end when None.
        min_side: Longest side of the output in pixels to which smaller videos are enlarged.

    Raises:
        UsageError: There is nothing to draw, ``max_side`` is too small, or ``end`` is not behind
            ``start``.
        MediaError: The source cannot be read.
        OutputError: The target exists and ``force`` is not set, or it cannot be written.
    """
    source, target = Path(source), Path(target)
    if max_side < _SMALLEST_LIMIT:
        raise UsageError(f"A video of {max_side} pixels is too small.", "Choose e.g. 1280.")
    if target.exists() and source.exists() and target.samefile(source):
        raise OutputError("This is the source itself.", "Choose another name.", target)
    check_free_file(target, force)

    def write(partial: Path) -> None:
        info = probe_video(source, limits)
        size = _output_size(info, max_side, min_side)
        draw = VideoOverlay(localizations, size, info.matrix).draw
        _write(source, target, partial, draw, size, _DRAWN, progress, limits, (start, end))

    with writable(target, "video"):
        write_whole(target, write)
    return target


def write_page_video(
    source: Path,
    target: Path,
    max_side: int,
    start: float = 0.0,
    end: float | None = None,
    progress: Progress = no_progress,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> PageVideo:
    """Write a video as browsers play it, with its sound: small, upright, with square pixels.

    A video that is all of this is copied where it is short. Its end then lies up to a few frames
    later: those before it may lean on them. Sound that begins before the first picture is kept.

    Args:
        source: The video.
        target: Where to, an mp4 file; an existing one is replaced.
        max_side: Longest side in pixels.
        start: Second of the source at which the output begins.
        end: Second of the source at which it ends; the source's end when None.
        progress: As for ``write_overlay_video``.
        limits: What the source may demand at most.

    Returns:
        Its place in the source.

    Raises:
        MediaError: The source cannot be read.
        OutputError: The target cannot be written.
    """
    info = probe_video(source, limits)
    size = _output_size(info, max_side, 1)

    def unchanged(planes: Planes, time: float) -> Planes:  # noqa: ARG001
        return planes

    def write(partial: Path) -> None:
        is_played = _is_played(source, info, max_side, start, end, limits)
        if is_played and _copy(source, partial, info, end, limits):
            return
        stretch = start, end
        _write(source, target, partial, unchanged, size, _IN_PAGE, progress, limits, stretch, True)

    with writable(target, "video"):
        write_whole(target, write)
    with open_container(source, limits) as container:
        zero, origin, _ = _clock(container, start, end)
    begin = float(origin - zero)
    return PageVideo(begin, (info.duration if end is None else min(end, info.duration)) - begin)


def require_overlay_video(
    source: str | Path, max_side: int = LONGEST_OVERLAY, limits: MediaLimits = DEFAULT_LIMITS
) -> None:
    """Check that ``write_overlay_video`` can encode a video with the installed FFmpeg.

    A grey frame with the beginning of the sound is encoded in memory.

    Args:
        source: The video.
        max_side: As for ``write_overlay_video``.
        limits: As for ``write_overlay_video``.

    Raises:
        MediaError: The source cannot be read.
        OutputError: There is no encoder, or it does not work.
    """
    source = Path(source)
    info = probe_video(source, limits)
    size = _output_size(info, max_side, SMALLEST_DRAWING)
    with open_container(source, limits) as sound:
        try:
            with av.open(io.BytesIO(), "w", format="mp4") as output:
                rate = info.frame_rate or _USUAL_FRAME_RATE
                encoder = _FrameEncoder(output, size, rate, info.matrix, _DRAWN)
                track = SoundTrack(sound, output, Fraction(0), source)
                grey = np.full((size[0] * 3 // 2, size[1]), 128, np.uint8)
                encoder.write(grey, 0.0, 1.0)
                track.carry_until(0.0)
                encoder.finish()
        except (av.FFmpegError, ValueError) as error:  # an unknown codec is a ValueError
            raise OutputError(
                f"The video with what was found cannot be written: FFmpeg has no encoder for it "
                f"that works here ({error}).",
                "Install PyAV from PyPI, whose FFmpeg has H.264 and AAC, or give a picture.",
                source,
            ) from error


def _write(
    source: Path,
    target: Path,
    partial: Path,
    draw: Callable[[Planes, float], Planes],
    size: tuple[int, int],
    quality: dict[str, str],
    progress: Progress,
    limits: MediaLimits,
    stretch: tuple[float, float | None],
    in_page: bool = False,
) -> None:
    """Encode a stretch of a video.

    For a page, the sound is one that browsers play; else a picture that is held is drawn anew at
    each step.
    """
    info = probe_video(source, limits)
    first, last = stretch
    # Inside: open_container would take an error of the output for one of the source.
    with (
        open_container(source, limits) as sound,
        _output_errors(target),
        av.open(str(partial), "w", format="mp4") as output,
    ):
        zero, origin, stop = _clock(sound, first, last)
        usual = 1.0 / (info.frame_rate or _USUAL_FRAME_RATE)
        rate = max(1.0 / usual, _LOWEST_FRAME_RATE if in_page else STEPS_A_SECOND)
        encoder = _FrameEncoder(output, size, rate, info.matrix, quality)
        track = SoundTrack(sound, output, origin, source, cuts=first > 0, in_browser=in_page)
        end = info.duration if last is None else min(last, info.duration)
        total = max(1, round((end - first) * rate)) if info.duration else None
        shown = _with_durations(
            iterate_planes(source, size, first, last, limits), first, end, usual
        )
        shown = shown if in_page else _repeated(shown)
        for count, (frame, duration) in enumerate(shown, start=1):
            start = max(frame.time + float(zero - origin), 0.0)
            track.carry_until(start)
            encoder.write(draw(frame.planes, frame.time), start, duration)
            progress(count, None if total is None else max(count, total))
        encoder.finish()
        track.carry_until(None if stop is None else float(stop))


def _clock(
    container: InputContainer, first: float, last: float | None
) -> tuple[Fraction, Fraction, Fraction | None]:
    """Times of a stretch in seconds.

    Returns:
        On the source's clock the 0 of its frames and the 0 of the output; on the output's clock the
        end, None for the source's own.
    """
    zero = clock_zero(container)
    # The sound may begin before the first frame, where the clock of the times stands at 0.
    origin = min(zero, Fraction(container.start_time or 0, av.time_base))
    if first > 0:
        origin = zero + Fraction(first).limit_denominator(_CLOCK.denominator)
    return zero, origin, None if last is None else zero - origin + Fraction(last)


def _is_played(
    source: Path,
    info: VideoInfo,
    max_side: int,
    start: float,
    end: float | None,
    limits: MediaLimits,
) -> bool:
    """Tell whether a page can hold the beginning of a video as it is stored."""
    share = 1.0 if end is None or end >= info.duration else end / info.duration
    is_small = max(info.stored) <= max_side and source.stat().st_size * share <= _MOST_COPIED
    if start > 0 or not is_small or not info.is_upright or info.pixel_aspect != 1:
        return False
    with open_container(source, limits) as container:
        codec = require_video_stream(container, source, limits).codec_context
        header = codec.extradata or b""
        return (
            codec.name == "h264"
            and codec.pix_fmt in _PLAYED_FORMATS
            and header.startswith(_AVC_HEADER)
        )


def _copy(
    source: Path, partial: Path, info: VideoInfo, end: float | None, limits: MediaLimits
) -> bool:
    """Copy the beginning of a video without decoding it.

    Returns:
        Whether this was possible: not every file has the times that mp4 wants (Matroska does not),
        begins with a frame that leans on no other one, or has one near the end.
    """
    with open_container(source, limits) as frames, open_container(source, limits) as sound:
        stream = require_video_stream(frames, source, limits)
        zero, origin, stop = _clock(sound, 0.0, end)
        over = zero - origin + Fraction(info.duration)
        over = over if stop is None else min(stop, over)
        held: Packet[VideoStream] | None = None
        newest = Fraction(0)
        try:
            with av.open(str(partial), "w", format="mp4") as output:
                target = output.add_stream_from_template(stream, **TEMPLATE_OPTIONS)
                track = SoundTrack(sound, output, origin, source, in_browser=True)
                shift = round(origin / (stream.time_base or 1))
                for packet in frames.demux(stream):
                    if packet.size == 0:  # FFmpeg's mark for the end
                        continue
                    if packet.pts is None or packet.dts is None or packet.is_discard:
                        return False
                    if held is None and not packet.is_keyframe:
                        return False
                    packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                    if stop is not None and packet_start(packet) >= stop:
                        break
                    if held is not None:
                        track.carry_until(packet_start(held))
                        output.mux(held)
                    newest = max(newest, packet.pts * packet.time_base)
                    if newest > over + _LARGEST_OVERHANG:
                        return False
                    packet.stream = target
                    held = packet
                if held is not None:
                    unit, length = held.time_base, (held.duration or 0) * held.time_base
                    if _is_held(float(over - newest), float(length)):
                        held.duration = round(over / unit) - (held.pts or 0)
                    track.carry_until(packet_start(held))
                    output.mux(held)
                track.carry_until(None if stop is None else float(stop))
        except (av.FFmpegError, ValueError):  # encoding it anew tells what is wrong, if anything is
            return False
    return True


@contextmanager
def _output_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise OutputError(
            f"The video cannot be written ({error.strerror}).", "Choose a writable place.", target
        ) from error


class _FrameEncoder:
    """Encodes frames at given times, which need not be evenly spaced."""

    def __init__(
        self,
        output: OutputContainer,
        size: tuple[int, int],
        rate: float,
        matrix: ColorMatrix,
        quality: dict[str, str],
    ) -> None:
        self._output = output
        self._stream = _video_stream(output, size, rate, matrix, quality)
        self._last = -1
        self._durations: dict[int, int] = {}
        self._end: int | None = None

    def write(self, planes: Planes, start: float, duration: float) -> None:
        frame = planes_frame(planes)
        # Times that a damaged file repeats would be refused by the container.
        self._last = max(self._last + 1, round(start / _CLOCK))
        frame.pts, frame.time_base = self._last, _CLOCK
        self._durations[self._last] = max(1, round(duration / _CLOCK))
        self._end = round((start + duration) / _CLOCK) if duration > _LONGEST_BRIEF else None
        for packet in self._encoded(frame):
            self._output.mux(packet)

    def finish(self) -> None:
        """Write what the encoder still holds; the end of a frame that is held is that of all."""
        packets = list(self._encoded(None))
        if packets and self._end is not None:
            # mp4 counts on from the packet that is stored last, not from the frame shown last.
            last = packets[-1]
            last.duration = round(self._end * _CLOCK / last.time_base) - (last.pts or 0)
        for packet in packets:
            self._output.mux(packet)

    def _encoded(self, frame: av.VideoFrame | None) -> Iterator[Packet[VideoStream]]:
        for packet in self._stream.encode(frame):
            # Without it the last frame would last no time at all.
            duration = self._durations.pop(packet.pts or 0, None)
            if duration is not None:
                packet.duration = round(duration * _CLOCK / packet.time_base)
            yield packet


def _video_stream(
    output: OutputContainer,
    size: tuple[int, int],
    rate: float,
    matrix: ColorMatrix,
    quality: dict[str, str],
) -> VideoStream:
    exact = Fraction(rate).limit_denominator(1001)
    if has_encoder(X264):
        stream = output.add_stream(X264, rate=exact, options=dict(quality))
        # Each thread encodes a frame while more frames are drawn. By PyAV's default each takes a
        # part of one frame: the drawing waits, more is computed, and runs differ.
        stream.thread_type = "FRAME"
    else:
        stream = output.add_stream("mpeg4", rate=exact)
        stream.bit_rate = round(_BITS_PER_PIXEL * size[0] * size[1] * rate)
    stream.height, stream.width = size
    stream.pix_fmt = FORMAT
    stream.codec_context.time_base = _CLOCK
    stream.codec_context.colorspace = matrix.number
    return stream


def _output_size(info: VideoInfo, max_side: int, min_side: int) -> tuple[int, int]:
    """Height and width of the output: both even, because colours are stored for 2 x 2 pixels.

    Small videos are enlarged: names on them could not be read.
    """
    longer = max(info.width, info.height)
    scale = min(max(longer, min_side), max_side) / longer
    height, width = (max(2, int(side * scale) // 2 * 2) for side in (info.height, info.width))
    return height, width


def _with_durations(
    frames: Iterable[VideoPlanes], first: float, end: float, usual: float
) -> Iterator[tuple[VideoPlanes, float]]:
    """Each frame with the seconds for which it is shown.

    Args:
        frames: The frames of a stretch in order.
        first: Second at which the stretch begins: the first frame may have begun before.
        end: Second at which the last frame is over.
        usual: Seconds that a frame lasts on average.
    """
    shown: VideoPlanes | None = None
    for frame in frames:
        if shown is not None:
            yield shown, frame.time - shown.time
        has_begun = first > 0 and frame.time < first
        shown = VideoPlanes(first, frame.planes) if has_begun else frame
    if shown is not None:
        rest = end - shown.time
        yield shown, rest if _is_held(rest, usual) else usual


def _is_held(rest: float, usual: float) -> bool:
    """Tell whether the last frame lasts until the end, and not as usual.

    Args:
        rest: Seconds from its start to the end.
        usual: Seconds that frames last.
    """
    return rest > 0 and max(rest, usual) > _LONGEST_BRIEF


def _repeated(
    frames: Iterable[tuple[VideoPlanes, float]],
) -> Iterator[tuple[VideoPlanes, float]]:
    """Frames, those that are held again at each step at which what is drawn moves on."""
    for frame, duration in frames:
        count = max(1, int(duration / _STEP + 1e-6))
        for number in range(count):
            begin = number * _STEP
            rest = _STEP if number + 1 < count else duration - begin
            yield VideoPlanes(frame.time + begin, frame.planes), rest
