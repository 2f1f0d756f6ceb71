"""AudioCLIP, compatible with the public checkpoints (Sec. 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.audioclip.checkpoint import convert as convert
    from tvsl.audioclip.checkpoint import save_audioclip as save_audioclip
    from tvsl.audioclip.config import AudioCLIPConfig as AudioCLIPConfig
    from tvsl.audioclip.encoder import AudioCLIPEncoder as AudioCLIPEncoder
    from tvsl.audioclip.encoder import load_audioclip as load_audioclip
    from tvsl.audioclip.model import AudioCLIP as AudioCLIP
    from tvsl.models import PUBLIC_FILES as PUBLIC_FILES
    from tvsl.models import fetch as fetch
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
