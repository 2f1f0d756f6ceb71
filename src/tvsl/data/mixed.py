"""Mixtures: items of one source each, side by side and all at once (Sec. 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

from tvsl.data.dataset import Item, Source
from tvsl.data.targets import Nowhere, SideBySide


def mix(parts: Sequence[Item]) -> Item:
    """Put items of one panel and one source side by side; their sounds are to be added up.

    Sources of one class become one source with a target in each of their panels: who asks for the
    class is to find all of it. 22 pairs of VGGSound-Duet are of one class.

    Args:
        parts: K items, from left to right.

    Returns:
        One item of K panels, with a source for each class, in the order of their first panels.
    """
    panels: dict[str | None, list[int]] = {}
    for place, part in enumerate(parts):
        panels.setdefault(part.sources[0].label, []).append(place)
    return Item(
        id="+".join(part.id for part in parts),
        frames=tuple(part.frames[0] for part in parts),
        sounds=tuple(part.sounds[0] for part in parts),
        sources=tuple(_source(parts, label, places) for label, places in panels.items()),
        panels=len(parts),
        stated=tuple(stated for part in parts for stated in part.stated or (None,)),
    )


def _source(parts: Sequence[Item], label: str | None, places: Sequence[int]) -> Source:
    if len(places) == 1:
        return Source(label, parts[places[0]].sources[0].target, places[0])
    targets = (
        part.sources[0].target if place in places else Nowhere() for place, part in enumerate(parts)
    )
    return Source(label, SideBySide(tuple(targets)))
