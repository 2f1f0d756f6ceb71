"""The localization methods, by name."""

from collections.abc import Mapping

from tvsl.errors import UsageError
from tvsl.methods.alignment import Alignment
from tvsl.methods.audioclip import AudioCLIPFinetuned, AudioCLIPSimilarity
from tvsl.methods.avgn import AVGN
from tvsl.methods.base import Method
from tvsl.methods.coarse_to_fine import CoarseToFine
from tvsl.methods.dsol import DSOL
from tvsl.methods.ez_vsl import EZVSL
from tvsl.methods.fnac import FNAC
from tvsl.methods.lvs import LVS
from tvsl.methods.margin_nce import MarginNCE
from tvsl.methods.mix_and_localize import MixAndLocalize
from tvsl.methods.ots import OTS
from tvsl.methods.text_only import TextOnly
from tvsl.methods.trivial import Centre, Noise, WholeFrame
from tvsl.methods.tvsl import TVSL, ReleasedTVSL
from tvsl.methods.wav2clip import Wav2CLIP

METHODS: Mapping[str, type[Method]] = {
    method.name: method
    for method in (
        TVSL,
        ReleasedTVSL,
        OTS,
        CoarseToFine,
        LVS,
        EZVSL,
        MixAndLocalize,
        DSOL,
        MarginNCE,
        FNAC,
        AVGN,
        Alignment,
        AudioCLIPFinetuned,
        Wav2CLIP,
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


def find_method(name: str) -> type[Method]:
    """A method by its name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in METHODS:
        raise UsageError(f"There is no method '{name}'.", f"Methods: {', '.join(METHODS)}.")
    return METHODS[name]
