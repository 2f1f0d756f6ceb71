"""Public lists and annotations: their sources, their rows, and the media that they describe.

This package does not contain them. They are data files of public repositories, each at one commit.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tvsl.data.targets import Shape, in_pixels, same_shape
from tvsl.errors import DataError, first_problem, shown
from tvsl.media.limits import DEFAULT_LIMITS, open_container
from tvsl.media.streams import require_audio_stream
from tvsl.utils.download import download
from tvsl.utils.files import LARGEST_LIST, lists_folder, read_small_text, unguarded
from tvsl.utils.id_lists import is_column_name
from tvsl.utils.processes import Progress, no_progress

LARGEST_SIDE: Final = 10**6
"""Maximum pixels of a picture's side."""

_REMEDY: Final = "Check the path; correct the file, or get it again."


NormalizeId = Callable[[str], str]
"""Converts an id to its normal form."""

_NO_IDS: Final[Mapping[int, NormalizeId]] = MappingProxyType({})


class ListRow(NamedTuple):
    """A row of a list.

    Attributes:
        line: Line number, from 1.
        cells: Its cells, without spaces at their ends.
    """

    line: int
    cells: tuple[str, ...]


Share = Annotated[float, Field(strict=True)]
"""A number of an annotation, neither a text nor a truth value."""


class ClipAnnotation(BaseModel):
    """Base of the annotations of a clip in an annotation file.

    Attributes:
        file: Id of the clip.
        width: Width of the picture in pixels, if given.
        height: Its height, if given.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    file: str
    width: int | None = Field(None, gt=0, le=LARGEST_SIDE, strict=True)
    height: int | None = Field(None, gt=0, le=LARGEST_SIDE, strict=True)

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width of the picture, if both are given."""
        return None if self.width is None or self.height is None else (self.height, self.width)


AnnotationT = TypeVar("AnnotationT", bound=ClipAnnotation)


def read_rows(
    path: Path, columns: Collection[int], ids: Mapping[int, NormalizeId] = _NO_IDS
) -> list[ListRow]:
    """Read a comma-separated list with any line ends; empty lines are skipped.

    Args:
        path: The file, in UTF-8.
        columns: Allowed numbers of cells of a row.
        ids: Columns that hold ids, and the function that normalizes them. With any, a header line
            and lines that begin with ``# `` are skipped.

    Returns:
        The rows; at least one.

    Raises:
        DataError: It cannot be read, is no text, holds no row, or a row has other columns.
    """
    try:
        rows = _rows(read_text(path))
    except csv.Error as error:
        raise DataError(f"The file is no list with commas ({error}).", _REMEDY, path) from error
    if ids:
        rows = [row for row in rows if not row.cells[0].startswith("# ")]
        rows = rows[1:] if rows and is_column_name(rows[0].cells[0]) else rows
    if not rows:
        raise DataError("The list is empty.", _REMEDY, path)
    for row in rows:
        if len(row.cells) not in columns:
            expected = " or ".join(str(count) for count in sorted(columns))
            raise line_error(path, row.line, f"has {len(row.cells)} columns, not {expected}")
    return [_named(row, ids) for row in rows] if ids else rows


def _named(row: ListRow, ids: Mapping[int, NormalizeId]) -> ListRow:
    """A row with normalized ids; names with folders stay, to be checked by ``inside``."""
    cells = [unguarded(cell) for cell in row.cells]
    for at, normalize in ids.items():
        if at < len(cells) and not {"/", "\\"} & set(cells[at]):
            cells[at] = normalize(cells[at])
    return ListRow(row.line, tuple(cells))


