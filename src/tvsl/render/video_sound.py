"""The sound beside a drawn video: copied where players take it as it is, or encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from tvsl.errors import UnreadableMediaError
from tvsl.media.streams import audio_stream
from tvsl.media.waveform import UNSAFE_PLANES, as_floats, in_range, stored_channels

# What common players take inside an mp4 file, under the names of FFmpeg's decoders: first those
# that have an encoder of the same name, then those that have none or an unfinished one.
_SAME_NAME_CODECS = frozenset({"aac", "ac3", "eac3", "alac"})
_OTHER_NAME_CODECS = frozenset({"mp3", "mp3float", "opus", "libopus"})
# What all browsers play of these.
_BROWSER_CODECS = frozenset({"aac"}) | _OTHER_NAME_CODECS
# The first releases of PyAV 14 want an encoder even for a stream that is copied, and do not know
# this option, which does away with that; the signature stands in the description only.
_KNOWS_OPAQUE = "opaque" in (OutputContainer.add_stream_from_template.__doc__ or "")
TEMPLATE_OPTIONS: dict[str, Any] = {"opaque": True} if _KNOWS_OPAQUE else {}
# The rates that AAC knows; a sound of another rate is resampled.
_AAC_RATES = frozenset(
    {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
)
_FALLBACK_RATE = 48000
_BITS_PER_CHANNEL = 96_000
# Smaller gaps between two blocks are what containers round; only larger ones are real.
_GAP_TOLERANCE = Fraction(3, 100)
# Seconds of silence that fill a gap at most: beyond, times are damaged, or a pause is left to the
# player.
_LONGEST_SILENCE = 60
_FLOATS = frozenset({"flt", "dbl"})

SoundPacket: TypeAlias = "Packet[AudioStream]"
Form: TypeAlias = "tuple[str, str, int]"
"""Sample format, layout and rate of a block."""


def can_copy(codec: str, in_browser: bool = False) -> bool:
    """Tell whether a sound is copied as it is, or encoded anew.

    Args:
        codec: Its codec, under FFmpeg's name for the decoder.
        in_browser: Whether browsers shall play it, and not only common players.
    """
    if in_browser and codec not in _BROWSER_CODECS:
        return False
    return codec in _SAME_NAME_CODECS or (_KNOWS_OPAQUE and codec in _OTHER_NAME_CODECS)


class SoundTrack:
    """The sound of a container, moved into an output piece by piece.

    The pieces are asked for along with the frames, so that sound and frames lie side by side
    in the file and neither waits in memory for the other. Where a sound is encoded anew, blocks
    that cannot be decoded become silence, as for localizing; where it is copied they are left to
    the player.

    Args:
        container: The opened source. Nobody else may read from it.
        output: Where to; must not have been written to yet.
        origin: Time on the source's clock that becomes 0 in the output, in seconds.
        path: The source's path, for messages.
        cuts: Whether what lies before ``origin`` is left out.
        in_browser: As for ``can_copy``.

    Raises:
        UnreadableMediaError: The codec of the sound is not known.
    """

    def __init__(
        self,
        container: InputContainer,
        output: OutputContainer,
        origin: Fraction,
        path: Path,
        cuts: bool = False,
        in_browser: bool = False,
    ) -> None:
        self._output = output
        self._origin = origin
        self._cuts = cuts
        self._path = path
        self._next: SoundPacket | None = None
        self._packets: Iterator[SoundPacket] = iter(())
        stream = audio_stream(container)
        if stream is None:
            return
        if stream.codec_context is None or not stream.codec_context.sample_rate:
            raise UnreadableMediaError(
                "Its sound is of an unknown codec.", "Convert the file to MP4.", path
            )
        if can_copy(stream.codec_context.name, in_browser):
            target = output.add_stream_from_template(stream, **TEMPLATE_OPTIONS)
            self._packets = self._copied(container, stream, target)
        else:
            self._packets = self._encoded(container, stream, _aac_stream(output, stream))

    def carry_until(self, time: float | None) -> None:
        """Write the sound up to a time.

        Args:
            time: Seconds in the output; None writes all that is left.

        Raises:
            UnreadableMediaError: The sound is broken.
        """
        while True:
            if self._next is None:
                self._next = next(self._packets, None)
            packet = self._next
            if packet is None:
                return
            if self._cuts and packet_start(packet) < 0:
                self._next = None
                continue
            if time is not None and packet_start(packet) > time:
                return
            self._next = None
            self._output.mux(packet)

    def _copied(
        self, container: InputContainer, stream: AudioStream, target: AudioStream
    ) -> Iterator[SoundPacket]:
        for packet in self._read(container, stream):
            # A packet without a time is FFmpeg's mark for the end.
            if packet.dts is None:
                continue
            if packet.pts is None:
                packet.pts = packet.dts
            packet.stream = target
            yield self._shifted(packet)

    def _encoded(
        self, container: InputContainer, stream: AudioStream, target: AudioStream
    ) -> Iterator[SoundPacket]:
        line = SteadyBlocks(stream.codec_context.name)
        for packet in self._read(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                line.miss()
                continue
            for frame in frames:
                for block in line.add(frame):
                    for encoded in target.encode(block):
                        yield self._shifted(encoded)
        for encoded in target.encode(None):
            yield self._shifted(encoded)

    def _read(self, container: InputContainer, stream: AudioStream) -> Iterator[SoundPacket]:
        try:
            yield from container.demux(stream)
        except av.FFmpegError as error:
            raise self._broken(error) from error

    def _broken(self, error: av.FFmpegError) -> UnreadableMediaError:
        return UnreadableMediaError(
            f"Its sound is broken ({error.strerror}).", "Convert the file anew.", self._path
        )

    def _shifted(self, packet: SoundPacket) -> SoundPacket:
        shift = round(self._origin / packet.time_base)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        return packet


class SteadyBlocks:
    """Decoded blocks of a sound, given on in one form and in step, with silence for missing ones.

    An encoder takes blocks of one form only, and joins them whatever their times are.

    Args:
        codec: The sound's codec, under FFmpeg's name for its decoder.
    """

    def __init__(self, codec: str) -> None:
        self._is_pcm = codec.startswith("pcm_")
        self._form: Form | None = None
        self._unit: Fraction | None = None
        self._end: Fraction | None = None
        self._is_missing = False
        self._converters: dict[Form, AudioResampler] = {}

    def miss(self) -> None:
        """Note that a block cannot be decoded: the next one leaves a gap of any size."""
        self._is_missing = True

    def add(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Give a block on, after the silence that keeps it in step.

        Args:
            frame: The next block.
        """
        form = _form(frame)
        self._form, self._unit = self._form or form, self._unit or frame.time_base
        begin = self._end
        if frame.pts is not None and frame.time_base is not None:
            begin = frame.pts * frame.time_base
        if self._end is not None and begin is not None:
            gap = begin - self._end
            if (gap > 0 and self._is_missing) or gap > _GAP_TOLERANCE:
                yield from self._silence(self._end, gap)
        self._is_missing = False
        self._end = None if begin is None else begin + Fraction(frame.samples, frame.sample_rate)
        if not self._is_sound(frame):
            if begin is not None and self._end is not None:
                yield from self._silence(begin, self._end - begin)
            return
        if form == self._form:
            yield frame
            return
        converter = self._converters.get(form)
        if converter is None:
            converter = self._converters[form] = AudioResampler(*self._form)
        for block in converter.resample(frame):
            yield self._placed(block, begin)
            begin = None if begin is None else begin + Fraction(block.samples, block.sample_rate)

    def _is_sound(self, frame: AudioFrame) -> bool:
        """Tell whether a block has samples of a sound: some damage is decoded to huge ones.

        Stored samples cannot be damaged so; they are what somebody wrote.
        """
        if self._is_pcm or not frame.samples or frame.format.packed.name not in _FLOATS:
            return True
        return in_range(as_floats(stored_channels(frame)))

    def _silence(self, begin: Fraction, length: Fraction) -> Iterator[AudioFrame]:
        """Blocks of silence, none where it would be too long or the form is not safe to fill."""
        if self._form is None or length > _LONGEST_SILENCE:
            return
        name, layout, rate = self._form
        left = round(length * rate)
        while left > 0:
            block = AudioFrame(name, layout, min(left, rate))
            if block.format.is_planar and block.layout.nb_channels >= UNSAFE_PLANES:
                return
            block.sample_rate = rate
            zero = b"\x80" if block.format.packed.name == "u8" else b"\0"
            for plane in block.planes:
                plane.update(zero * plane.buffer_size)
            yield self._placed(block, begin)
            left -= block.samples
            begin += Fraction(block.samples, rate)

    def _placed(self, block: AudioFrame, begin: Fraction | None) -> AudioFrame:
        """The block with a time; an encoder counts all times in the unit of the first one."""
        block.pts = None
        if self._unit is not None:
            block.time_base = self._unit
            block.pts = None if begin is None else round(begin / self._unit)
        return block


def _form(frame: AudioFrame) -> Form:
    return frame.format.name, frame.layout.name, frame.sample_rate


def packet_start(packet: Packet[Any]) -> float:
    """Second at which a packet is decoded."""
    return float((packet.dts or 0) * packet.time_base)


def _aac_stream(output: OutputContainer, stream: AudioStream) -> AudioStream:
    rate = stream.codec_context.sample_rate
    target = output.add_stream("aac", rate=rate if rate in _AAC_RATES else _FALLBACK_RATE)
    channels = min(stream.codec_context.channels, 2)
    target.codec_context.layout = "mono" if channels == 1 else "stereo"
    target.codec_context.bit_rate = _BITS_PER_CHANNEL * channels
    return target
