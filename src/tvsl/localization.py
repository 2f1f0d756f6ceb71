"""Localization of one frame and its sound: request and result.

Maps are kept raw, on the grid of the encoder, and scaled up when somebody asks: a long video
gives thousands of them, and a raw 7 x 12 map is some hundred bytes where a full-size one is
megabytes. They are normalized here, for display and for boxes.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tvsl.boxes import (
    BOX_PIXELS,
    BOX_PROTOCOL,
    LONGEST_BOX_SIDE,
    Box,
    box_around_peak,
    min_max,
    reduced_size,
    scaled_box,
    upscale,
)
from tvsl.detecting import Candidate, Classes, cannot_detect, detected
from tvsl.encoded import Encoded, PictureSource, at_time
from tvsl.errors import ShapeError, UnreadableMediaError, UsageError, first_few, shown
from tvsl.localization_format import (
    MomentRecord,
    SourceRecord,
    checked,
    moment_records,
    read_content,
)
from tvsl.media.image import ImageSource, load_image
from tvsl.methods.base import Method
from tvsl.tokens import Queries, rows_among
from tvsl.utils.files import write_json, write_npz
from tvsl.utils.lazy import optional
from tvsl.vocabularies import check_names

if TYPE_CHECKING:
    import pandas
    import supervision

    from tvsl.metrics import LabelSource

_MOST_SHOWN = 4
_COLUMNS = (
    *("time", "label", "score", "left", "top", "right", "bottom"),
    *("heard_start", "heard_end", "duplicate_of"),
)


@dataclass(frozen=True)
class Request:
    """Classes to localize.

    Names may be given as any iterable, also as one that can be gone through only once.

    Attributes:
        labels: The classes that sound, when they are known: one map for each.
        vocabulary: Else the classes among which to detect; the model's own when None.
        sources: Else how many to detect; as many as are found when None.
        notices: What is to be said of the names with every result.

    Raises:
        UsageError: Labels together with a vocabulary or a number of sources, something else in
            place of a sequence, or no whole number of sources.
        VocabularyError: There is no name, or one is empty or occurs twice.
    """

    labels: Sequence[str] | None = None
    vocabulary: Sequence[str] | None = None
    sources: int | None = None
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("labels", "vocabulary"):
            object.__setattr__(self, field, _sequence(getattr(self, field)))
        if self.sources is not None:
            object.__setattr__(self, "sources", _whole(self.sources))
        if self.labels is not None and (self.vocabulary is not None or self.sources is not None):
            raise UsageError(
                "With given labels nothing is detected, so neither a vocabulary nor a number of "
                "sources has a meaning.",
                "Give labels alone, or a vocabulary with or without a number of sources.",
            )
        for names in (self.labels, self.vocabulary):
            if names is not None:
                check_names(names)

    @property
    def names(self) -> Sequence[str] | None:
        """The classes to ask for; None for the model's own."""
        return self.vocabulary if self.labels is None else self.labels


def _sequence(names: Any) -> tuple[str, ...] | None:
    """Names as a tuple, which can be gone through again and again."""
    if names is None:
        return None
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise UsageError("Class names must be a sequence.", "Give a list such as ['dog'].")
    return tuple(names)


def _whole(number: Any) -> int:
    """A number of sources, be it one of NumPy."""
    try:
        if not isinstance(number, bool):
            return operator.index(number)
    except TypeError:
        pass  # the error below is also for other types
    raise UsageError(f"The number of sources is {shown(number)}.", "Give a whole number.")


