"""Real photographs and sounds by class, from which scenes are made when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, InstanceOf, JsonValue

from tvsl.data.base import (
    ClipBatch,
    ClipSet,
    Item,
    LeftOut,
    Sample,
    SceneData,
    Source,
    Split,
    ValidationItems,
    draw_targets,
    normal_form,
)
from tvsl.data.composites import Composites, CompositeTarget, ScenePlan
from tvsl.data.file_index import IndexedData, IndexedFile, IndexFiles
from tvsl.data.layouts import require_present
from tvsl.data.targets import Boxes, FileTarget, Mask, Shape, Target
from tvsl.errors import DataError, UsageError, shown
from tvsl.utils.seeds import added

_CLIPS = 4000


class RealClips(ClipSet):
    """Panels of the training split, each with the sound of its scene.

    Attributes:
        data: The data set, of one source, whose scenes are the clips.
    """

    name: ClassVar[str] = "real"
    data: InstanceOf[RealData]

    @property
    def names(self) -> tuple[str, ...]:
        """Class names of the data set."""
        return self.data.names

    def require_files(self) -> None:
        """Check that all files of the training split exist; see the base class."""
        paths = (path for file in self.data.used for path in file.paths)
        require_present(paths, "the training split", self.data.name)

    def description(self) -> dict[str, JsonValue]:
        """The options, and hashes of the listed files and of the first clip; paths are none.

        The option ``development`` is told by the files that are listed.
        """
        options = self.data.model_dump(
            mode="json",
            exclude={"root", "index", "leave_out", "count", "sources", "truth", "development"},
        )
        listed = [
            (file.name, file.label, file.role, file.box, file.mask is not None, file.sha256)
            for file in self.data.used
        ]
        return {
            **options,
            "data": self.name,
            "count": self.count,
            "list": hashlib.sha256(json.dumps(listed).encode()).hexdigest(),
            "sample": self.data.maker.scene(0).sha256,
        }

    def labels(self) -> NDArray[np.int64]:
        """Class of each clip, (count,)."""
        plans = (self.data.maker.plan(number) for number in range(self.count))
        rows = {name: row for row, name in enumerate(self.names)}
        return np.array([rows[plan.panels[0].source.label] for plan in plans], dtype=np.int64)

    def read(self, numbers: Sequence[int], sample_rate: int) -> ClipBatch:
        """Make some clips; see the base class."""
        scenes = [self.data.maker.scene(int(one), 1, sample_rate) for one in numbers]
        rows = {name: row for row, name in enumerate(self.names)}
        return ClipBatch(
            pictures=[scene.panels[0].picture for scene in scenes],
            waveforms=np.stack([scene.waveform for scene in scenes]),
            labels=np.array([rows[scene.labels[0]] for scene in scenes], dtype=np.int64),
        )


class RealData(SceneData, IndexedData):
    """Scenes of real photographs and sounds, made from an index of files by class.

    Attributes:
        scenes: ``composites``: cut-outs on backgrounds; ``photographs``: whole ones. A class
            without boxes gives whole photographs in both.
        classes: Sounding classes that are used; all of them when None.
        silent: Largest number of silent objects of a panel.
        twins: Share of the panels with a silent twin of the source, which no sound tells apart.
        off_screen: Share of the scenes with a sound whose class is not visible.
        noise: Share of the scenes with noise, 10 to 30 dB below the mixture.
        gain: Largest gain of each sound, up and down, in decibels.
        grid: Whether a scene is one picture, four panels in two rows, in place of K frames that
            are encoded one by one.
    """

    name: ClassVar[str] = "real"
    title: ClassVar[str] = "Real mixtures"
    scenes: Literal["composites", "photographs"] = "composites"
    classes: tuple[str, ...] | None = Field(None, min_length=1)
    silent: int = Field(2, ge=0, le=4)
    twins: float = Field(0.0, ge=0, le=1)
    off_screen: float = Field(0.0, ge=0, le=1)
    noise: float = Field(0.0, ge=0, le=1)
    gain: float = Field(3.0, ge=0, le=40)
    grid: bool = False
    window: float = Field(5.0, gt=0, le=3600)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Classes with both photographs and sounds in some split, or those that were chosen.

        Raises:
            DataError: The index cannot be used, or has no such class.
            UsageError: A chosen class is none of them.
        """
        kinds: dict[str, set[str]] = {}
        for file in self.indexed:
            if file.role == "sounding":
                kinds.setdefault(file.label, set()).add(file.kind)
        names = sorted(label for label, found in kinds.items() if len(found) == 2)
        if not names:
            raise DataError(
                "No class of the index has both photographs and sounds.",
                "Give each class of the role 'sounding' both.",
                self.index_path,
            )
        if self.classes is None:
            return tuple(names)
        chosen = {normal_form(name): name for name in self.classes}
        strange = chosen.keys() - {normal_form(name) for name in names}
        if strange:
            raise UsageError(
                f"There is no sounding class {shown(chosen[min(strange)])}.",
                f"Classes: {', '.join(names)}.",
                self.index_path,
            )
        return tuple(name for name in names if normal_form(name) in chosen)

    @cached_property
    def used(self) -> tuple[IndexedFile, ...]:
        """Files of the split without those left out."""
        gone = set() if self.left_out is None else {item.id for item in self.left_out.items}
        return tuple(
            file for file in self.indexed if file.split == self.split and file.name not in gone
        )

    @cached_property
    def left_out(self) -> LeftOut | None:
        """Files that the option ``leave_out`` excludes; see the base class."""
        return self.for_check().left_out

    def for_check(self) -> IndexFiles:
        """The files of the index, which are checked in place of scenes."""
        return IndexFiles(**{name: getattr(self, name) for name in IndexFiles.model_fields})

    @property
    def listed_count(self) -> int:
        """Number of scenes; files are left out, no scenes."""
        return self.count

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """Files of the split that are not used; see the base class."""
        chosen = set(self.names)
        unused = sum(file.role == "sounding" and file.label not in chosen for file in self.used)
        return {"files of other classes": unused} if unused else {}

    @cached_property
    def maker(self) -> Composites:
        """The maker of the scenes."""
        return Composites(
            self.used,
            self.split,
            self.names,
            seed=self.seed,
            silent=self.silent,
            twins=self.twins,
            off_screen=self.off_screen,
            noise=self.noise,
            gain=self.gain,
            whole=self.scenes == "photographs",
            side=self.side,
            window=self.window,
            hashes=self.hashes,
        )

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The first scenes of the split; see the base class."""
        return tuple(self.listed(self.split))

    def listed(self, split: Split) -> Iterator[Item]:
        """Scenes of a split; see the base class."""
        data = self if split == self.split else self.changed(split=split)
        for number in range(self.count):
            yield data.item(number)

    def item(self, number: int) -> Item:
        """A scene as it is planned, by its number from 0; no file is read."""
        plan = self.maker.plan(number, self.sources)
        files = [file for panel in plan.panels for file in panel.photographs]
        return Item(
            id=f"{self.split}-s{self.seed}-k{self.sources}-{number:06d}",
            frames=tuple(path for file in files for path in file.paths),
            sounds=tuple(file.path for file in plan.sounds),
            sources=self._sources(plan),
            panels=1 if self.grid else self.sources,
        )

    def read(self, item: Item, sample_rate: int) -> Sample:
        """Make a scene; see the base class."""
        number = int(item.id.rpartition("-")[2])
        scene = self.maker.scene(number, self.sources, sample_rate)
        pictures = tuple(panel.picture for panel in scene.panels)
        if not self.grid:
            targets = draw_targets(item.sources, self.sources, self.side, self.side)
            return Sample(pictures, scene.waveform, targets)
        picture = in_grid(pictures)
        targets = draw_targets(item.sources, 1, picture.shape[0], picture.shape[1])
        return Sample((picture,), scene.waveform, targets)

    def clips(self, count: int | None, seed: int) -> RealClips:  # type: ignore[override]
        """Clips of the training split; see the base class."""
        data = self.changed(split="train", seed=added(self.seed, seed), sources=1, grid=False)
        data.maker.plan(0)
        clips = RealClips(data=data, count=count or _CLIPS, seed=data.seed)
        clips.require_files()
        return clips

    def validation_items(self, sources: int, count: int) -> ValidationItems:
        """Scenes of the validation split under the same conditions; see the base class."""
        data = self.changed(split="validation", sources=sources, count=count, grid=False)
        if not data.has_items("validation"):
            return ValidationItems(data, (), self.side, self.window)
        enough = len(data.maker.sounding) >= sources
        return ValidationItems(data, data.items if enough else (), self.side, self.window)

    def changed(self, **fields: Any) -> RealData:
        """The data set with other options."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**given, **fields})

    def _sources(self, plan: ScenePlan) -> tuple[Source, ...]:
        sources = []
        for place, panel in enumerate(plan.panels):
            path, masks = panel.source.file.path, self.truth == "masks"
            part = CompositeTarget(path, panel, self.maker, masks)
            target: Target = part
            if panel.whole and panel.source.file.box is None:
                target = Boxes(())
            elif self.grid:
                target = GridTarget(path, part, place, len(plan.panels))
            sources.append(Source(panel.source.label, target, None if self.grid else place))
        return tuple(sources)


