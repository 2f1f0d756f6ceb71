"""From a preset or a config to a head."""

from __future__ import annotations

from tvsl.encoder import PromptableTextEncoder
from tvsl.methods.base import Method
from tvsl.methods.config import switched
from tvsl.methods.tvsl.config import ReleasedConfig, TVSLConfig, preset
from tvsl.methods.tvsl.method import TVSL
from tvsl.methods.tvsl.released import ReleasedTVSL


def build(
    config: TVSLConfig | ReleasedConfig | str = "tvsl",
    embedding: int | None = None,
    text_encoder: PromptableTextEncoder | None = None,
) -> Method:
    """Build an untrained head.

    Args:
        config: A config, or the name of a preset.
        embedding: D of the encoder; the config's when None.
        text_encoder: The frozen text encoder, needed with learned prompts.

    Returns:
        The head, in training mode.

    Raises:
        UsageError: No such preset, or switches that contradict each other.
    """
    if isinstance(config, str):
        config = preset(config)
    if embedding is not None:
        config = switched(config, embedding=embedding)
    return method_of(config).from_config(config, text_encoder)


def method_of(config: TVSLConfig | ReleasedConfig) -> type[Method]:
    """The method that a config is for."""
    return ReleasedTVSL if isinstance(config, ReleasedConfig) else TVSL
