"""Base classes of adapted methods: papers whose backbones are replaced by frozen shared encoders.

`Adapted` keeps the head alone of a method. `ClosedVocabulary` are those with parameters of their
own for each class: they know the classes of training alone.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor

from tvsl.encoder import MOST_CLASSES
from tvsl.errors import UsageError, VocabularyError
from tvsl.methods.base import (
    Method,
    MethodConfig,
    Supervision,
    check_inputs,
    check_labels,
    with_overrides,
)
from tvsl.methods.operations import unit
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.vocabularies import check_names, same_names

ClassReadout = Literal["original", "class", "whole"]
CLASS_READOUTS: tuple[ClassReadout, ...] = get_args(ClassReadout)
"""``class``: a map of the class; ``whole``: one of the whole sound; ``original``: as papers with
both choose, the second for a class alone and the first for one of several of a clip."""


class AdaptedConfig(MethodConfig):
    """Hyperparameters of every adapted method.

    Attributes:
        weight_decay: Weight decay of Adam (added to the gradient, as the originals have it).
        scale_tokens: Whether every token and every pooled embedding is first scaled to a root
            mean square of 1. The originals' layers start at sizes that suit the features of a
            backbone under batch normalisation; tokens of a frozen encoder have any length.
    """

    weight_decay: float = Field(0.0, ge=0, le=1)
    scale_tokens: bool = True


class Adapted(Method):
    """A method of which only the head is kept: its backbones are the frozen encoders."""

    config: AdaptedConfig

    def prepare(self, tokens: Tokens, vocabulary: Vocabulary | None = None) -> Tokens:
        """Check tokens, and scale them as the head sees them if the config says so.

        Args:
            tokens: B clips.
            vocabulary: N classes, where there are any.

        Raises:
            ShapeError: They come from an encoder of another size.
        """
        check_inputs(self.config.embedding, tokens, vocabulary)
        if not self.config.scale_tokens:
            return tokens
        length = math.sqrt(tokens.size)
        return replace(
            tokens,
            visual=length * unit(tokens.visual),
            audio=length * unit(tokens.audio),
            image=length * unit(tokens.image),
            sound=length * unit(tokens.sound),
        )

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """One group of all parameters, with the original's weight decay; see the base class."""
        groups = super().parameter_groups(learning_rate)
        return [{**group, "weight_decay": self.config.weight_decay} for group in groups]


class ClosedVocabularyConfig(AdaptedConfig):
    """Classes that a head has parameters for.

    Attributes:
        classes: Their names, C of them; filled in where a head is built for training.
    """

    classes: tuple[str, ...] = Field((), max_length=MOST_CLASSES)


class ClosedVocabulary(Adapted):
    """A method with parameters for each class, which knows the classes of training alone.

    ``losses``, ``maps`` and ``detect`` raise a VocabularyError for another class. Vocabularies are
    matched by name, in any spelling: another order, or a part of the classes, is welcome.

    Args:
        config: Its sizes, with its classes.

    Raises:
        UsageError: No class, or one twice.
    """

    supervision: ClassVar[Supervision] = "video labels"
    class_aware: ClassVar[bool] = True
    config: ClosedVocabularyConfig

    def __init__(self, config: ClosedVocabularyConfig) -> None:
        super().__init__(config)
        try:
            check_names(config.classes)
        except VocabularyError as error:
            raise UsageError(
                f"The method '{self.name}' has parameters for each class and needs their names. "
                f"{error.problem}",
                "Train it: training fills in `classes`.",
            ) from error

    @classmethod
    def config_for(cls, config: MethodConfig, vocabulary: Vocabulary) -> MethodConfig:
        """Config with the vocabulary's size and names; see the base class."""
        return with_overrides(super().config_for(config, vocabulary), classes=vocabulary.names)

    def class_rows(self, vocabulary: Vocabulary) -> Tensor:
        """Head's own row of each class of a vocabulary, (N,) int64; -1 for one unknown."""
        own = {form: row for row, form in enumerate(same_names(self.config.classes))}
        rows = [own.get(form, -1) for form in same_names(vocabulary.names)]
        return torch.tensor(rows, device=vocabulary.embeddings.device)

    def queried(self, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Head's own row of each query's class: (P,) int64.

        Args:
            queries: P pairs.
            vocabulary: N classes.

        Raises:
            VocabularyError: It does not know one of the classes.
        """
        rows = self.class_rows(vocabulary)[queries.label]
        self._require(rows >= 0, queries.label, vocabulary)
        return rows

    def targets(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> Tensor:
        """Training labels by the head's own classes: (B, C) bool.

        Args:
            tokens: B clips.
            labels: (B, N) bool.
            vocabulary: N classes.

        Raises:
            ShapeError: The labels are not for these clips and classes, or a clip has none.
            VocabularyError: A class sounds that the head does not know.
        """
        labels = check_labels(labels, tokens, vocabulary)
        rows = self.class_rows(vocabulary)
        sounding = labels.any(dim=0)
        self._require((rows >= 0) | ~sounding, torch.arange(len(rows)), vocabulary)
        result = labels.new_zeros(tokens.batch, len(self.config.classes))
        result[:, rows[sounding]] = labels[:, sounding]
        return result

    def by_vocabulary(self, scores: Tensor, vocabulary: Vocabulary) -> Tensor:
        """Sort scores of the head's own classes into the order of a vocabulary: (B, N).

        Args:
            scores: (B, C).
            vocabulary: N classes.

        Raises:
            VocabularyError: The head does not know one of the vocabulary's classes.
        """
        rows = self.class_rows(vocabulary)
        self._require(rows >= 0, torch.arange(len(rows)), vocabulary)
        return scores[:, rows]

    def _require(self, known: Tensor, label: Tensor, vocabulary: Vocabulary) -> None:
        unknown = {vocabulary.names[number] for number in label[~known.to(label.device)].tolist()}
        if unknown:
            raise VocabularyError(
                f"This '{self.name}' head was trained on {len(self.config.classes)} classes, and "
                f"{', '.join(repr(name) for name in sorted(unknown))} is not among them.",
                "It has parameters for each class, so that zero-shot transfer is impossible: "
                "train a head on these classes, or ask by the names of its own.",
            )


def uses_whole_sound(readout: ClassReadout, queries: Queries) -> Tensor:
    """Choose the queries that get a map of the whole sound: (P,) bool.

    Args:
        readout: The head's readout.
        queries: P pairs.
    """
    if readout == "original":
        return queries.alone()
    return torch.full_like(queries.clip, readout == "whole", dtype=torch.bool)
