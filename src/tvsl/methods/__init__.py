"""The localization methods, by name."""

from collections.abc import Mapping

from tvsl.methods.audioclip import AudioCLIPSimilarity
from tvsl.methods.avgn import AVGN
from tvsl.methods.base import Method
from tvsl.methods.coarse_to_fine import CoarseToFine
from tvsl.methods.dsol import DSOL
from tvsl.methods.ez_vsl import EZVSL
from tvsl.methods.mix_and_localize import MixAndLocalize
from tvsl.methods.ots import OTS
from tvsl.methods.text_only import TextOnly
from tvsl.methods.trivial import Centre, Noise, WholeFrame
from tvsl.methods.tvsl import TVSL, ReleasedTVSL

METHODS: Mapping[str, type[Method]] = {
    method.name: method
    for method in (
        TVSL,
        ReleasedTVSL,
        OTS,
        CoarseToFine,
        DSOL,
        EZVSL,
        MixAndLocalize,
        AVGN,
        AudioCLIPSimilarity,
        TextOnly,
        WholeFrame,
        Centre,
        Noise,
    )
}
"""Each of them builds a head with ``from_config``; a new method is one more entry.

In the order of the paper's tables.
"""
