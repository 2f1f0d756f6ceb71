"""A control: the class name against the visual tokens, without listening.

With the right name given, text is hard to beat wherever nothing but the class tells the source;
what a method adds shows where two objects share a class, and where names must be detected.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from torch import Tensor

from tvsl.methods.base import Method, MethodConfig, Untrained, check_inputs
from tvsl.methods.tvsl.conditioning import similarity
from tvsl.methods.tvsl.detection import EVIDENCE, evidence
from tvsl.tokens import Queries, Tokens, Vocabulary


class TextOnlyConfig(MethodConfig):
    """Hyperparameters of text only, those of T-VSL that apply.

    Attributes:
        detector: Combination of the heard and the seen evidence (``tvsl/detection.py``).
    """

    detector: Literal["evidence", "agreement", "decomposition"] = "evidence"

    @property
    def compares_classes(self) -> bool:
        """True where sounds are decomposed over the classes; see the base class."""
        return self.detector == "decomposition"


class TextOnly(Untrained):
    """cos(v_j, e_k); detects as T-VSL does without training.

    Args:
        config: Its hyperparameters.
    """

    name: ClassVar[str] = "text-only"
    config_type: ClassVar[type[TextOnlyConfig]] = TextOnlyConfig
    class_aware: ClassVar[bool] = True
    tunable: ClassVar[frozenset[str]] = Method.tunable | {"detector"}
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
        """Evidence scores, (B, N); see the base class."""
        check_inputs(tokens.size, tokens, vocabulary)
        classes = vocabulary.embeddings
        found = evidence(tokens.audio, tokens.visual, classes)
        return EVIDENCE[self.config.detector](*found, classes)

    def evidence(self, tokens: Tokens, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
        """Evidence of T-VSL on tokens as they are, each (B, N); see the base class."""
        return evidence(tokens.audio, tokens.visual, vocabulary.embeddings)

    def detectors(self) -> list[dict[str, Any]]:
        """Detectors of T-VSL that need no training."""
        return [{"detector": name} for name in EVIDENCE]
