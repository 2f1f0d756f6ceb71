"""Sizes of the three encoders; the defaults are those of the public AudioCLIP checkpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tvsl.errors import VocabularyError
from tvsl.names import check_names

ImageTokenMode = Literal["values", "cells", "released"]
FlipAverage = Literal["none", "mirror", "turn"]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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

    resolution: int = Field(224, gt=0)
    width: int = Field(64, gt=0)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    multiples: tuple[int, ...] = (1, 2, 4, 8)
    strides: tuple[int, ...] = (1, 2, 2, 2)
    heads: int = Field(32, gt=0)

    @model_validator(mode="after")
    def _stages_agree(self) -> ImageEncoderConfig:
        if not len(self.blocks) == len(self.multiples) == len(self.strides) == 4:
            raise ValueError("blocks, multiples and strides must name four stages each")
        if self.resolution % self.cell:
            raise ValueError(f"resolution must be a multiple of the cell size {self.cell}")
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


class AudioEncoderConfig(_Config):
    """ESResNeXt-fbsp (Guzhov et al., 2021).

    Attributes:
        kind: Which audio network this is.
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
    sample_rate: int = Field(44_100, gt=0)
    filter_length: int = Field(2048, gt=1)
    window_length: int = Field(1654, gt=1)
    hop_length: int = Field(561, gt=0)
    stem_width: int = Field(64, gt=0)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    groups: int = Field(32, gt=0)
    group_width: int = Field(4, gt=0)

    @model_validator(mode="after")
    def _window_fits(self) -> AudioEncoderConfig:
        if self.window_length > self.filter_length:
            raise ValueError("window_length must not exceed filter_length")
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


class ModulationAudioEncoderConfig(_Config):
    """A small network on log-frequency bands that also hears how fast they swell and fade.

    Attributes:
        kind: Which audio network this is.
        sample_rate: Samples per second.
        frames: Frames of a segment; a sound is cut into segments, each encoded by itself.
        hop_length: Step from frame to frame, in samples.
        window_length: Length of a frame, in samples: from a step to a segment.
        bands: Bands, evenly spaced in log frequency; a multiple of 16.
        lowest: Centre of the lowest band in hertz.
        highest: Centre of the highest band in hertz.
        modulations: Bins of the modulation spectrum that are heard, from the first above 0 Hz.
        widths: Channels after the stem and after each of the three stages.
    """

    kind: Literal["modulation"] = "modulation"
    sample_rate: int = Field(16_000, gt=0)
    frames: int = Field(64, gt=0, multiple_of=16)
    hop_length: int = Field(320, gt=0)
    window_length: int = Field(1024, gt=1)
    bands: int = Field(96, gt=0, multiple_of=16)
    lowest: float = Field(70.0, gt=0)
    highest: float = Field(7500.0, gt=0)
    modulations: int = Field(24, gt=0)
    widths: tuple[int, int, int, int] = (24, 48, 96, 192)

    @model_validator(mode="after")
    def _bands_fit(self) -> ModulationAudioEncoderConfig:
        if not self.lowest < self.highest < self.sample_rate / 2:
            raise ValueError("bands must lie between 0 and half the sample rate, lowest first")
        if self.modulations > self.frames // 2:
            raise ValueError("modulations must not exceed half the frames")
        if not self.hop_length <= self.window_length <= self.segment:
            raise ValueError("window_length must lie between hop_length and a segment")
        return self

    @property
    def segment(self) -> int:
        """Samples of a segment (20,480 by default: 1.28 s)."""
        return self.frames * self.hop_length


class TextEncoderConfig(_Config):
    """CLIP's text transformer (Radford et al., 2021).

    Attributes:
        vocabulary: Number of token ids.
        context: Token ids of one text, padding included.
        width: Channels.
        layers: Transformer blocks.
        heads: Heads of each block.
    """

    vocabulary: int = Field(49_408, gt=0)
    context: int = Field(77, gt=2)
    width: int = Field(512, gt=0)
    layers: int = Field(12, gt=0)
    heads: int = Field(8, gt=0)


class AudioCLIPConfig(_Config):
    """The tri-modal model (Sec. 3.1).

    Attributes:
        embedding: D, the size of the shared space.
        waveform_scale: What a waveform in [-1, 1] is multiplied by. AudioCLIP was trained on
            the 16-bit range, so 32768; the released T-VSL feeds 1, about 90 dB too quiet.
        image_tokens: Which dense tokens ``encode`` gives.
        classes: Class names among which to detect when none are given; everyday sounds when empty.
        image: Sizes of the image encoder.
        audio: Sizes of the audio encoder; they choose which network it is.
        text: Sizes of the text encoder.
    """

    embedding: int = Field(1024, gt=0)
    waveform_scale: float = Field(32768.0, gt=0)
    image_tokens: ImageTokenMode = "values"
    classes: tuple[str, ...] = ()
    image: ImageEncoderConfig = ImageEncoderConfig()
    audio: Annotated[
        AudioEncoderConfig | ModulationAudioEncoderConfig, Field(discriminator="kind")
    ] = AudioEncoderConfig()
    text: TextEncoderConfig = TextEncoderConfig()

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if names:
            try:
                check_names(names)
            except VocabularyError as error:
                raise ValueError(error.problem) from error
        return names