@dataclass(frozen=True, eq=False, repr=False)
class SoundSource:
    """One sounding object in one picture.

    Two are equal where ``to_dict`` writes them alike, numbers to six decimals.

    Attributes:
        label: Its class name.
        score: Certainty of the detector that this class sounds in this picture; the scale is the
            detector's own (cosine sums for ``evidence``, probabilities for a trained detector).
        grid: Raw map, (h, w), float32, higher = more likely the source.
        size: Height and width of the input picture in pixels, as shown (see ``Box``).
        time_range: Start and end in seconds of the sound that was heard; None where they are not
            known.
        duplicate_of: Label of a more certain source whose box is nearly the same, where
            ``tvsl.segments.mark_duplicates`` found one.
        also: Other names of the vocabulary that are the same to the model, likeliest first.
    """

    label: str
    score: float
    grid: NDArray[np.float32]
    size: tuple[int, int]
    time_range: tuple[float, float] | None = None
    duplicate_of: str | None = None
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.grid.ndim != 2 or self.grid.size == 0:
            raise ShapeError(
                f"A source's map must have two axes, got shape {self.grid.shape}.",
                "Give the map of one source, (h, w).",
            )
        if not np.isfinite(self.grid).all():
            raise ShapeError(
                f"The map of '{self.label}' holds values that are not finite.",
                "Check the weights: they may be damaged.",
            )

    def __repr__(self) -> str:
        box = None if self.box is None else self.box.to_list()
        height, width = self.grid.shape
        return f"SoundSource({shown(self.label)} {self.score:.2f}, box {box}, {height} x {width})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SoundSource):
            return NotImplemented
        return self.size == other.size and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.label, self.size, self.grid.shape))

    @property
    def heatmap(self) -> NDArray[np.float32]:
        """The map at the picture's own size, (H, W), float32 in [0, 1]; made anew at each call."""
        return min_max(upscale(self.grid, self.size))

    @cached_property
    def box(self) -> Box | None:
        """Box around the peak's region by ``BOX_PROTOCOL``; None for a map without contrast."""
        size = reduced_size(self.size, LONGEST_BOX_SIDE)
        box = box_around_peak(min_max(upscale(self.grid, size)))
        return None if box is None else scaled_box(box, size, self.size)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the full-size map, as plain JSON types."""
        box = self.box
        return {
            "label": self.label,
            "also": list(self.also),
            "score": round(self.score, 6),
            "duplicate_of": self.duplicate_of,
            "box": None if box is None else box.to_list(),
            "time_range": None
            if self.time_range is None
            else [round(t, 3) for t in self.time_range],
            "map": [[round(float(value), 6) for value in row] for row in self.grid],
        }


@dataclass(frozen=True, eq=False, repr=False)
class Localization:
    """The sound sources of one picture and its sound.

    Two are equal where ``to_dict`` writes them alike, numbers to six decimals: one that is saved
    and loaded again is equal to itself. A notebook shows one with its picture.

    Attributes:
        sources: The sources, most certain first where they were detected, in the order given
            otherwise. Empty in a video where nothing sounds, or no class reaches the cut.
        label_source: Whether the labels were ``given`` by the user or ``detected``.
        model: Name of the model and its method.
        size: Height and width of the picture in pixels, as shown (see ``Box``).
        time: Time of the picture in the video, in seconds; None for a single picture.
        heard: Start and end in seconds of the sound that was heard; None where nothing sounds.
        threshold: Score from which a class sounds, where the head is calibrated.
        still: Whether the picture is that of the moment before.
        notices: What the model says of the request: names that mean nothing to it; that nothing
            that it knows sounds.
        candidate: The best class, where something is heard and no class sounds.
        picture: The picture, to be drawn on: what was given, or the moment of the video. None where
            it is not known, as after ``load``.
    """

    sources: tuple[SoundSource, ...]
    label_source: LabelSource
    model: str
    size: tuple[int, int]
    time: float | None = None
    heard: tuple[float, float] | None = None
    threshold: float | None = None
    still: bool = False
    notices: tuple[str, ...] = ()
    candidate: Candidate | None = None
    picture: PictureSource | None = None

    def __repr__(self) -> str:
        found = [f"{shown(source.label)} {source.score:.2f}" for source in self.sources]
        what = ", ".join(first_few(found, _MOST_SHOWN)) or "nothing"
        parts = [what, *at_time(self.time), f"{self.size[1]} x {self.size[0]}", self.model]
        return f"Localization({'; '.join([f'labels {self.label_source}', *parts])})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Localization):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.model, self.size, self.label_source, len(self.sources)))

    def _repr_html_(self) -> str:
        """A table of the sources, under their picture where it is known, as notebooks show it."""
        from tvsl.render.notebook import localization_html

        return localization_html(self)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON types, with the protocol of the boxes beside them."""
        return {
            "time": None if self.time is None else round(self.time, 3),
            "heard": None if self.heard is None else [round(t, 3) for t in self.heard],
            "still": self.still,
            "width": self.size[1],
            "height": self.size[0],
            "model": self.model,
            "label_source": self.label_source,
            "threshold": self.threshold,
            "notices": list(self.notices),
            "box_protocol": BOX_PROTOCOL,
            "box_pixels": BOX_PIXELS,
            "sources": [source.to_dict() for source in self.sources],
        }

    def save(self, path: str | Path, force: bool = False) -> Path:
        """Write the result as JSON, whole or not at all.

        Args:
            path: The file; its folder must exist.
            force: Whether an existing file may be replaced.

        Raises:
            OutputError: The file exists and ``force`` is not set, or it cannot be written.
        """
        return write_json(self.to_dict(), path, force)

    def without_duplicates(self) -> Localization:
        """The same without the sources that are marked as duplicates."""
        sources = tuple(source for source in self.sources if source.duplicate_of is None)
        return self if len(sources) == len(self.sources) else replace(self, sources=sources)

    def image(self, image: ImageSource | None = None) -> NDArray[np.uint8]:
        """The picture that the result is of: (H, W, 3).

        Args:
            image: The picture, where the result does not know it.

        Raises:
            UsageError: It does not know its picture, or the given one has another size.
            MediaError: The file cannot be read any more.
        """
        if image is None and self.picture is None:
            raise UsageError(
                "This result does not know its picture: it was loaded, or made of frames.",
                "Give the picture, e.g. overlay(image).",
            )
        picture = load_image(image) if image is not None else self._known_picture()
        if picture.shape[:2] != self.size:
            raise UsageError(
                f"The picture has {picture.shape[1]} x {picture.shape[0]} pixels, the result is of "
                f"one with {self.size[1]} x {self.size[0]}.",
                "Give the picture that was localized.",
            )
        return picture

    def _known_picture(self) -> NDArray[np.uint8]:
        assert self.picture is not None
        return self.picture.read()

    def overlay(
        self, image: ImageSource | None = None, duplicates: bool = False
    ) -> NDArray[np.uint8]:
        """Draw all sources on the picture: tints, lines at half height, boxes and names.

        Args:
            image: The picture; the one that was localized when None.
            duplicates: Whether sources that are marked as duplicates are drawn, too.

        Returns:
            (H', W', 3) RGB; a picture of under 480 or over 2048 pixels a side is scaled, so that
            names can be read.

        Raises:
            UsageError: As for ``image``.
            MediaError: As for ``image``.
        """
        from tvsl.render import drawing_image, label_colors, moment_overlay

        shown_result = self if duplicates else self.without_duplicates()
        picture = drawing_image(self.image(image))
        return moment_overlay(picture, shown_result, label_colors([self]))

    def plot(self, image: ImageSource | None = None, ax: Any = None) -> tuple[Any, Any]:
        """Plot with matplotlib: the overlay, and each source's heat-map with its box beside it.

        Args:
            image: The picture; the one that was localized when None.
            ax: Axes to draw the overlay alone into; a new figure when None.

        Returns:
            The figure, and its axes: an array of them, or the given ones.

        Raises:
            UsageError: matplotlib is not installed, or as for ``image``.
            MediaError: As for ``image``.
        """
        from tvsl.render.notebook import plot_localization

        return plot_localization(self, self.image(image), ax)

    def to_pandas(self) -> pandas.DataFrame:
        """The sources as a data frame, a row for each; ``pandas.concat`` joins moments.

        Returns:
            Columns ``time``, ``label``, ``score``, ``left``, ``top``, ``right``, ``bottom``,
            ``heard_start``, ``heard_end`` and ``duplicate_of``; seconds and pixels.

        Raises:
            UsageError: pandas is not installed.
        """
        library = optional("pandas", "pandas")
        rows = [
            (
                self.time,
                source.label,
                source.score,
                *((None,) * 4 if source.box is None else source.box.to_list()),
                *(source.time_range or (None, None)),
                source.duplicate_of,
            )
            for source in self.sources
        ]
        frame: pandas.DataFrame = library.DataFrame(rows, columns=_COLUMNS)
        return frame

    def to_supervision(self, classes: Sequence[str] | None = None) -> supervision.Detections:
        """The boxes as ``supervision.Detections``, for its annotators, trackers and zones.

        Args:
            classes: Class names, by whose places classes are numbered; the result's own labels
                when None. Give the same for all moments of a video.

        Returns:
            Boxes, the scores as ``confidence``, on the detector's own scale, and the labels as
            ``data["class_name"]``; a source without a box is left out.

        Raises:
            UsageError: supervision is not installed.
            VocabularyError: A label is not among the classes.
        """
        library = optional("supervision", "supervision")
        boxed = [source for source in self.sources if source.box is not None]
        labels = [source.label for source in boxed]
        known = [source.label for source in self.sources] if classes is None else classes
        numbers = rows_among(known, labels)
        boxes = [source.box.to_list() for source in boxed if source.box is not None]
        found: supervision.Detections = library.Detections(
            xyxy=np.array(boxes, np.float32).reshape(-1, 4),
            confidence=np.array([source.score for source in boxed], np.float32),
            class_id=np.array(numbers, np.int64),
            data={"class_name": np.array(labels, str)},
        )
        return found

    def save_npz(self, path: str | Path, heatmaps: bool = False, force: bool = False) -> Path:
        """Write the maps for NumPy, an array for each label, as ``tvsl score`` reads them, too.

        Args:
            path: The file, which should end in ``.npz``; its folder must exist.
            heatmaps: Whether heat-maps of the picture's size in [0, 1] are written; else the raw
                maps.
            force: Whether an existing file may be replaced.

        Raises:
            OutputError: The file exists and ``force`` is not set, or it cannot be written.
        """
        maps = {one.label: one.heatmap if heatmaps else one.grid for one in self.sources}
        return write_npz(maps, path, force)

    @classmethod
    def from_dict(cls, content: Any) -> Localization:
        """Restore what ``to_dict`` gave; ``to_dict`` of it is the same again.

        Args:
            content: Plain JSON types.

        Raises:
            UnreadableMediaError: They have another form.
        """
        return cls._from_record(checked(MomentRecord, content))

    @classmethod
    def load(cls, path: str | Path) -> tuple[Localization, ...]:
        """Read the moments of a ``localization.json``, or the one that ``save`` wrote.

        Maps have six decimals; boxes are those that were written.

        Raises:
            UnreadableMediaError: There is no such file, or it has another form.
        """
        records = moment_records(read_content(path), path)
        return tuple(cls._from_record(record, path) for record in records)

    @classmethod
    def _from_record(cls, record: MomentRecord, path: str | Path | None = None) -> Localization:
        size = record.height, record.width
        return cls(
            sources=tuple(_source(one, size, path) for one in record.sources),
            label_source=record.label_source,
            model=record.model,
            size=size,
            time=record.time,
            heard=record.heard,
            threshold=record.threshold,
            notices=tuple(record.notices),
            still=record.still,
        )


