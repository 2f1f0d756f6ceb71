"""The localization methods, by name; other packages add to them (docs/add-a-method.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from tvsl.registry import Registry
from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.methods.alignment import Alignment as Alignment
    from tvsl.methods.audioclip import AudioCLIPFinetuned as AudioCLIPFinetuned
    from tvsl.methods.audioclip import AudioCLIPSimilarity as AudioCLIPSimilarity
    from tvsl.methods.avgn import AVGN as AVGN
    from tvsl.methods.base import Centre as Centre
    from tvsl.methods.base import Method as Method
    from tvsl.methods.base import MethodConfig as MethodConfig
    from tvsl.methods.base import Noise as Noise
    from tvsl.methods.base import Untrained as Untrained
    from tvsl.methods.base import WholeFrame as WholeFrame
    from tvsl.methods.base import check_inputs as check_inputs
    from tvsl.methods.base import check_labels as check_labels
    from tvsl.methods.base import with_overrides as with_overrides
    from tvsl.methods.checkpoint_io import read_head as read_head
    from tvsl.methods.checkpoint_io import save_head as save_head
    from tvsl.methods.coarse_to_fine import CoarseToFine as CoarseToFine
    from tvsl.methods.cosine import CosineMethod as CosineMethod
    from tvsl.methods.dsol import DSOL as DSOL
    from tvsl.methods.ez_vsl import EZVSL as EZVSL
    from tvsl.methods.fnac import FNAC as FNAC
    from tvsl.methods.lvs import LVS as LVS
    from tvsl.methods.margin_nce import MarginNCE as MarginNCE
    from tvsl.methods.mix_and_localize import MixAndLocalize as MixAndLocalize
    from tvsl.methods.ots import OTS as OTS
    from tvsl.methods.text_only import TextOnly as TextOnly
    from tvsl.methods.tvsl import TVSL as TVSL
    from tvsl.methods.tvsl import ReleasedConfig as ReleasedConfig
    from tvsl.methods.tvsl import ReleasedTVSL as ReleasedTVSL
    from tvsl.methods.tvsl import TVSLConfig as TVSLConfig
    from tvsl.methods.wav2clip import Wav2CLIP as Wav2CLIP

# In the order of the paper's tables.
_BUILTIN = {
    "tvsl": "tvsl.methods.tvsl:TVSL",
    "tvsl-released": "tvsl.methods.tvsl:ReleasedTVSL",
    "ots": "tvsl.methods.ots:OTS",
    "coarse-to-fine": "tvsl.methods.coarse_to_fine:CoarseToFine",
    "lvs": "tvsl.methods.lvs:LVS",
    "ez-vsl": "tvsl.methods.ez_vsl:EZVSL",
    "mix-and-localize": "tvsl.methods.mix_and_localize:MixAndLocalize",
    "dsol": "tvsl.methods.dsol:DSOL",
    "margin-nce": "tvsl.methods.margin_nce:MarginNCE",
    "fnac": "tvsl.methods.fnac:FNAC",
    "avgn": "tvsl.methods.avgn:AVGN",
    "alignment": "tvsl.methods.alignment:Alignment",
    "audioclip-finetuned": "tvsl.methods.audioclip:AudioCLIPFinetuned",
    "wav2clip": "tvsl.methods.wav2clip:Wav2CLIP",
    "audioclip": "tvsl.methods.audioclip:AudioCLIPSimilarity",
    "text-only": "tvsl.methods.text_only:TextOnly",
    "whole-frame": "tvsl.methods.base:WholeFrame",
    "centre": "tvsl.methods.base:Centre",
    "random": "tvsl.methods.base:Noise",
}

if not TYPE_CHECKING:
    __getattr__, __dir__, __all__ = lazy_names(__name__, own=("METHODS",))


def _is_method(thing: object) -> bool:
    from tvsl.methods.base import Method

    return isinstance(thing, type) and issubclass(thing, Method)


if TYPE_CHECKING:

    class _Methods(Registry[type[Method]]):
        """The registry, for type checkers: a literal name gives its own class."""

        @overload
        def __getitem__(self, name: Literal["tvsl"]) -> type[TVSL]: ...
        @overload
        def __getitem__(self, name: Literal["tvsl-released"]) -> type[ReleasedTVSL]: ...
        @overload
        def __getitem__(self, name: Literal["ots"]) -> type[OTS]: ...
        @overload
        def __getitem__(self, name: Literal["coarse-to-fine"]) -> type[CoarseToFine]: ...
        @overload
        def __getitem__(self, name: Literal["lvs"]) -> type[LVS]: ...
        @overload
        def __getitem__(self, name: Literal["ez-vsl"]) -> type[EZVSL]: ...
        @overload
        def __getitem__(self, name: Literal["mix-and-localize"]) -> type[MixAndLocalize]: ...
        @overload
        def __getitem__(self, name: Literal["dsol"]) -> type[DSOL]: ...
        @overload
        def __getitem__(self, name: Literal["margin-nce"]) -> type[MarginNCE]: ...
        @overload
        def __getitem__(self, name: Literal["fnac"]) -> type[FNAC]: ...
        @overload
        def __getitem__(self, name: Literal["avgn"]) -> type[AVGN]: ...
        @overload
        def __getitem__(self, name: Literal["alignment"]) -> type[Alignment]: ...
        @overload
        def __getitem__(self, name: Literal["audioclip-finetuned"]) -> type[AudioCLIPFinetuned]: ...
        @overload
        def __getitem__(self, name: Literal["wav2clip"]) -> type[Wav2CLIP]: ...
        @overload
        def __getitem__(self, name: Literal["audioclip"]) -> type[AudioCLIPSimilarity]: ...
        @overload
        def __getitem__(self, name: Literal["text-only"]) -> type[TextOnly]: ...
        @overload
        def __getitem__(self, name: Literal["whole-frame"]) -> type[WholeFrame]: ...
        @overload
        def __getitem__(self, name: Literal["centre"]) -> type[Centre]: ...
        @overload
        def __getitem__(self, name: Literal["random"]) -> type[Noise]: ...
        @overload
        def __getitem__(self, name: str) -> type[Method]: ...
        def __getitem__(self, name: str) -> type[Method]: ...
else:
    _Methods = Registry

METHODS = _Methods(
    "method", "tvsl.methods", _BUILTIN, "a subclass of tvsl.methods.Method", _is_method
)
"""Each of them builds a head with ``from_config``."""
