"""Scoring: encoded test scenes, maps against ground truth, and the tables made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.evaluation.evaluator import EvaluatedModels as EvaluatedModels
    from tvsl.evaluation.evaluator import Evaluator as Evaluator
    from tvsl.evaluation.evaluator import load_models as load_models
    from tvsl.evaluation.predict import EvaluationConfig as EvaluationConfig
    from tvsl.evaluation.predict import evaluation_config as evaluation_config
    from tvsl.evaluation.results import Evaluation as Evaluation
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
