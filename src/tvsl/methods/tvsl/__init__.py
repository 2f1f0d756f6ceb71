"""T-VSL: text-guided visual sound source localization in mixtures (CVPR 2024)."""

from tvsl.methods.tvsl.method import PRESETS, TVSL, TVSLConfig, method_of, preset
from tvsl.methods.tvsl.released import ReleasedConfig, ReleasedTVSL

__all__ = [
    "PRESETS",
    "TVSL",
    "ReleasedConfig",
    "ReleasedTVSL",
    "TVSLConfig",
    "method_of",
    "preset",
]
