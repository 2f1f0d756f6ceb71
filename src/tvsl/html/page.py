"""Values that several pages show."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tvsl.html.data_uris import png_uri, sound_uri
from tvsl.html.rendering import Values
from tvsl.localization import SoundSource
from tvsl.render.spectrogram import LOWEST, spectrogram_image

if TYPE_CHECKING:
    from tvsl.evaluation.tables import TextTable

_SPECTROGRAM = (96, 360)


def table_values(table: TextTable, best: Collection[tuple[int, str]] = ()) -> Values:
    """A table of texts, for the macro ``results``.

    Args:
        table: The table.
        best: Row, from 0, and column title of each cell that stands out.

    Returns:
        The title, and the heads and cells of the columns with their style classes.
    """
    # Here: the page of a clip needs neither tables nor the metrics, which take seconds to import.
    from tvsl.evaluation.tables import PAPER_HEAD

    classes = [
        "" if column < table.words else "number of-paper" if head == PAPER_HEAD else "number"
        for column, head in enumerate(table.heads)
    ]
    rows = [
        [
            {"text": text, "class": classes[column], "best": (row, table.heads[column]) in best}
            for column, text in enumerate(texts)
        ]
        for row, texts in enumerate(table.rows)
    ]
    columns = list(zip(table.heads, classes, strict=True))
    return {"title": table.title, "columns": columns, "rows": rows}


def sound_values(
    waveform: NDArray[np.float32], samples: NDArray[np.int16], rate: int, name: str
) -> Values:
    """A sound with its spectrogram, for the macro ``sound_figure``.

    Args:
        waveform: What is drawn, mono, (n,).
        samples: What is played, (n,).
        rate: Samples per second of both.
        name: What it is.

    Returns:
        Name, data URIs of sound and spectrogram, and the ranges of time and pitch in words.
    """
    return {
        "name": name,
        "uri": sound_uri(samples, rate),
        "spectrogram": png_uri(spectrogram_image(waveform, rate, _SPECTROGRAM)),
        "seconds": f"{len(waveform) / rate:.2f}",
        "pitch": f"{LOWEST:.0f} Hz to {rate / 2000:.0f} kHz",
    }


def distinct_maps(maps: Mapping[str, SoundSource]) -> list[tuple[str, SoundSource]]:
    """The different maps of one true source.

    Returns:
        Each map once, under the sources of labels that it is for, with spaces between them.
    """
    found: list[tuple[str, SoundSource]] = []
    for labels, source in maps.items():
        for place, (others, other) in enumerate(found):
            if np.array_equal(other.grid, source.grid):
                found[place] = (f"{others} {labels}", other)
                break
        else:
            found.append((labels, source))
    return found
