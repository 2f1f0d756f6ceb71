from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.made_files import write
from tvsl.data.base import MISSING_REMEDY, Item, Source, are_labelled, draw_targets, require_files
from tvsl.data.targets import Boxes, Nowhere
from tvsl.errors import DataError, MissingFileError

LEFT = Boxes(((0.0, 0.0, 0.5, 1.0),))


def item(*sources: Source, files: tuple[Path, ...] = ()) -> Item:
    return Item("one", files[:1], files[1:], sources)


def test_targets_are_drawn_in_their_panels() -> None:
    sources = (Source("a", LEFT, 2), Source("b", LEFT), Source("c", Nowhere()))
    drawn = draw_targets(sources, 3, 2, 4)
    expected = np.zeros((3, 2, 12))
    expected[0, :, 8:10] = 1
    expected[1, :, :6] = 1
    np.testing.assert_array_equal(drawn, expected)


def test_missing_files_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    here, gone, also = write(tmp_path / "a.jpg", ""), tmp_path / "b.wav", tmp_path / "c.jpg"
    items = [item(Source("a", LEFT), files=(here, gone)), item(Source("a", LEFT), files=(also,))]
    with pytest.raises(MissingFileError, match="are 2 of 3 in all") as caught:
        require_files(items, MISSING_REMEDY)
    assert caught.value.path == gone
    require_files([item(Source("a", LEFT), files=(here,)), item(Source("a", LEFT))], MISSING_REMEDY)


def test_classes_are_known_of_all_sources_in_the_picture_or_of_none() -> None:
    named, unnamed = item(Source("a", LEFT)), item(Source(None, LEFT))
    assert are_labelled([named, item(Source(None, Nowhere()))])
    assert not are_labelled([unnamed])
    with pytest.raises(DataError, match="have a class and others have none"):
        are_labelled([named, unnamed])
