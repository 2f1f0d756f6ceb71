"""T-VSL: text-guided visual sound source localization in mixtures (CVPR 2024)."""

from tvsl.methods.tvsl.config import PRESETS, ReleasedConfig, TVSLConfig, preset
from tvsl.methods.tvsl.method import TVSL, method_of
from tvsl.methods.tvsl.released import ReleasedTVSL

__all__ = [
    "PRESETS",
    "TVSL",
    "ReleasedConfig",
    "ReleasedTVSL",
    "TVSLConfig",
    "method_of",
    "preset",
]
