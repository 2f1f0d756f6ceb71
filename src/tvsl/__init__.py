"""Text-guided visual sound source localization in mixtures: where is what is heard?

The public names are imported when they are first used, so that ``import tvsl`` costs nothing.
Errors are in ``tvsl.errors``, results of a localization in ``tvsl.localization``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tvsl import data as data
    from tvsl import methods as methods
    from tvsl import metrics as metrics
    from tvsl import render as render
    from tvsl.api import evaluate as evaluate
    from tvsl.api import list_datasets as list_datasets
    from tvsl.api import list_methods as list_methods
    from tvsl.api import list_models as list_models
    from tvsl.api import register as register
    from tvsl.api import score as score
    from tvsl.api import train as train
    from tvsl.errors import TvslError as TvslError
    from tvsl.evaluation.compare import compare as compare
    from tvsl.localization import Localization as Localization
    from tvsl.localization import SoundSource as SoundSource
    from tvsl.localizer import Localizer as Localizer
    from tvsl.localizer import load as load
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__, own=("__version__",), hidden=("TvslError", "Localization", "SoundSource")
    )
