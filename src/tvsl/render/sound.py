"""The sound of a source video on its way into the output: copied where possible."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from tvsl.errors import UnreadableMediaError
from tvsl.media.streams import sound_stream

# What common players take inside an mp4 file, under the names of FFmpeg's decoders: first those
# that have an encoder of the same name, then those that have none or an unfinished one.
_SAME_NAME_CODECS = frozenset({"aac", "ac3", "eac3", "alac"})
_OTHER_NAME_CODECS = frozenset({"mp3", "mp3float", "opus", "libopus"})
# The first releases of PyAV 14 want an encoder even for a stream that is copied, and do not know
# this option, which does away with that; the signature stands in the description only.
_KNOWS_OPAQUE = "opaque" in (OutputContainer.add_stream_from_template.__doc__ or "")
_TEMPLATE_OPTIONS: dict[str, Any] = {"opaque": True} if _KNOWS_OPAQUE else {}
# The rates that AAC knows; a sound of another rate is resampled.
_AAC_RATES = frozenset(
    {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
)
_FALLBACK_RATE = 48000
_BITS_PER_CHANNEL = 96_000

SoundPacket: TypeAlias = "Packet[AudioStream]"


def can_copy(codec: str) -> bool:
    """Whether a sound is copied into the output as it is.

    Args:
        codec: Name of the decoder as FFmpeg gives it.

    Returns:
        True for what mp4 files commonly hold; other sounds are encoded anew.
    """
    return codec in _SAME_NAME_CODECS or (_KNOWS_OPAQUE and codec in _OTHER_NAME_CODECS)


class SoundTrack:
    """The sound of a container, moved into an output piece by piece.

    The pieces are asked for along with the pictures, so that sound and pictures lie side by side
    in the file and neither waits in memory for the other.

    Args:
        container: The opened source. Nobody else may read from it.
        output: Where to; must not have been written to yet.
        origin: Time on the source's clock that becomes 0 in the output, in seconds.
        path: The source's path, for messages.

    Raises:
        UnreadableMediaError: The codec of the sound is not known.
    """

    def __init__(
        self, container: InputContainer, output: OutputContainer, origin: Fraction, path: Path
    ) -> None:
        self._output = output
        self._origin = origin
        self._path = path
        self._next: SoundPacket | None = None
        self._packets: Iterator[SoundPacket] = iter(())
        stream = sound_stream(container)
        if stream is None:
            return
        if stream.codec_context is None or not stream.codec_context.sample_rate:
            raise UnreadableMediaError(
                "Its sound is of an unknown codec.", "Convert the file to MP4.", path
            )
        if can_copy(stream.codec_context.name):
            target = output.add_stream_from_template(stream, **_TEMPLATE_OPTIONS)
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
            if time is not None and _start(packet) > time:
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
        for packet in self._read(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                raise self._broken(error) from error
            for frame in frames:
                for encoded in target.encode(frame):
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


def _start(packet: SoundPacket) -> float:
    return float((packet.dts or 0) * packet.time_base)


def _aac_stream(output: OutputContainer, stream: AudioStream) -> AudioStream:
    rate = stream.codec_context.sample_rate
    target = output.add_stream("aac", rate=rate if rate in _AAC_RATES else _FALLBACK_RATE)
    channels = min(stream.codec_context.channels, 2)
    target.codec_context.layout = "mono" if channels == 1 else "stereo"
    target.codec_context.bit_rate = _BITS_PER_CHANNEL * channels
    return target
