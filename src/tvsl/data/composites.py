"""Composites: cut-outs of photographs on backgrounds, with sounds of their classes.

A scene has K panels of different sounding classes. Each panel shows one object of the class that it
sounds of, and silent objects. What a scene is made of (``ScenePlan``) depends on seed, split, K and
number alone; its geometry depends on each panel's own seed, so that one panel can be drawn without
the others.

**Sizes.** The square root of the share of the panel that an object's box covers is log-uniform from
0.3 to 0.9, for sounding and silent objects alike; no side is longer than the panel. All sizes and
places of a panel are drawn anew until nothing is hidden too much: at most a tenth of a side may
leave the panel, two boxes share at most a fifth of the smaller one, and at least 60 % of each
object is visible. Every 40 draws the largest size falls by a tenth.

**Edges.** A mask is reduced by a pixel, against the seam of its own ground. Where there is no mask,
the box is cut out with a soft edge, a twentieth of its shorter side wide. An object's pixels are
those with at least half of its opacity that no later object covers. Photographs of a class without
boxes are whole panels, with nothing added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tvsl.data.base import Split
from tvsl.data.file_index import IndexedFile, by_class, check_digest, load_sound
from tvsl.data.files import mix_sounds, of_length
from tvsl.data.targets import Boxes, FileTarget, Mask, Shape, Target, loaded, pixel_box
from tvsl.encoder import MOST_SOURCES
from tvsl.errors import UnreadableMediaError, UsageError
from tvsl.media import load_image
from tvsl.scenes import PixelBox, Scene, ScenePanel, box_of

SAMPLE_RATE: Final = 32_000
"""Samples per second of scenes that are made for nobody's encoder."""
SMALLEST, LARGEST = 0.3, 0.9
"""Square roots of the smallest and largest share of a panel that a box covers."""
TWIN_RATIO: Final = 1.6
OFF_SCREEN_DECIBELS: Final = (-6.0, 3.0)
NOISE_DECIBELS: Final = (-30.0, -10.0)
"""Level of noise relative to the mixture."""
PEAK: Final = 0.99

_SPLITS: Final = ("train", "validation", "test")
_TRIES, _MOST_TRIES = 40, 2000
_SHRINK = 0.9
_OUTSIDE = 0.1
_SHARED = 0.2
_VISIBLE = 0.6
_SOFT = 0.05
_THICK = 0.7
_OPAQUE = 128
_SMALLEST_CROP = 0.7
_GROUND_CELLS = 4
_CUT_OUTS, _SOUNDS, _LAYOUTS = 384, 512, 64

Picture = NDArray[np.uint8]
Wave = NDArray[np.float32]
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class PlannedObject:
    """An object of a panel.

    Attributes:
        file: Its photograph.
        sounds: Whether it makes the panel's sound.
        twin: Whether it is the silent twin of the object that sounds, or that object.
    """

    file: IndexedFile
    sounds: bool
    twin: bool

    @property
    def label(self) -> str:
        """Its class."""
        return self.file.label


@dataclass(frozen=True)
class PanelPlan:
    """Contents of a panel.

    Attributes:
        objects: Its objects, in the order in which they are laid on the ground.
        ground: Photograph of the ground; a made-up one when None.
        whole: Whether the panel is the whole photograph of its one object.
        sound: Its sound.
        decibels: Gain of the sound.
        seed: Seed of sizes and places.
    """

    objects: tuple[PlannedObject, ...]
    ground: IndexedFile | None
    whole: bool
    sound: IndexedFile
    decibels: float
    seed: int

    @property
    def source(self) -> PlannedObject:
        """The object that sounds."""
        return next(thing for thing in self.objects if thing.sounds)

    @property
    def photographs(self) -> tuple[IndexedFile, ...]:
        """All photographs of the panel."""
        grounds = () if self.ground is None else (self.ground,)
        return (*(thing.file for thing in self.objects), *grounds)


