"""Methods without anything to train: they use the encoder's space as it is, or not at all."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from tvsl.errors import UsageError
from tvsl.methods.base import Method, Supervision
from tvsl.tokens import Tokens, Vocabulary


class Untrained(Method):
    """A method without parameters and losses."""

    supervision: ClassVar[Supervision] = "none"
    works_untrained: ClassVar[bool] = True

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:  # noqa: ARG002
        """There are none.

        Raises:
            UsageError: Always.
        """
        raise UsageError("This method has nothing to train.", "Use it as it is.")
