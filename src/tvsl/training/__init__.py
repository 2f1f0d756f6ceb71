"""Training: the mini AudioCLIP from scratch (Eq. 1), and heads on frozen tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.training.config import PretrainConfig as PretrainConfig
    from tvsl.training.config import TrainConfig as TrainConfig
    from tvsl.training.config import recipe as recipe
    from tvsl.training.fit import check_recipe as check_recipe
    from tvsl.training.fit import train_head as train_head
    from tvsl.training.pretraining import pretrain as pretrain
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
