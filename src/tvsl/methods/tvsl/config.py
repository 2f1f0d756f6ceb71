"""Hyperparameters of T-VSL, and its presets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tvsl.encoder import MOST_CHANNELS, ImageTokenMode
from tvsl.errors import UsageError
from tvsl.methods.base import MethodConfig, with_overrides

Detector = Literal["evidence", "agreement", "decomposition", "fusion"]
Readout = Literal["cosine", "signed", "text", "evidence", "sum"]
TokenProjectors = Literal["identity", "slow", "trained"]


class TVSLConfig(MethodConfig):
    """Hyperparameters of the method as the paper describes it, beside those of every head.

    Where a stored head states none, it has the defaults; what we recommend is ``preset("tvsl")``.

    Attributes:
        token_projectors: P_a and P_v (Sec. 3.2): ``identity`` leaves the encoder's tokens alone,
            ``slow`` trains them at a tenth of the learning rate, ``trained`` at the full one.
        identity_start: Whether the linear projectors start as the identity.
        fusion_layers: P_f as printed (1), or with a hidden layer (2).
        detector: Scores of ``detect``: training-free ``evidence``, ``agreement`` or
            ``decomposition`` (``detection.py``), or P_f, ``fusion``.
        detach_detection: Whether L_mcid leaves P_a and P_v alone.
        audio_conditioning: phi^a (Sec. 3.3, Table 3).
        image_conditioning: phi^v (Sec. 3.3, Table 3).
        class_projectors: P_vc and P_ac (Sec. 3.3). Without them what L_cls teaches goes into P_v
            and P_a, which inference uses.
        class_negatives: Whether L_cls asks of every class whether it is there, in place of asking
            of each true class which one it is: no printed loss tells a class from what is absent.
        class_focus: Sharpness of a softmax that weighs cells and pieces of sound in L_cls, in place
            of the bare cosines, which are so alike that the means of all classes are nearly one;
            0 as printed.
        class_weight: Factor of L_cls.
        correspondence: The correspondence block (Sec. 3.4, Table 3).
        correspondence_weight: Factor of L_av.
        pooled_weight: Factor of Eq. 1 on the means of tokens and the clip's names, which continues
            the encoder's own training through P_a and P_v.
        mask_same_class: Whether other pairs of a pair's class are left out of its negatives.
        stages: 2, or 1 for the one-stage variant (Table 7).
        prompt_length: Learned context vectors before the class name (Sec. 4.6, Table 6).
        prompt_classes: Most classes that a training step runs through the text encoder.
        readout: Readout of a map (``inference.py``).
        readout_exponent: Exponent of the ``evidence`` readout.
        query_anchor: Share that the untrained audio query has in a trained one at inference. What
            is trained on some classes drifts away from the others; half way back keeps most of what
            was learned (Wortsman et al., CVPR 2022, average weights to the same end).
        token_anchor: Share that the encoder's own tokens have in those of P_a and P_v at inference,
            for the same reason.
        responsibility: Sharpness with which tokens of the sound are shared out among the classes
            at inference (``inference.py``); with 0 each class takes of all. 10 was chosen on
            validation duets of the made-up world, where 5 to 20 are much the same
            (`benchmarks/constants.py`).
        printed_sums: Whether losses are summed over classes and sources as printed, in place of
            averaged.
    """

    token_projectors: TokenProjectors = "identity"
    identity_start: bool = True
    fusion_layers: Literal[1, 2] = 2
    detector: Detector = "evidence"
    detach_detection: bool = True
    audio_conditioning: bool = True
    image_conditioning: bool = True
    class_projectors: bool = True
    class_negatives: bool = False
    class_focus: float = Field(0.0, ge=0, le=1e4)
    class_weight: float = Field(1.0, ge=0, le=1e6)
    correspondence: bool = True
    correspondence_weight: float = Field(1.0, ge=0, le=1e6)
    pooled_weight: float = Field(0.0, ge=0, le=1e6)
    mask_same_class: bool = True
    stages: Literal[1, 2] = 2
    prompt_length: int = Field(0, ge=0, le=32)
    prompt_classes: int = Field(64, gt=1, le=1_000_000)
    readout: Readout = "evidence"
    readout_exponent: float = Field(0.5, gt=0, le=100)
    query_anchor: float = Field(0.5, ge=0, le=1)
    token_anchor: float = Field(0.0, ge=0, le=1)
    responsibility: float = Field(10.0, ge=0, le=1e6)
    printed_sums: bool = False

    @property
    def shares_audio(self) -> bool:
        """True where tokens of the sound are shared out among the classes."""
        return self.responsibility > 0 and self.audio_conditioning

    @property
    def asks_every_class(self) -> bool:
        """True where L_cls is the presence of every class."""
        if not (self.audio_conditioning or self.image_conditioning):
            return False
        return self.class_negatives or self.stages == 1

    @property
    def compares_classes(self) -> bool:
        """True where sounds are shared out or decomposed over the classes; see the base class."""
        return self.shares_audio or self.detector == "decomposition"


def check_config(config: TVSLConfig) -> None:
    """Refuse hyperparameters that do not go together.

    Raises:
        UsageError: One stage without any conditioning, or an anchor without the identity.
    """
    if config.stages == 1 and not (config.audio_conditioning or config.image_conditioning):
        raise UsageError(
            "The one-stage variant learns its classes in the conditioning blocks.",
            "Leave at least one of them on.",
        )
    for name in ("query_anchor", "token_anchor"):
        if getattr(config, name) > 0 and not config.identity_start:
            raise UsageError(
                "What a projector gives can be anchored only where it starts as the identity.",
                f"Set {name} to 0.",
            )


class ReleasedConfig(MethodConfig):
    """Sizes and factors of the released code, which has no other hyperparameters.

    Attributes:
        hidden: Width of the projectors' hidden layer.
        image_text_scale: Factor of the cosines of picture and text in the losses; the encoder's
            own when None (100 without an encoder).
        audio_text_scale: The same of sound and text.
        audio_image_scale: The same of sound and picture.
        polarity: The released evaluation turns every map upside down.
        detection_threshold: The released code never detects; a probability of one half.
        image_tokens: Its own reading of the position table.
        waveform_scale: It feeds waveforms in [-1, 1], about 90 dB too quiet.
        square_pictures: It squeezes every picture into 224 x 224.
    """

    hidden: int = Field(2048, gt=0, le=MOST_CHANNELS)
    image_text_scale: float | None = Field(None, ge=1, le=100)
    audio_text_scale: float | None = Field(None, ge=1, le=100)
    audio_image_scale: float | None = Field(None, ge=1, le=100)
    polarity: Literal[1, -1] = -1
    detection_threshold: float | None = Field(0.5, ge=-1e6, le=1e6)
    image_tokens: ImageTokenMode = "released"
    waveform_scale: float = Field(1.0, gt=0, le=1e9)
    square_pictures: bool = True


PRESETS: dict[str, TVSLConfig | ReleasedConfig] = {
    "tvsl": TVSLConfig(
        token_projectors="trained",
        detach_detection=False,
        class_negatives=True,
        class_focus=30.0,
    ),
    "paper": TVSLConfig(
        token_projectors="trained",
        identity_start=False,
        fusion_layers=1,
        detector="fusion",
        detach_detection=False,
        mask_same_class=False,
        readout="cosine",
        query_anchor=0.0,
        responsibility=0.0,
        printed_sums=True,
    ),
    "released": ReleasedConfig(),
}


def preset(name: str, **hyperparameters: Any) -> TVSLConfig | ReleasedConfig:
    """Look up a preset.

    Args:
        name: ``tvsl``, our best; ``paper``, every equation as printed; ``released``, the public
            code, bug for bug where it shapes numbers.
        hyperparameters: Overrides of its hyperparameters.

    Raises:
        UsageError: There is no such preset or hyperparameter, or a value that it cannot have.
    """
    if name not in PRESETS:
        raise UsageError(f"There is no preset '{name}'.", f"Presets: {', '.join(PRESETS)}.")
    return with_overrides(PRESETS[name], **hyperparameters)
