from __future__ import annotations

import pytest

from tvsl.synthetic.pictures import WorldObject
from tvsl.synthetic.world import World

Objects = tuple[WorldObject, ...]


@pytest.fixture(scope="session")
def crowds() -> list[tuple[Objects, ...]]:
    """The objects of every panel of 250 scenes with four sources."""
    world = World("validation", "all", seed=11)
    scenes = (world.scene(index, 4) for index in range(250))
    return [tuple(panel.objects for panel in scene.panels) for scene in scenes]


@pytest.fixture(scope="session")
def panels(crowds: list[tuple[Objects, ...]]) -> list[Objects]:
    """The objects of 1000 panels."""
    return [objects for scene in crowds for objects in scene]