def _source(record: SourceRecord, size: tuple[int, int], path: str | Path | None) -> SoundSource:
    """The source of a record, with the box that was written."""
    try:
        grid = np.array(record.map, dtype=np.float32)
    except ValueError as error:  # its rows differ in length
        raise UnreadableMediaError(
            f"The map of {shown(record.label)} has rows of different lengths.",
            "Give the file as it was written.",
            path,
        ) from error
    source = SoundSource(
        record.label,
        record.score,
        grid,
        size,
        record.time_range,
        record.duplicate_of,
        tuple(record.also),
    )
    vars(source)["box"] = None if record.box is None else Box(*record.box)
    return source


@torch.inference_mode()
def answer(
    method: Method, encoded: Encoded, request: Request, classes: Classes, model: str
) -> Localization:
    """Localize the given classes, or those that are detected, with their maps.

    Where classes are detected, names that are one to the model are detected as one. Of a head that
    is calibrated there may be none.

    Args:
        method: The head.
        encoded: A picture and its sound.
        request: The request.
        classes: The classes that the request means, among others where labels are given.
        model: Name of encoder and head in the result.

    Raises:
        UsageError: Nothing is given, and the method cannot detect.
    """
    tokens, vocabulary = encoded.tokens, classes.vocabulary
    if tokens is None:
        return outcome((), request, model, encoded)
    scores = method.detect(tokens, vocabulary)
    threshold = method.config.detection_threshold
    others: dict[str, tuple[str, ...]] = {}
    if request.labels is not None:
        rows = vocabulary.indices(request.labels)
        queries = Queries.from_lists([rows]).to(tokens.visual.device)
    elif scores is None:
        raise cannot_detect(method)
    else:
        vocabulary, others = classes.merged(scores)
        if others:  # those that are left do not compete with the others
            scores = method.detect(tokens, vocabulary)
        assert scores is not None
        queries, candidate = detected(method, tokens, vocabulary, scores, request.sources)
        if candidate is not None:
            return outcome((), request, model, encoded, threshold, candidate)
    maps = method.postprocess(method.spread_maps(tokens, queries, vocabulary))
    # Given labels keep the spelling that they were given in.
    spelled = request.labels or [vocabulary.names[label] for label in queries.label.tolist()]
    sources = tuple(
        SoundSource(
            label=spelling,
            score=0.0 if scores is None else float(scores[0, label]),
            grid=grid,
            size=encoded.size,
            time_range=encoded.time_range,
            also=others.get(spelling, ()),
        )
        for spelling, label, grid in zip(
            spelled, queries.label.tolist(), maps.float().cpu().numpy(), strict=True
        )
    )
    return outcome(sources, request, model, encoded, None if scores is None else threshold)


def outcome(
    sources: tuple[SoundSource, ...],
    request: Request,
    model: str,
    encoded: Encoded,
    threshold: float | None = None,
    candidate: Candidate | None = None,
) -> Localization:
    """The result of a request.

    Args:
        sources: The sources; none where nothing sounds, or nothing that is known.
        request: The request.
        model: Name of the model and its method.
        encoded: The picture and its sound.
        threshold: As for ``Localization``.
        candidate: As for ``Localization``.
    """
    label_source: LabelSource = "detected" if request.labels is None else "given"
    said = (str(candidate) if candidate is not None else None, encoded.silence)
    notices = (*request.notices, *(text for text in said if text is not None))
    return Localization(
        sources,
        label_source,
        model,
        encoded.size,
        encoded.time,
        encoded.time_range,
        threshold,
        encoded.still,
        notices,
        candidate,
        encoded.picture,
    )
