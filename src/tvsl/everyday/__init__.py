"""The everyday encoder: small pretrained networks that come with the package.

YAMNet hears, EfficientNet-Lite0 and an SSD see, MiniLM reads; ``space`` says how they meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.everyday.encoder import EverydayEncoder as EverydayEncoder
    from tvsl.everyday.encoder import load as load
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
