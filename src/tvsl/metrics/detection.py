"""How well the sounding classes are detected (Sec. 3.2), as a `torchmetrics` class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from tvsl.errors import UsageError
from tvsl.metrics.pair_metric import UNKNOWN, each_once
from tvsl.metrics.precision import detection_mean_average_precision
from tvsl.metrics.validation import Array, as_tensor, masks_of, require, whole_numbers


class DetectionMeanAveragePrecision(Metric):
    """How well the sounding classes are detected: mean over classes of AP over clips.

    Args:
        classes: N, the number of classes.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    scores: list[Tensor]
    labels: list[Tensor]
    ids: list[Tensor]

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(classes, int) or classes < 1:
            raise UsageError(f"There cannot be {classes!r} classes.", "Give a number from 1 on.")
        self.classes = classes
        for name in ("scores", "labels", "ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all clips."""
        super().reset()
        # A process that sees no clip has to send tables of the right shape all the same.
        self.scores.append(torch.empty(0, self.classes, device=self.device))
        self.labels.append(torch.empty(0, self.classes, device=self.device, dtype=torch.uint8))
        self.ids.append(torch.empty(0, device=self.device, dtype=torch.int64))

    def update(self, scores: Array, labels: Array, ids: Array | None = None) -> None:
        """Keep some clips, given as tensors, NumPy arrays or lists.

        Args:
            scores: (B, N), higher = more likely heard and seen.
            labels: (B, N) bool, the true classes.
            ids: The number of each clip in the data set, (B,) int64, not negative; a clip that is
                seen twice counts once.

        Raises:
            ShapeError: The shapes or types differ from this, or a score is not finite.
        """
        scores, labels = as_tensor(scores, "Scores"), as_tensor(labels, "Labels")
        require(
            scores.ndim == 2 and scores.shape == labels.shape and scores.shape[1] == self.classes,
            f"Scores and labels must be (B, {self.classes}), got {tuple(scores.shape)} and "
            f"{tuple(labels.shape)}.",
            "Give one row per clip and one column per class.",
        )
        require(
            scores.is_floating_point() and bool(scores.isfinite().all()),
            f"Scores must be floating and finite, got {scores.dtype}.",
            "Look for an overflow where the scores are made.",
        )
        labels = masks_of(labels, name="Labels")
        if ids is None:
            ids = torch.full((len(scores),), UNKNOWN)
        self.ids.append(whole_numbers(ids, scores, "ids").to(self.device))
        self.scores.append(scores.detach().to(self.device, torch.float32))
        self.labels.append(labels.to(self.device, torch.uint8))

    def compute(self) -> Tensor:
        """The mean over the classes that occur, a float64 scalar.

        Raises:
            ShapeError: No clip has a label.
        """
        clips = each_once(
            {name: dim_zero_cat(getattr(self, name)) for name in ("scores", "labels", "ids")}
        )
        return detection_mean_average_precision(clips["scores"], clips["labels"].bool())
