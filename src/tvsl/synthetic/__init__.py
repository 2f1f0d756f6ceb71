"""A synthetic audio-visual world with exact ground truth, made from a seed alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.synthetic.export import export_world as export_world
    from tvsl.synthetic.sounds import SAMPLE_RATE as SAMPLE_RATE
    from tvsl.synthetic.vocabulary import CLASSES as CLASSES
    from tvsl.synthetic.world import World as World
    from tvsl.synthetic.world import WorldScene as WorldScene
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
