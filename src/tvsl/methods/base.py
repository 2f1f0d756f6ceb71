"""What every localization method is: a head on the frozen encoders' tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from tvsl.errors import ShapeError
from tvsl.tokens import Queries, Tokens, Vocabulary

Supervision = Literal["none", "video labels"]


class Method(nn.Module, ABC):
    """A head that localizes; a new method is one file with one subclass of this.

    Class attributes:
        supervision: What training needs beside the clips.
        class_aware: Whether maps depend on the queried class; a class-agnostic method returns
            the same map for every query of a clip.

    Attributes:
        polarity: 1, or -1 where validation data showed that the raw maps are lower on the
            source than around it. Whoever shows or scores maps multiplies them by it.
    """

    supervision: ClassVar[Supervision]
    class_aware: ClassVar[bool]
    polarity: int = 1

    @abstractmethod
    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """Training losses of a batch.

        Args:
            tokens: B clips.
            labels: Which classes sound in which clip, (B, N) bool.
            vocabulary: N classes.

        Returns:
            Scalars by name; their sum is minimised.
        """

    @abstractmethod
    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Raw maps of P (clip, source) pairs.

        Args:
            tokens: B clips.
            queries: P pairs; any number per clip.
            vocabulary: N classes.

        Returns:
            Maps on the token grid, (P, h, w).
        """

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Parameters for an optimiser.

        Args:
            learning_rate: The full rate.

        Returns:
            Groups with ``params`` and ``lr``; one of all parameters, unless a method knows better.
        """
        return [{"params": list(self.parameters()), "lr": learning_rate}]

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor | None:  # noqa: ARG002
        """Score how likely each class sounds and is seen.

        Args:
            tokens: B clips.
            vocabulary: N classes.

        Returns:
            Scores, (B, N), or None for a method that cannot detect.
        """
        return None


def check_inputs(size: int, tokens: Tokens, vocabulary: Vocabulary) -> None:
    """Check that tokens and vocabulary come from an encoder of the head's size.

    Raises:
        ShapeError: They do not.
    """
    if not size == tokens.size == vocabulary.embeddings.shape[1]:
        raise ShapeError(
            f"The head is for embeddings of size {size}, tokens have {tokens.size} and the "
            f"vocabulary {vocabulary.embeddings.shape[1]}.",
            "Use one encoder for all three.",
        )


def check_labels(labels: Tensor, tokens: Tokens, vocabulary: Vocabulary) -> None:
    """Check training labels.

    Raises:
        ShapeError: Not bool (B, N), or a clip without any label.
    """
    if labels.dtype != labels.bool().dtype or tuple(labels.shape) != (
        tokens.batch,
        len(vocabulary),
    ):
        raise ShapeError(
            f"Labels must be bool ({tokens.batch}, {len(vocabulary)}), got {tuple(labels.shape)} "
            f"{labels.dtype}.",
            "Give one row per clip and one column per class.",
        )
    if not bool(labels.any(dim=1).all()):
        raise ShapeError("A clip has no label.", "Leave clips without labels out of training.")