def grid_shape(panels: int) -> Shape:
    """Rows and columns of panels that make one picture: two rows from four panels on."""
    rows = 1 if panels < 4 else 2
    return rows, -(-panels // rows)


def in_grid(panels: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """K panels (H, W, ...) as one picture, row by row; places without a panel are black."""
    rows, columns = grid_shape(len(panels))
    blank = np.zeros_like(panels[0])
    every = [*panels, *[blank] * (rows * columns - len(panels))]
    lines = (every[start : start + columns] for start in range(0, len(every), columns))
    return np.concatenate([np.concatenate(line, axis=1) for line in lines])


@dataclass(frozen=True)
class GridTarget(FileTarget):
    """A target in one of the panels that make one picture.

    Attributes:
        part: Target in the panel.
        place: Number of the panel.
        panels: Number of panels.
    """

    part: FileTarget
    place: int
    panels: int

    def load(self, shape: Shape | None) -> Target:  # noqa: ARG002
        """Load the part and put it in its place; see ``FileTarget``."""
        rows, columns = grid_shape(self.panels)
        row, column = divmod(self.place, columns)
        part = self.part.load(None)
        if isinstance(part, Mask):
            panels = [np.zeros_like(part.drawn)] * self.panels
            panels[self.place] = part.drawn
            return Mask(in_grid(panels))
        assert isinstance(part, Boxes)
        return Boxes(
            tuple(
                (
                    (column + left) / columns,
                    (row + top) / rows,
                    (column + right) / columns,
                    (row + bottom) / rows,
                )
                for left, top, right, bottom in part.boxes
            )
        )
