"""The localization methods, by name."""

from collections.abc import Mapping

from tvsl.methods.audioclip import AudioCLIPSimilarity
from tvsl.methods.base import Method
from tvsl.methods.ez_vsl import EZVSL
from tvsl.methods.text_only import TextOnly
from tvsl.methods.trivial import Centre, Noise, WholeFrame
from tvsl.methods.tvsl import TVSL, ReleasedTVSL

METHODS: Mapping[str, type[Method]] = {
    method.name: method
    for method in (
        TVSL,
        ReleasedTVSL,
        EZVSL,
        AudioCLIPSimilarity,
        TextOnly,
        WholeFrame,
        Centre,
        Noise,
    )
}
"""Each of them builds a head with ``from_config``; a new method is one more entry."""
