"""The paper's tables and figures, measured anew: specs, runs, results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.reproduce.experiment import Experiment as Experiment
    from tvsl.reproduce.experiment import ExperimentConfig as ExperimentConfig
    from tvsl.reproduce.run import Reproduction as Reproduction
    from tvsl.reproduce.run import reproduce as reproduce
    from tvsl.reproduce.tables import TABLES as TABLES
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