@dataclass(frozen=True)
class ScenePlan:
    """Contents of a scene.

    Attributes:
        panels: Its K panels.
        off_screen: A sound whose class no panel shows, with its gain in decibels.
        noise: Level of noise in decibels relative to the mixture.
        seed: Seed of the noise.
        index: Number of the scene.
    """

    panels: tuple[PanelPlan, ...]
    off_screen: tuple[IndexedFile, float] | None
    noise: float | None
    seed: int
    index: int

    @property
    def sounds(self) -> tuple[IndexedFile, ...]:
        """All sounds of the scene."""
        others = () if self.off_screen is None else (self.off_screen[0],)
        return (*(panel.sound for panel in self.panels), *others)


@dataclass(frozen=True, eq=False)
class PanelLayout:
    """Objects of a panel in their places.

    Attributes:
        layers: Colours and opacity of each object at its size, (h, w, 4), and left and top.
        masks: Visible pixels of each object, (n, side, side).
    """

    layers: tuple[tuple[Picture, int, int], ...]
    masks: Masks


@dataclass(frozen=True, eq=False)
class Composites:
    """Scenes of one split of indexed files.

    Args:
        files: Files of all splits; photographs and sounds of ``split`` alone meet.
        split: The split.
        names: Class names of the sources.
        seed: Seed of all draws.
        silent: Largest number of silent objects of a panel; 0 to this are equally frequent.
        twins: Share of the panels with a silent twin: another photograph of the sounding class,
            whose box differs in size by a factor of at least 1.6. Nothing in a sound tells the two
            apart.
        off_screen: Share of the scenes with a sound whose class no panel shows, at -6 to +3 dB.
        noise: Share of the scenes with white noise, 10 to 30 dB below the mixture.
        gain: Each sound's gain is uniform up to so many decibels up and down.
        whole: Whether panels are whole photographs, squeezed into squares.
        side: Height and width of a panel in pixels.
        window: Seconds of sound; shorter sounds are padded with silence.
        hashes: Whether files are compared with the SHA-256 of the index.
    """

    files: Sequence[IndexedFile]
    split: Split
    names: tuple[str, ...]
    seed: int = 0
    silent: int = 2
    twins: float = 0.0
    off_screen: float = 0.0
    noise: float = 0.0
    gain: float = 3.0
    whole: bool = False
    side: int = 224
    window: float = 5.0
    hashes: bool = False

    def plan(self, index: int, sources: int = 1) -> ScenePlan:
        """Draw what a scene is made of; no file is read.

        Args:
            index: Number of the scene, from 0.
            sources: K, the number of sources.

        Raises:
            UsageError: Not 1 to 8 sources, or the split has too few classes for them.
        """
        if not 1 <= sources <= MOST_SOURCES or index < 0:
            raise UsageError(
                f"Scene {index} with {sources} sources cannot be made.",
                f"Give an index from 0 and 1 to {MOST_SOURCES} sources.",
            )
        if len(self.sounding) < sources:
            raise UsageError(
                f"The split '{self.split}' has photographs and sounds of {len(self.sounding)} "
                f"classes, too few for {sources} sources.",
                "Add files of further classes, allow more licences, or choose another split "
                "(such as --option split=validation).",
            )
        rng = np.random.default_rng((self.seed, _SPLITS.index(self.split), sources, index))
        order = [self.sounding[number] for number in rng.permutation(len(self.sounding))]
        labels = order[:sources]
        unseen = self._off_screen(rng, labels) if rng.random() < self.off_screen else None
        hidden = {*labels, *(() if unseen is None else (unseen[0].label,))}
        panels = tuple(self._panel(rng, label, hidden) for label in labels)
        low, high = NOISE_DECIBELS
        noise = low + (high - low) * rng.random() if rng.random() < self.noise else None
        return ScenePlan(panels, unseen, noise, int(rng.integers(2**63)), index)

    def scene(self, index: int, sources: int = 1, sample_rate: int = SAMPLE_RATE) -> Scene:
        """Make a scene; see ``SceneMaker``.

        Args:
            index: Number of the scene, from 0.
            sources: K, the number of sources.
            sample_rate: Samples per second of its sounds.
        """
        return self.make(self.plan(index, sources), sample_rate)

    def make(self, plan: ScenePlan, sample_rate: int) -> Scene:
        """Make the scene of a plan; see ``scene``."""
        panels = [
            ScenePanel(
                self.picture(panel),
                panel.objects,
                self.layout(panel).masks,
                self._sound(panel.sound, sample_rate) * _factor(panel.decibels),
            )
            for panel in plan.panels
        ]
        mixture = mix_sounds([panel.waveform for panel in panels])
        if plan.off_screen is not None:
            file, decibels = plan.off_screen
            mixture += self._sound(file, sample_rate) * _factor(decibels)
        if plan.noise is not None:
            level = math.sqrt(float(np.square(mixture, dtype=np.float64).mean()))
            noise = np.random.default_rng(plan.seed).standard_normal(len(mixture), np.float32)
            mixture += noise * np.float32(level * _factor(plan.noise))
        mixture /= max(1.0, float(np.abs(mixture).max()) / PEAK)
        label = None if plan.off_screen is None else plan.off_screen[0].label
        return Scene(panels, mixture, label, plan.index, sample_rate)

    def picture(self, panel: PanelPlan) -> Picture:
        """Draw the picture of a panel, (side, side, 3) RGB."""
        rng = np.random.default_rng((panel.seed, 1))
        if panel.whole:
            return _resized(self._photograph(panel.source.file), (self.side, self.side))
        ground = _made_up(rng, self.side) if panel.ground is None else self._ground(rng, panel)
        canvas = Image.fromarray(ground)
        for layer, left, top in self.layout(panel).layers:
            colours, opacity = Image.fromarray(layer[..., :3]), Image.fromarray(layer[..., 3])
            canvas.paste(colours, (left, top), opacity)
        return np.asarray(canvas)

    def layout(self, panel: PanelPlan) -> PanelLayout:
        """Place the objects of a panel."""
        return self._layouts(panel)

    def target(self, panel: PanelPlan, masks: bool) -> Target:
        """Visible part of the object that sounds: its mask, or the box around it.

        Args:
            panel: The panel.
            masks: Whether its mask is wanted.

        Returns:
            The target in the panel; of a whole photograph, the box or outline of the index.
        """
        file = panel.source.file
        if panel.whole and (file.mask is None or not masks):
            return Boxes(() if file.box is None else (file.box,))
        mask = self.layout(panel).masks[panel.objects.index(panel.source)]
        if masks:
            return Mask(mask)
        left, top, right, bottom = (edge / self.side for edge in box_of(mask))
        return Boxes(((left, top, right, bottom),))

    @cached_property
    def sounding(self) -> tuple[str, ...]:
        """Classes of which the split has both photographs and sounds."""
        return tuple(name for name in self.names if name in self._sources and name in self._sounds)

    def _panel(self, rng: np.random.Generator, label: str, hidden: set[str]) -> PanelPlan:
        """Draw a panel whose silent objects, a twin apart, are of none of the hidden classes."""
        photographs = self._sources[label]
        source = photographs[int(rng.integers(len(photographs)))]
        whole = self.whole or source.box is None
        twin = rng.random() < self.twins
        silent = int(rng.integers(self.silent + 1))
        objects = [PlannedObject(source, sounds=True, twin=twin and not whole)]
        if not whole:
            chosen = self._twin(rng, source) if twin else []
            taken = set(hidden)
            for _ in range(max(silent, len(chosen)) - len(chosen)):
                classes = [name for name in self._cut_outs if name not in taken]
                if not classes:
                    break
                name = classes[int(rng.integers(len(classes)))]
                taken.add(name)
                some = self._cut_outs[name]
                chosen.append(some[int(rng.integers(len(some)))])
            for number, file in enumerate(chosen):
                objects.append(PlannedObject(file, sounds=False, twin=twin and number == 0))
        grounds = self._grounds
        ground = grounds[int(rng.integers(len(grounds)))] if grounds and not whole else None
        sounds = self._sounds[label]
        return PanelPlan(
            tuple(objects[number] for number in rng.permutation(len(objects))),
            ground,
            whole,
            sounds[int(rng.integers(len(sounds)))],
            self.gain * (2 * rng.random() - 1),
            int(rng.integers(2**63)),
        )

    def _twin(self, rng: np.random.Generator, source: IndexedFile) -> list[IndexedFile]:
        """Another photograph of a class, or the same one where there is no other."""
        others = [file for file in self._cut_outs[source.label] if file is not source] or [source]
        return [others[int(rng.integers(len(others)))]]

    def _off_screen(
        self, rng: np.random.Generator, labels: Sequence[str]
    ) -> tuple[IndexedFile, float]:
        classes = [name for name in self._sounds if name not in labels]
        if not classes:
            raise UsageError(
                "There is no class left for a sound off screen.",
                "Mix fewer sources, or add sounds of other classes.",
            )
        sounds = self._sounds[classes[int(rng.integers(len(classes)))]]
        low, high = OFF_SCREEN_DECIBELS
        return sounds[int(rng.integers(len(sounds)))], low + (high - low) * rng.random()

    def _of(self, kind: str) -> list[IndexedFile]:
        """Files of the split; sounding ones of the chosen classes alone."""
        return [
            file
            for file in self.files
            if file.kind == kind
            and file.split == self.split
            and (file.role != "sounding" or file.label in self.names)
        ]

    @cached_property
    def _sources(self) -> Mapping[str, tuple[IndexedFile, ...]]:
        """Photographs of sounding classes: those with a box, or all where a class has none."""
        found = by_class([file for file in self._of("photo") if file.role == "sounding"])
        return {
            label: tuple(file for file in some if file.box is not None) or some
            for label, some in found.items()
        }

    @cached_property
    def _cut_outs(self) -> Mapping[str, tuple[IndexedFile, ...]]:
        return by_class([file for file in self._of("photo") if file.box is not None])

    @cached_property
    def _grounds(self) -> tuple[IndexedFile, ...]:
        return tuple(
            file for file in self._of("photo") if file.role == "silent" and file.box is None
        )

    @cached_property
    def _sounds(self) -> Mapping[str, tuple[IndexedFile, ...]]:
        return by_class(self._of("sound"))

    @cached_property
    def _layouts(self) -> Callable[[PanelPlan], PanelLayout]:
        return lru_cache(_LAYOUTS)(self._lay_out)

    @cached_property
    def _cut_out(self) -> Callable[[IndexedFile], Picture]:
        return lru_cache(_CUT_OUTS)(lambda file: cut_out(file, self._photograph(file)))

    @cached_property
    def _sound(self) -> Callable[[IndexedFile, int], Wave]:
        def load(file: IndexedFile, sample_rate: int) -> Wave:
            if self.hashes:
                check_digest(file)
            sound = load_sound(file.path, sample_rate, self.window)
            return of_length(sound, round(self.window * sample_rate))

        return lru_cache(_SOUNDS)(load)

    def _photograph(self, file: IndexedFile) -> Picture:
        if self.hashes:
            check_digest(file)
        return load_image(file.path)

    def _ground(self, rng: np.random.Generator, panel: PanelPlan) -> Picture:
        """A square of a background, as high as 0.7 to 1 of its shorter side, perhaps mirrored."""
        assert panel.ground is not None
        photograph = self._photograph(panel.ground)
        height, width = photograph.shape[:2]
        share = _SMALLEST_CROP + (1 - _SMALLEST_CROP) * rng.random()
        crop = max(1, round(share * min(height, width)))
        top = int(rng.integers(height - crop + 1))
        left = int(rng.integers(width - crop + 1))
        part = photograph[top : top + crop, left : left + crop]
        part = part[:, ::-1] if rng.random() < 0.5 else part
        return _resized(np.ascontiguousarray(part), (self.side, self.side))

    def _lay_out(self, panel: PanelPlan) -> PanelLayout:
        if panel.whole:
            photograph = self._photograph(panel.source.file)
            return PanelLayout((), self._whole_mask(panel.source.file, photograph)[None])
        rng = np.random.default_rng((panel.seed, 0))
        cut_outs = [self._cut_out(thing.file) for thing in panel.objects]
        mirrored = rng.random(len(cut_outs)) < 0.5
        twins = [number for number, thing in enumerate(panel.objects) if thing.twin]
        for attempt in range(_MOST_TRIES):
            largest = max(LARGEST * _SHRINK ** (attempt // _TRIES), SMALLEST / 4)
            boxes = _draw_boxes(rng, [one.shape[:2] for one in cut_outs], largest, twins, self.side)
            if boxes is None:
                continue
            layers = [
                (_resized(one[:, ::-1] if turned else one, (bottom - top, right - left)), left, top)
                for one, turned, (left, top, right, bottom) in zip(
                    cut_outs, mirrored, boxes, strict=True
                )
            ]
            masks, visible = _visible(layers, self.side)
            if visible.min() >= _VISIBLE:
                return PanelLayout(tuple(layers), masks)
        raise UnreadableMediaError(
            f"The object, with {len(cut_outs) - 1} others, finds no place in a panel of "
            f"{self.side} pixels.",
            "Give larger panels (option side), or look at its mask: too thin ones vanish.",
            panel.source.file.path,
        )

    def _whole_mask(self, file: IndexedFile, photograph: Picture) -> Masks:
        """Object of a whole photograph in its panel: its outline, or else its box."""
        height, width = photograph.shape[:2]
        target = loaded(file.target, (height, width), [(height, width)])
        return target.draw(self.side, self.side) >= 0.5


@dataclass(frozen=True)
class CompositeTarget(FileTarget):
    """The visible part of a panel's sounding object, found when it is drawn.

    Attributes:
        panel: The panel.
        composites: The maker of the panel.
        masks: Whether the target is the object's mask, or the box around it.
    """

    panel: PanelPlan
    composites: Composites
    masks: bool

    def load(self, shape: Shape | None) -> Target:  # noqa: ARG002
        """Lay out the panel; see ``FileTarget``."""
        return self.composites.target(self.panel, self.masks)


def cut_out(file: IndexedFile, photograph: Picture) -> Picture:
    """Cut an object out of its photograph.

    Args:
        file: The photograph, with a box.
        photograph: Its pixels, (H, W, 3).

    Returns:
        Colours and opacity, (h, w, 4), as large as the object's opaque pixels.

    Raises:
        MediaError: The mask cannot be used, or the box covers no pixel.
    """
    height, width = photograph.shape[:2]
    assert file.box is not None
    if file.mask is not None:
        target = loaded(file.target, (height, width), [(height, width)])
        outline = (target.draw(height, width) * 255).astype(np.uint8)
        reduced = np.asarray(Image.fromarray(outline).filter(ImageFilter.MinFilter(3)))
        # Legs of a chair may be no wider than the seam.
        thick = np.count_nonzero(reduced) >= _THICK * np.count_nonzero(outline)
        opacity = reduced if thick else outline
    else:
        opacity = _soft_box(pixel_box(file.box, height, width), height, width)
    if opacity.max(initial=0) < _OPAQUE:
        raise UnreadableMediaError(
            "The box covers no pixel of the photograph.", "Correct the box.", file.path
        )
    left, top, right, bottom = box_of(opacity > 0)
    part = photograph[top:bottom, left:right], opacity[top:bottom, left:right, None]
    return np.concatenate(part, axis=2)


def _soft_box(box: PixelBox, height: int, width: int) -> Picture:
    """Opacity of a box whose edge is soft, (H, W)."""
    left, top, right, bottom = box
    soft = max(1.0, _SOFT * min(right - left, bottom - top))
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    down = np.minimum(rows - top, bottom - rows)
    across = np.minimum(columns - left, right - columns)
    depth = np.minimum(down[:, None], across[None]) / soft
    opacity: Picture = np.rint(255 * np.clip(depth, 0, 1)).astype(np.uint8)
    return opacity


def _draw_boxes(
    rng: np.random.Generator,
    shapes: Sequence[Shape],
    largest: float,
    twins: Sequence[int],
    side: int,
) -> list[PixelBox] | None:
    """Draw sizes and places; None if twins are too alike, or boxes share too much.

    Args:
        rng: Source of randomness.
        shapes: Height and width of each cut-out.
        largest: Largest size.
        twins: Indices of an object and its twin, if there are any.
        side: Height and width of the panel in pixels.
    """
    smallest = min(SMALLEST, largest / 2)
    drawn = smallest * (largest / smallest) ** rng.random(len(shapes))
    # Long objects are no longer than the panel, whatever size was drawn.
    ratios = [math.sqrt(width / height) for height, width in shapes]
    sizes = [min(size, ratio, 1 / ratio) for size, ratio in zip(drawn, ratios, strict=True)]
    places = rng.random((len(shapes), 2))
    if twins:
        first, second = (sizes[number] for number in twins)
        if max(first, second) < TWIN_RATIO * min(first, second):
            return None
    boxes = []
    for size, ratio, (x, y) in zip(sizes, ratios, places, strict=True):
        width, height = (max(2, round(side * edge)) for edge in (size * ratio, size / ratio))
        left, top = (
            round((side - (1 - 2 * _OUTSIDE) * edge) * place - _OUTSIDE * edge)
            for edge, place in ((width, x), (height, y))
        )
        boxes.append((left, top, left + width, top + height))
    for number, one in enumerate(boxes):
        if any(_shared(one, other) > _SHARED for other in boxes[:number]):
            return None
    return boxes


def _shared(one: PixelBox, other: PixelBox) -> float:
    """Share of the smaller of two boxes that lies in the other."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (one, other)]
    return max(width, 0) * max(height, 0) / min(areas)


def _visible(
    layers: Sequence[tuple[Picture, int, int]], side: int
) -> tuple[Masks, NDArray[np.float64]]:
    """Visible pixels of each object, (n, side, side), and their share of all its pixels, (n,)."""
    masks = np.zeros((len(layers), side, side), dtype=np.bool_)
    whole = np.zeros(len(layers))
    covered = np.zeros((side, side), dtype=np.bool_)
    for number in reversed(range(len(layers))):
        layer, left, top = layers[number]
        opaque = layer[..., 3] >= _OPAQUE
        whole[number] = np.count_nonzero(opaque)
        rows = slice(max(top, 0), min(top + opaque.shape[0], side))
        columns = slice(max(left, 0), min(left + opaque.shape[1], side))
        inner = opaque[rows.start - top : rows.stop - top]
        inner = inner[:, columns.start - left : columns.stop - left]
        masks[number, rows, columns] = inner & ~covered[rows, columns]
        covered[rows, columns] |= inner
    return masks, masks.sum(axis=(1, 2)) / np.maximum(whole, 1)


def _resized(picture: Picture, size: Shape) -> Picture:
    """A picture, with or without opacity, at another height and width."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    # Pillow weighs colours by opacity, so that the ground of a cut-out does not seep in. A cubic
    # kernel, which overshoots, would draw a seam around it.
    kernel = Image.Resampling.BICUBIC if picture.shape[2] == 3 else Image.Resampling.BILINEAR
    return np.asarray(image.resize((size[1], size[0]), kernel))


def _made_up(rng: np.random.Generator, side: int) -> Picture:
    """A smooth ground of some colours, for data without backgrounds."""
    cells = rng.integers(40, 216, (_GROUND_CELLS, _GROUND_CELLS, 3)).astype(np.uint8)
    return _resized(cells, (side, side))


def _factor(decibels: float) -> np.float32:
    return np.float32(10 ** (decibels / 20))
