"""Drawing results: heat-maps, boxes and names on pictures and on videos with their sound."""

from tvsl.render.colors import heat_colors, label_colors, source_color
from tvsl.render.overlay import (
    contact_sheet,
    draw_labels,
    drawn_picture,
    heat_overlay,
    save_png,
    source_overlay,
    tinted_overlay,
)
from tvsl.render.video import require_overlay_video, write_overlay_video

__all__ = [
    "contact_sheet",
    "draw_labels",
    "drawn_picture",
    "heat_colors",
    "heat_overlay",
    "label_colors",
    "require_overlay_video",
    "save_png",
    "source_color",
    "source_overlay",
    "tinted_overlay",
    "write_overlay_video",
]
