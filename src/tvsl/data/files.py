"""Data sets whose items lie in files under a root that the user gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tvsl.data.dataset import DataSet, Item, Sample, Source
from tvsl.errors import DataError
from tvsl.media import load_image, require_sound, sound_middle
from tvsl.media.panels import cut_panels


class FileDataSet(DataSet):
    """A data set in files.

    Attributes:
        root: Folder of the media, in the layout that the data set's module describes.
        lists: Folder of the benchmark's lists and annotations; where they are not given,
            ``root/metadata``, then what ``tvsl data fetch-lists`` has fetched.
        window: Seconds of sound that are heard, around the middle; all of it when None.
        side: Height and width of a panel, in pixels, that maps are scored at.
    """

    root: Path
    lists: Path | None = None
    window: float | None = Field(5.0, gt=0)
    side: int = Field(224, gt=0)

    def read(self, item: Item, sample_rate: int) -> Sample:
        """Read an item's files; see the base class."""
        pictures = tuple(
            panel
            for path in item.frames
            for panel in cut_panels(load_image(path), item.panels // len(item.frames), path)
        )
        sounds = [self._sound(path, sample_rate) for path in item.sounds]
        return Sample(pictures, add_up(sounds), self.targets(item, pictures))

    def targets(self, item: Item, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:  # noqa: ARG002
        """Where each source of an item is.

        Args:
            item: The item.
            pictures: Its panels, for data sets that score at the picture's own size.

        Returns:
            (P, H, K * W) float32 in [0, 1].
        """
        return draw_targets(item.sources, item.panels, self.side, self.side)

    def _sound(self, path: Path, sample_rate: int) -> NDArray[np.float32]:
        window = 3600.0 if self.window is None else self.window
        return require_sound(sound_middle(path, window, sample_rate), path).samples


def add_up(sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """A mixture: the sum of some sounds (Sec. 4.1), shorter ones with silence behind them.

    Args:
        sounds: Mono waveforms, each (S,).

    Returns:
        Their sum, as long as the longest.
    """
    mixture = np.zeros(max(len(sound) for sound in sounds), dtype=np.float32)
    for sound in sounds:
        mixture[: len(sound)] += sound
    return mixture


def draw_targets(
    sources: Sequence[Source], panels: int, height: int, width: int
) -> NDArray[np.float32]:
    """Draw the targets of all sources of an item.

    Args:
        sources: P sources.
        panels: K, how many panels stand side by side.
        height: H, height of a panel.
        width: W, width of a panel.

    Returns:
        (P, H, K * W) float32 in [0, 1].
    """
    drawn = np.zeros((len(sources), height, panels * width), dtype=np.float32)
    for row, source in enumerate(sources):
        if source.panel is None:
            drawn[row] = source.target.draw(height, panels * width)
        else:
            start = source.panel * width
            drawn[row, :, start : start + width] = source.target.draw(height, width)
    return drawn


def inside(root: Path, name: str, suffix: str = "") -> Path:
    """A file under a root, by a name that comes from a list.

    Args:
        root: The folder.
        name: The name, perhaps with folders.
        suffix: What is added to it.

    Returns:
        ``root/name`` with the suffix.

    Raises:
        DataError: The name leads out of the root.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise DataError(
            f"The name {name!r} in a list leads out of the data set's folder.",
            "Correct the list; it may be damaged or malicious.",
            root,
        )
    return root / f"{name}{suffix}"
