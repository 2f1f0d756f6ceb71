"""Scores of localization maps: pure functions, `torchmetrics` classes and named protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.metrics.intervals import Bootstrap as Bootstrap
    from tvsl.metrics.intervals import Interval as Interval
    from tvsl.metrics.intervals import verdict as verdict
    from tvsl.metrics.maps import minmax as minmax
    from tvsl.metrics.maps import resize_maps as resize_maps
    from tvsl.metrics.negatives import NegativesAveragePrecision as NegativesAveragePrecision
    from tvsl.metrics.negatives import NegativesMaxF1 as NegativesMaxF1
    from tvsl.metrics.negatives import confidence as confidence
    from tvsl.metrics.negatives import negatives_average_precision as negatives_average_precision
    from tvsl.metrics.negatives import negatives_max_f1 as negatives_max_f1
    from tvsl.metrics.negatives import precision_recall as precision_recall
    from tvsl.metrics.overlap import MeanCIoU as MeanCIoU
    from tvsl.metrics.overlap import MeanIoU as MeanIoU
    from tvsl.metrics.overlap import SuccessAUC as SuccessAUC
    from tvsl.metrics.overlap import SuccessRate as SuccessRate
    from tvsl.metrics.overlap import area_cut as area_cut
    from tvsl.metrics.overlap import ciou as ciou
    from tvsl.metrics.overlap import cut_maps as cut_maps
    from tvsl.metrics.overlap import iou as iou
    from tvsl.metrics.overlap import mask_ciou as mask_ciou
    from tvsl.metrics.overlap import median_threshold as median_threshold
    from tvsl.metrics.overlap import success_areas as success_areas
    from tvsl.metrics.overlap import success_auc as success_auc
    from tvsl.metrics.overlap import success_rate as success_rate
    from tvsl.metrics.pair_metric import PairMetric as PairMetric
    from tvsl.metrics.pair_metric import class_average as class_average
    from tvsl.metrics.pair_metric import group_mean as group_mean
    from tvsl.metrics.pair_metric import group_minimum as group_minimum
    from tvsl.metrics.precision import UNASSIGNED as UNASSIGNED
    from tvsl.metrics.precision import ClassAwareAveragePrecision as ClassAwareAveragePrecision
    from tvsl.metrics.precision import (
        DetectionMeanAveragePrecision as DetectionMeanAveragePrecision,
    )
    from tvsl.metrics.precision import MeanAveragePrecision as MeanAveragePrecision
    from tvsl.metrics.precision import (
        PermutationInvariantAveragePrecision as PermutationInvariantAveragePrecision,
    )
    from tvsl.metrics.precision import average_precision as average_precision
    from tvsl.metrics.precision import best_assignment as best_assignment
    from tvsl.metrics.precision import detection_draws as detection_draws
    from tvsl.metrics.precision import (
        detection_mean_average_precision as detection_mean_average_precision,
    )
    from tvsl.metrics.precision import (
        permutation_invariant_average_precision as permutation_invariant_average_precision,
    )
    from tvsl.metrics.protocols import ADAPTIVE as ADAPTIVE
    from tvsl.metrics.protocols import FIXED as FIXED
    from tvsl.metrics.protocols import MEDIAN as MEDIAN
    from tvsl.metrics.protocols import NEGATIVES as NEGATIVES
    from tvsl.metrics.protocols import PAPER as PAPER
    from tvsl.metrics.protocols import PAPER_THRESHOLDS as PAPER_THRESHOLDS
    from tvsl.metrics.protocols import PROTOCOLS as PROTOCOLS
    from tvsl.metrics.protocols import Figure as Figure
    from tvsl.metrics.protocols import LabelSource as LabelSource
    from tvsl.metrics.protocols import Protocol as Protocol
    from tvsl.metrics.protocols import ProtocolMetric as ProtocolMetric
    from tvsl.metrics.protocols import Scores as Scores
    from tvsl.metrics.protocols import find_protocol as find_protocol
    from tvsl.metrics.protocols import hash_ids as hash_ids
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
