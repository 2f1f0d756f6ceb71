"""A control: the class name against the visual tokens, without listening.

With the right name given, text is hard to beat wherever nothing but the class tells the source;
what a method adds shows where two objects share a class, and where names must be detected.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from torch import Tensor

from tvsl.methods.base import Method, check_inputs
from tvsl.methods.config import MethodConfig
from tvsl.methods.tvsl.conditioning import similarity
from tvsl.methods.tvsl.detection import EVIDENCE, evidence
from tvsl.methods.untrained import Untrained
from tvsl.tokens import Queries, Tokens, Vocabulary


class TextOnlyConfig(MethodConfig):
    """Its one switch.

    Attributes:
        detector: How the heard and the seen evidence are put together.
    """

    detector: Literal["evidence", "agreement"] = "evidence"


class TextOnly(Untrained):
    """cos(v_j, e_k); detects as T-VSL does without training.

    Args:
        config: Its switch.
    """

    name: ClassVar[str] = "text-only"
    config_type: ClassVar[type[MethodConfig]] = TextOnlyConfig
    class_aware: ClassVar[bool] = True
    decidable: ClassVar[frozenset[str]] = Method.decidable | {"detector"}
    config: TextOnlyConfig

    def __init__(self, config: TextOnlyConfig = TextOnlyConfig()) -> None:  # noqa: B008  (frozen)
        super().__init__(config)

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Cosines of the cells with the queried name; see the base class."""
        check_inputs(tokens.size, tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        names = vocabulary.embeddings[queries.label]
        flat = similarity(tokens.visual, names, queries.slots(tokens.batch))
        return flat.view(-1, *tokens.grid)

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        """Evidence scores, (B, N)."""
        check_inputs(tokens.size, tokens, vocabulary)
        found = evidence(tokens.audio, tokens.visual, vocabulary.embeddings)
        return EVIDENCE[self.config.detector](*found)

    def detectors(self) -> list[dict[str, Any]]:
        """Those of T-VSL that need no training."""
        return [{"detector": name} for name in EVIDENCE]
