"""Drawing results: heat-maps, boxes and names on images and on videos with their sound."""

from tvsl.render.colors import heat_colors, label_colors, source_color
from tvsl.render.contact_sheet import contact_sheet, moments_sheet
from tvsl.render.fonts import font_file
from tvsl.render.overlay import (
    color_overlay,
    draw_labels,
    drawing_image,
    heat_overlay,
    moment_overlay,
    save_jpeg,
    save_png,
    source_overlay,
)
from tvsl.render.video import require_overlay_video, write_overlay_video

__all__ = [
    "color_overlay",
    "contact_sheet",
    "draw_labels",
    "drawing_image",
    "font_file",
    "heat_colors",
    "heat_overlay",
    "label_colors",
    "moment_overlay",
    "moments_sheet",
    "require_overlay_video",
    "save_jpeg",
    "save_png",
    "source_color",
    "source_overlay",
    "write_overlay_video",
]
