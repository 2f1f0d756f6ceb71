"""Pictures of items, for people to look at."""

from __future__ import annotations

import numpy as np

from tvsl.audioclip.transforms import resize
from tvsl.data.dataset import Item
from tvsl.data.files import FileDataSet
from tvsl.evaluation.reproduction.testbed import ShownScene

_ANY_RATE = 16_000


def shown_item(item: Item, data: FileDataSet) -> ShownScene:
    """The pictures of an item at the size of its targets, side by side."""
    pictures = data.read(item, _ANY_RATE).pictures
    squares = [resize(picture, (data.side, data.side)) for picture in pictures]
    labels = tuple(str(label) for label in item.labels)
    return ShownScene(np.concatenate(squares, axis=1), labels)
