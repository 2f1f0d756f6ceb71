"""Scores of localization maps: pure functions, `torchmetrics` classes and named protocols."""

from tvsl.metrics.assignment import (
    UNASSIGNED,
    best_assignment,
    permutation_invariant_average_precision,
)
from tvsl.metrics.classes import (
    ClassAwareAveragePrecision,
    MeanAveragePrecision,
    MeanCIoU,
    MeanIoU,
    NegativesAveragePrecision,
    NegativesMaxF1,
    PermutationInvariantAveragePrecision,
    SuccessAUC,
    SuccessRate,
)
from tvsl.metrics.detection import DetectionMeanAveragePrecision
from tvsl.metrics.groups import class_average, group_mean, group_minimum
from tvsl.metrics.maps import minmax, resize_maps
from tvsl.metrics.negatives import (
    confidence,
    negatives_average_precision,
    negatives_max_f1,
    precision_recall,
)
from tvsl.metrics.overlap import (
    area_cut,
    ciou,
    cut_maps,
    iou,
    mask_ciou,
    median_threshold,
    success_auc,
    success_rate,
)
from tvsl.metrics.pair_metric import PairMetric
from tvsl.metrics.precision import average_precision, detection_mean_average_precision
from tvsl.metrics.protocols import (
    ADAPTIVE,
    FIXED,
    MEDIAN,
    NEGATIVES,
    PAPER,
    PAPER_THRESHOLDS,
    PROTOCOLS,
    Figure,
    Protocol,
    ProtocolMetric,
    find_protocol,
)
from tvsl.metrics.scores import LabelSource, Scores, hash_ids

__all__ = [
    "ADAPTIVE",
    "FIXED",
    "MEDIAN",
    "NEGATIVES",
    "PAPER",
    "PAPER_THRESHOLDS",
    "PROTOCOLS",
    "UNASSIGNED",
    "ClassAwareAveragePrecision",
    "DetectionMeanAveragePrecision",
    "Figure",
    "LabelSource",
    "MeanAveragePrecision",
    "MeanCIoU",
    "MeanIoU",
    "NegativesAveragePrecision",
    "NegativesMaxF1",
    "PairMetric",
    "PermutationInvariantAveragePrecision",
    "Protocol",
    "ProtocolMetric",
    "Scores",
    "SuccessAUC",
    "SuccessRate",
    "area_cut",
    "average_precision",
    "best_assignment",
    "ciou",
    "class_average",
    "confidence",
    "cut_maps",
    "detection_mean_average_precision",
    "find_protocol",
    "group_mean",
    "group_minimum",
    "hash_ids",
    "iou",
    "mask_ciou",
    "median_threshold",
    "minmax",
    "negatives_average_precision",
    "negatives_max_f1",
    "permutation_invariant_average_precision",
    "precision_recall",
    "resize_maps",
    "success_auc",
    "success_rate",
]
