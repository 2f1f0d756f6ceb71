"""Sizes of the three encoders; the defaults are those of the public AudioCLIP checkpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from tvsl.encoder import MOST_CHANNELS, MOST_CLASSES, ImageTokenMode
from tvsl.errors import VocabularyError
from tvsl.utils.strict_model import StrictModel
from tvsl.vocabularies import check_names

_MOST_BLOCKS = 64
_MOST_SIDE = 64
_MOST_OVERLAP = 64

_Blocks = Annotated[int, Field(ge=1, le=_MOST_BLOCKS)]
_Channels = Annotated[int, Field(ge=1, le=MOST_CHANNELS)]


class _Config(StrictModel):
    # Sizes come from files of strangers: each has an upper bound, and numbers are finite.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ImageEncoderConfig(_Config):
    """CLIP's modified ResNet (Radford et al., 2021).

    Attributes:
        resolution: Side of the training pictures in pixels; fixes the position table.
        width: Channels after the stem.
        blocks: Bottleneck blocks of each stage.
        multiples: Channels of each stage's inner convolutions, in multiples of ``width``.
        strides: Stride of each stage; the stem before them has 4.
        heads: Heads of the attention pooling.
    """

    resolution: int = Field(224, gt=0, le=1024)
    width: int = Field(64, gt=1, le=2048)
    blocks: tuple[_Blocks, ...] = (3, 4, 6, 3)
    multiples: tuple[Annotated[int, Field(ge=1, le=64)], ...] = (1, 2, 4, 8)
    strides: tuple[Annotated[int, Field(ge=1, le=8)], ...] = (1, 2, 2, 2)
    heads: int = Field(32, gt=0, le=1024)

    @model_validator(mode="after")
    def _stages_agree(self) -> ImageEncoderConfig:
        if not len(self.blocks) == len(self.multiples) == len(self.strides) == 4:
            raise ValueError("blocks, multiples and strides must name four stages each")
        if self.resolution % self.cell:
            raise ValueError(f"resolution must be a multiple of the cell size {self.cell}")
        if self.resolution // self.cell > _MOST_SIDE:
            raise ValueError(f"resolution must not exceed {_MOST_SIDE} cells")
        if self.width * max(self.multiples) * 4 > MOST_CHANNELS:
            raise ValueError(f"4 * width * multiples must not exceed {MOST_CHANNELS} channels")
        if self.channels % self.heads:
            raise ValueError(f"heads must divide the {self.channels} channels of the last stage")
        return self

    @property
    def cell(self) -> int:
        """Side of one cell of the token grid in pixels (32 at full size)."""
        side = 4
        for stride in self.strides:
            side *= stride
        return side

    @property
    def channels(self) -> int:
        """Channels of the last feature map (2048 at full size)."""
        return self.width * self.multiples[-1] * 4

    def weights(self, embedding: int) -> int:
        """Number of weights without those of norms and biases."""
        half = self.width // 2
        count = 27 * half + 9 * half**2 + 9 * half * self.width
        inputs = self.width
        for blocks, multiple, stride in zip(self.blocks, self.multiples, self.strides, strict=True):
            inner, outputs = self.width * multiple, self.width * multiple * 4
            shortcut = inputs * outputs if stride > 1 or inputs != outputs else 0
            count += inputs * inner + shortcut + (blocks - 1) * outputs * inner
            count += blocks * (9 * inner**2 + inner * outputs)
            inputs = outputs
        cells = (self.resolution // self.cell) ** 2 + 1
        return count + cells * inputs + 3 * inputs**2 + inputs * embedding


class AudioEncoderConfig(_Config):
    """ESResNeXt-fbsp (Guzhov et al., 2021).

    Attributes:
        kind: Name of the audio network.
        sample_rate: Samples per second the weights were trained on.
        filter_length: Length over which a filter of the bank is defined, in samples.
        window_length: Length of a frame, in samples; the filters' outer columns see padding only.
        hop_length: Step from frame to frame, in samples.
        stem_width: Channels after the stem.
        blocks: Bottleneck blocks of each stage.
        groups: Groups of the 3 x 3 convolutions.
        group_width: Channels of a group in the first stage.
    """

    kind: Literal["esresnext"] = "esresnext"
    sample_rate: int = Field(44_100, ge=100, le=192_000)
    filter_length: int = Field(2048, ge=64, le=8192)
    window_length: int = Field(1654, gt=1, le=8192)
    hop_length: int = Field(561, gt=0, le=8192)
    stem_width: int = Field(64, gt=0, le=MOST_CHANNELS // 32)
    blocks: tuple[_Blocks, ...] = (3, 4, 6, 3)
    groups: int = Field(32, gt=0, le=1024)
    group_width: int = Field(4, gt=0, le=1024)

    @model_validator(mode="after")
    def _window_fits(self) -> AudioEncoderConfig:
        if self.window_length > self.filter_length:
            raise ValueError("window_length must not exceed filter_length")
        if self.window_length > _MOST_OVERLAP * self.hop_length:
            raise ValueError(f"window_length must not exceed {_MOST_OVERLAP} * hop_length")
        if self.groups * self.group_width * 8 > MOST_CHANNELS:
            raise ValueError(f"8 * groups * group_width must not exceed {MOST_CHANNELS} channels")
        if len(self.blocks) != 4:
            raise ValueError("blocks must name four stages")
        return self

    @property
    def bins(self) -> int:
        """Filters in the bank, one per frequency (1025 at full size)."""
        return self.filter_length // 2 + 1

    @property
    def channels(self) -> int:
        """Channels of the last feature map (2048 at full size)."""
        return self.stem_width * 32

    def weights(self, embedding: int) -> int:
        """Number of weights without those of norms and biases."""
        inputs, count = self.stem_width, 147 * self.stem_width
        for stage, blocks in enumerate(self.blocks):
            inner, outputs = self.groups * self.group_width << stage, self.stem_width * 4 << stage
            shortcut = inputs * outputs if stage or inputs != outputs else 0
            gate = inputs * outputs + inputs * (5 if stage % 2 else 3)
            count += inputs * inner + shortcut + gate + (blocks - 1) * outputs * inner
            count += blocks * (9 * inner**2 // self.groups + inner * outputs)
            inputs = outputs
        return count + inputs**2 + 15 * inputs + inputs * embedding


class ModulationAudioEncoderConfig(_Config):
    """A small network on log-frequency bands and their modulation spectra.

    Attributes:
        kind: Name of the audio network.
        sample_rate: Samples per second.
        frames: Frames of a segment; a sound is cut into segments, each encoded by itself.
        hop_length: Step from frame to frame, in samples.
        window_length: Length of a frame, in samples: from a step to a segment.
        bands: Bands, evenly spaced in log frequency; a multiple of 16.
        lowest: Centre of the lowest band in hertz.
        highest: Centre of the highest band in hertz.
        modulations: Bins of the modulation spectrum that are used, from the first above 0 Hz.
        widths: Channels after the stem and after each of the three stages.
    """

    kind: Literal["modulation"] = "modulation"
    sample_rate: int = Field(16_000, ge=100, le=192_000)
    frames: int = Field(64, gt=0, le=1024, multiple_of=16)
    hop_length: int = Field(320, gt=0, le=8192)
    window_length: int = Field(1024, gt=1, le=8192)
    bands: int = Field(96, gt=0, le=1024, multiple_of=16)
    lowest: float = Field(70.0, gt=0, le=96_000)
    highest: float = Field(7500.0, gt=0, le=96_000)
    modulations: int = Field(24, gt=0, le=512)
    widths: tuple[_Channels, _Channels, _Channels, _Channels] = (24, 48, 96, 192)

    @model_validator(mode="after")
    def _bands_fit(self) -> ModulationAudioEncoderConfig:
        if not self.lowest < self.highest < self.sample_rate / 2:
            raise ValueError("bands must lie between 0 and half the sample rate, lowest first")
        if self.modulations > self.frames // 2:
            raise ValueError("modulations must not exceed half the frames")
        if not self.hop_length <= self.window_length <= self.segment:
            raise ValueError("window_length must lie between hop_length and a segment")
        if self.window_length > _MOST_OVERLAP * self.hop_length:
            raise ValueError(f"window_length must not exceed {_MOST_OVERLAP} * hop_length")
        return self

    @property
    def segment(self) -> int:
        """Samples of a segment (20,480 by default: 1.28 s)."""
        return self.frames * self.hop_length

    def weights(self, embedding: int) -> int:
        """Number of weights without those of norms and biases."""
        first = self.widths[1]
        count = 18 * self.widths[0] + 2 * self.modulations * first + 2 * first**2
        for inputs, outputs in zip(self.widths, self.widths[1:], strict=False):
            count += 10 * inputs * outputs + 9 * outputs**2
        return count + self.widths[-1] * embedding


class TextEncoderConfig(_Config):
    """CLIP's text transformer (Radford et al., 2021).

    Attributes:
        vocabulary: Number of token ids.
        context: Token ids of one text, padding included.
        width: Channels.
        layers: Transformer blocks.
        heads: Heads of each block.
    """

    vocabulary: int = Field(49_408, gt=0, le=1_000_000)
    context: int = Field(77, gt=2, le=1024)
    width: int = Field(512, gt=0, le=MOST_CHANNELS)
    layers: int = Field(12, gt=0, le=_MOST_BLOCKS)
    heads: int = Field(8, gt=0, le=1024)

    @model_validator(mode="after")
    def _heads_fit(self) -> TextEncoderConfig:
        if self.width % self.heads:
            raise ValueError("heads must divide width")
        return self

    def weights(self, embedding: int) -> int:
        """Number of weights without those of norms and biases."""
        tables = (self.vocabulary + self.context + embedding) * self.width
        return tables + 12 * self.layers * self.width**2


class AudioCLIPConfig(_Config):
    """The tri-modal model (Sec. 3.1).

    Attributes:
        embedding: D, the size of the shared space.
        waveform_scale: Factor for waveforms in [-1, 1]. AudioCLIP was trained on the 16-bit range,
            so 32768; the released T-VSL uses 1, about 90 dB too quiet.
        image_tokens: Dense image tokens that ``encode`` gives.
        classes: Class names for detection when none are given; everyday sounds when empty.
        image: Sizes of the image encoder.
        audio: Sizes of the audio encoder; their class chooses the network.
        text: Sizes of the text encoder.
    """

    embedding: int = Field(1024, gt=0, le=MOST_CHANNELS)
    waveform_scale: float = Field(32768.0, gt=0, le=1e9)
    image_tokens: ImageTokenMode = "values"
    classes: tuple[str, ...] = Field((), max_length=MOST_CLASSES)

    image: ImageEncoderConfig = ImageEncoderConfig()
    audio: Annotated[
        AudioEncoderConfig | ModulationAudioEncoderConfig, Field(discriminator="kind")
    ] = AudioEncoderConfig()
    text: TextEncoderConfig = TextEncoderConfig()

    @property
    def fingerprinted(self) -> str:
        """The part of the config that a model's fingerprint covers, as JSON."""
        return self.model_dump_json(exclude={"classes"})

    @property
    def weights(self) -> int:
        """Number of weights without those of norms and biases: known before a model is built."""
        return sum(part.weights(self.embedding) for part in (self.image, self.audio, self.text))

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if names:
            try:
                check_names(names)
            except VocabularyError as error:
                raise ValueError(error.problem) from error
        return names
