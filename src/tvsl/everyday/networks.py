"""The networks of the everyday encoder, as one module whose weights are those of one file."""

from __future__ import annotations

from torch import nn

from tvsl.everyday.detector import SSDMobileNetV2
from tvsl.everyday.hearing import YAMNet
from tvsl.everyday.seeing import CLASSES, WIDTH, EfficientNetLite0
from tvsl.everyday.space import Space, SpaceConfig
from tvsl.everyday.text import SentenceEncoder


class EverydayNetworks(nn.Module):
    """The networks and the space, whose weights are those of one file.

    Args:
        config: Sizes and factors of the space.
        pieces: Word pieces of the text encoder.
    """

    def __init__(self, config: SpaceConfig, pieces: int) -> None:
        super().__init__()
        self.hearing = YAMNet()
        self.seeing = EfficientNetLite0()
        self.classifier = nn.Linear(WIDTH, CLASSES)
        self.detector = SSDMobileNetV2()
        self.reading = SentenceEncoder(pieces)
        self.space = Space(config)
