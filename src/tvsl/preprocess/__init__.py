"""Raw videos to a folder of frames and waveforms: found, named, read by several processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.preprocess.options import Options as Options
    from tvsl.preprocess.options import make_options as make_options
    from tvsl.preprocess.run import Prepared as Prepared
    from tvsl.preprocess.run import prepare as prepare
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