def read_by_id(
    path: Path, columns: Collection[int], normalize: NormalizeId, others: Collection[int] = ()
) -> dict[str, ListRow]:
    """Read a list whose first cells are ids.

    Args:
        path: As for ``read_rows``.
        columns: As for ``read_rows``.
        normalize: Normalizes an id.
        others: Further columns that hold ids.

    Raises:
        DataError: As for ``read_rows``, or an id occurs twice.
    """
    found: dict[str, ListRow] = {}
    for row in read_rows(path, columns, dict.fromkeys((0, *others), normalize)):
        earlier = found.setdefault(row.cells[0], row)
        if earlier is not row:
            raise line_error(
                path, row.line, f"repeats {shown(row.cells[0])} of line {earlier.line}"
            )
    return found


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: It cannot be read, is no regular file, is too large or is no text.
    """
    return read_small_text(path, LARGEST_LIST, DataError, _REMEDY)


def read_annotations(path: Path, kind: type[AnnotationT]) -> dict[str, AnnotationT]:
    """Read a JSON list of annotations.

    Args:
        path: The file.
        kind: Type of the annotations.

    Returns:
        The annotations by their clips' ids; at least one.

    Raises:
        DataError: It cannot be read, is not such a list, is empty, or holds a clip twice.
    """
    try:
        entries: list[AnnotationT] = TypeAdapter(list[kind]).validate_json(  # type: ignore[valid-type]
            read_text(path), strict=True
        )
    except ValidationError as error:
        raise DataError(
            f"The annotations are not what they should be: {first_problem(error)}.", _REMEDY, path
        ) from error
    found = {entry.file: entry for entry in entries}
    if not found or len(found) < len(entries):
        problem = "hold a clip twice" if found else "are empty"
        raise DataError(f"The annotations {problem}.", _REMEDY, path)
    return found


def line_error(path: Path, line: int | str, problem: str) -> DataError:
    """An error about a line of a list.

    Args:
        path: The file.
        line: Its number, from 1, or a description of the place in a file without lines.
        problem: The clause that follows "Line 3 …".
    """
    place = f"Line {line}" if isinstance(line, int) else line
    return DataError(f"{place} {problem}.", _REMEDY, path)


def _rows(text: str) -> list[ListRow]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    stripped = ((reader.line_num, tuple(cell.strip() for cell in cells)) for cells in reader)
    return [ListRow(line, cells) for line, cells in stripped if any(cells)]


# Lossy codecs add up to a tenth of a second.
_SLACK: Final = 0.1
# Rounding may put corners a little outside the picture: this share of a side.
_LARGEST_SHARE: Final = 1.01


@dataclass(frozen=True)
class ExpectedMedia:
    """Properties of a picture and a sound, as a list states them.

    Attributes:
        path: The list.
        line: Number of the line, or a description of the place.
        shape: Height and width of the picture.
        rate: Samples per second of the sound.
        duration: Seconds of the sound.
        boxes: Boxes on the picture: left, top, right, bottom relative to its sides.
    """

    path: Path
    line: int | str
    shape: Shape | None = None
    rate: int | None = None
    duration: float | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()

    def check_picture(self, path: Path, shape: Shape) -> None:
        """Refuse a picture of another shape, or with boxes outside of it.

        Args:
            path: The picture.
            shape: Its shape, upright.

        Raises:
            DataError: The line contradicts it.
        """
        if self.shape is not None and not same_shape(self.shape, shape):
            raise self._contradiction(path, f"{in_pixels(self.shape)} pixels", in_pixels(shape))
        height, width = self.shape or shape
        for box in self.boxes:
            if max(box) > _LARGEST_SHARE or min(box) < 1 - _LARGEST_SHARE:
                ends = (f"{side * of:g}" for side, of in zip(box, (width, height) * 2, strict=True))
                raise line_error(
                    self.path,
                    self.line,
                    f"has the box {' '.join(ends)}, which leaves the {width} x {height} pixels of "
                    f"{path.name}",
                )

    def check_sound(self, path: Path) -> None:
        """Refuse a sound of another rate or length.

        Raises:
            DataError: The line contradicts it.
            MediaError: It cannot be used.
        """
        if self.rate is None and self.duration is None:
            return
        with open_container(path) as container:
            rate = require_audio_stream(container, path, DEFAULT_LIMITS).rate
            length = None if container.duration is None else container.duration / 1_000_000
        if self.rate is not None and self.rate != rate:
            raise self._contradiction(path, f"{self.rate} samples a second", str(rate))
        if self.duration is None or length is None:
            return
        if abs(self.duration - length) > _SLACK:
            raise self._contradiction(path, f"{self.duration:g} seconds", f"{length:g}")

    def _contradiction(self, path: Path, stated: str, found: str) -> DataError:
        return line_error(self.path, self.line, f"says {stated}, but {path.name} has {found}")


def expected_by(path: Path, entry: ClipAnnotation) -> ExpectedMedia | None:
    """Properties of the picture that an annotation states; None where it states none.

    Args:
        path: The annotation file.
        entry: The annotation.
    """
    if entry.shape is None:
        return None
    return ExpectedMedia(path, f"The entry of {shown(entry.file)}", entry.shape)


_RAW: Final = "https://raw.githubusercontent.com"
_AVGN: Final = f"{_RAW}/stoneMo/AVGN/96282c3680601fe1de14c7ccbb65a0f4328f1e33/metadata"
_EZ_VSL: Final = f"{_RAW}/stoneMo/EZ-VSL/8231b49c21454baed5c48c4cb9ad0c0812db8c4c/metadata"
_EZ_VSL_TRAIN: Final = f"{_RAW}/stoneMo/EZ-VSL/24658cbb25889f873fd7707251cdcc70ef101bff/metadata"
_SLAVC: Final = f"{_RAW}/stoneMo/SLAVC/05b429c6f474ca6f1070d08e1d0142948d1625bf/metadata"
_LVS: Final = (
    f"{_RAW}/hche11/Localizing-Visual-Sounds-the-Hard-Way"
    "/2dd2256ef6813e749e5d72dbae809aee1222aae8/metadata"
)


@dataclass(frozen=True)
class PublicList:
    """A list or annotation file of a public repository.

    Attributes:
        file: Its file name.
        url: Its address.
        sha256: SHA-256 of its bytes.
    """

    file: str
    url: str
    sha256: str

    @property
    def path(self) -> Path:
        """Path of the downloaded file."""
        return lists_folder() / self.file


# Checksums in the form of `sha256sum`.
_CHECKSUMS: Final = {
    _LVS: """
    ae300b4a259267e6fe839970d495862edd70bfe3da63d925bcdb34054ed3b15e vggss.json
    971081929d45caf21a148a6ca968822d96e8316331d0cc0bafb1783acb4d2c35 vggss_test.csv
    faf5465bdb991cfb7506ccadef64dfea9e9bceb47e895d0e4dbdc2a0ca622871 flickr_test.csv
    """,
    _EZ_VSL: """
    70a01c6828e7b84531823616ebb2e32e75bbaf5e44c715fa366b61111ab33c4e vggss_heard_test.csv
    11883813db359df63e1a28f69bb53e1ceef7f5b8d68e0149de5792540acb9e17 vggss_unheard_test.csv
    """,
    _EZ_VSL_TRAIN: """
    db900e2df283236b3e5485ae95a4a09f0904f8da184fc7da6f1ab1d24f6c5aa2 vggss_heard.txt
    """,
    _SLAVC: """
    905a009428e16d1108e5af112d8e682dbe1702a2ed897b3d56753ff587018e4e vggss_test_plus_silent.csv
    45a0d32b64a9ef9e567d3eaf4a4a29683cdb0f7f4e1924a0e26cde24fa298643 flickr_test_plus_silent.csv
    """,
    _AVGN: """
    524511f56934441ad86f0cef16b1cb6bd9367c91d963adbca6240b4de30845cc vggsound_single_test.csv
    3e212fb1ac3f7f8d71ca6fdff81aa7a3d1e1908d98f946aa644b7d213df730a6 vggsound_duet_test.csv
    93b96403745cd9c5063517bb539b753fe378b25635ab97eca28689a916d59276 vgginstruments_test.csv
    1979f24434971473c5d0fb02455bc25b5b19db7e8a81c09bfd23a7a20177ead4 vgginstruments_multi_test.csv
    920764e927835cbabf0a1fa3faef9cc1d3a2988967513e23b7e4fafd5c1edbfa vgginstruments_multi_train.txt
    7920a6c77e19a4c76e44c3d9d2b112195b40e7be1fd4a5c69860e7dbe1e60c3b music_solo_test.csv
    f912a9b4f4d55489215e31394a9f42d11256bed91575b9cc9ab8dd5fb37c6741 music_solo_train.txt
    beb7508129540b98fab3ceb63c62541fc4615eeaffbd05c6c9ab7a9b558e893c music_solo.json
    4cdeceac0e49000398101677d13e40cb52481b560074438e8ce511d8b4dbdd85 music_duet_test.csv
    297bbc81e8a03afb629cc48dcd2999984bb775dacf0f4df42986a2af9559bbe1 music_duet_train.txt
    ef9dadc0146ea69cc7c41088cba04c10174b617d8a8bcdc4cce65e17e749168f music_duet.json
    """,
}

PUBLIC_LISTS: Final[Mapping[str, PublicList]] = {
    file: PublicList(file, f"{folder}/{file}", sha256)
    for folder, checksums in _CHECKSUMS.items()
    for sha256, file in (line.split() for line in checksums.strip().splitlines())
}
"""All public lists by their file names."""


def find_list(files: Sequence[str], folders: Sequence[Path], name: str) -> Path:
    """Find a list in some folders, then among the downloaded lists.

    Args:
        files: Its file name, and names of alternatives.
        folders: Folders to search first.
        name: The data set, for the message.

    Returns:
        The path of the first that exists.

    Raises:
        DataError: None exists; the message says how to get one.
    """
    places = [*folders, lists_folder()]
    for file in files:
        for folder in places:
            if (folder / file).is_file():
                return folder / file
    if files[0] in PUBLIC_LISTS:
        remedy = f"Run `tvsl data fetch-lists {name}`, or put {PUBLIC_LISTS[files[0]].url}"
    else:
        remedy = "It cannot be fetched from a public repository: put it"
    raise DataError(
        f"The list {' or '.join(files)} of the data set '{name}' is not here.",
        f"{remedy} into {places[0]} or {places[-1]}.",
        places[0] / files[0],
    )


def fetch_lists(files: Sequence[str], progress: Progress = no_progress) -> list[Path]:
    """Download missing public lists; existing ones are verified by their checksums.

    Args:
        files: Their file names.
        progress: Called with files so far and files in all.

    Raises:
        DataError: There is no network, a checksum is wrong, or the folder cannot be written.
    """
    paths = []
    for file in files:
        entry = PUBLIC_LISTS[file]
        by_hand = f"download by hand {entry.url} to {entry.path}"
        paths.append(download(entry.url, entry.path, entry.sha256, by_hand, error_type=DataError))
        progress(len(paths), len(files))
    return paths
