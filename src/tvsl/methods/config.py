"""What every head states of itself, whatever its method."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from tvsl.audioclip.config import MOST_CHANNELS, FlipAverage, ImageTokenMode
from tvsl.errors import UsageError, first_problem
from tvsl.strict_model import StrictModel


class MethodConfig(StrictModel):
    """Sizes and switches of a head; a method with more of them has a subclass.

    Configs come from files of strangers: every number has an upper bound, sizes above all.

    Attributes:
        embedding: D, the size of the encoder's space.
        polarity: 1, or -1 to turn maps upside down, decided on validation data.
        clamp_negative: Whether negative values are cut to 0 before a map is shown or scored, or
            they stretch its range; decided on validation data.
        exponent: Power of the values after that, 2 sharpens a map; decided on validation data.
        detection_threshold: Classes at or over it sound, calibrated on validation data. None:
            not calibrated, classes that stand out of the vocabulary sound.
        flip_average: Averaging with the flipped picture that suits the head, decided on
            validation data; whoever localizes may choose another.
        image_tokens: Dense image tokens that the head is for; the encoder's own when None.
        waveform_scale: What waveforms are multiplied by; the encoder's own when None.
        square_pictures: Whether pictures are squeezed into a square, not kept in their shape.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    embedding: int = Field(1024, gt=0, le=MOST_CHANNELS)
    polarity: Literal[1, -1] = 1
    clamp_negative: bool = False
    exponent: float = Field(1.0, gt=0, le=100)
    detection_threshold: float | None = Field(None, ge=-1e6, le=1e6)
    flip_average: FlipAverage = "none"
    image_tokens: ImageTokenMode | None = None
    waveform_scale: float | None = Field(None, gt=0, le=1e9)
    square_pictures: bool = False

    @property
    def compares_classes(self) -> bool:
        """Whether what is said of a class depends on the vocabulary's other classes."""
        return False


ConfigT = TypeVar("ConfigT", bound=MethodConfig)


def switched(config: ConfigT, **switches: Any) -> ConfigT:
    """The same config with some switches set otherwise, checked.

    Raises:
        UsageError: There is no such switch, or a value that it cannot have.
    """
    if not switches:
        return config
    try:
        return type(config).model_validate({**config.model_dump(), **switches})
    except ValidationError as error:
        raise UsageError(
            f"The switches are wrong: {first_problem(error)}.",
            f"Switches: {', '.join(type(config).model_fields)}.",
        ) from error
