"""The numbers of the paper's tables, to stand beside one's own.

Typed from Tables 1 to 7 of Mahmud, Tian and Marculescu, "T-VSL: Text-Guided Visual Sound Source
Localization in Mixtures", CVPR 2024, in percent as printed. Two things are not printed plainly:

- In Table 1 the row of DSOL, in Table 2 the rows of CoarsetoFine, LVS, EZ-VSL and DSOL have two
  numbers for each data set in place of three. The missing one is AP or CAP: the two that are there
  lie, on all data sets, among their neighbours' success rates and AUCs.
- The check marks of Table 3 are read from Sec. 4.3: correspondence alone adds 1.1 AP to the first
  row, the audio conditioning 1.8 and the image conditioning 2.3 AP to the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tvsl.data.base import DataSet
from tvsl.metrics import PAPER_THRESHOLDS

BENCHMARKS = MappingProxyType(
    {
        "vggsound-single": "VGGSound-Single",
        "vgg-instruments-single": "VGGSound-Instruments (single)",
        "music-solo": "MUSIC-Solo",
        "vggsound-duet": "VGGSound-Duet",
        "vgg-instruments-multi": "VGGSound-Instruments (multi)",
        "music-duet": "MUSIC-Duet",
        "vggsound-multi": "VGGSound, several sources",
    }
)
"""Titles of the paper's benchmarks by the names that data sets and protocols have here."""


@dataclass(frozen=True)
class PaperNumber:
    """A number of the paper.

    Attributes:
        table: Number of the table.
        method: Name of the method in the paper.
        variant: Varied setting of the row; empty in Tables 1 and 2.
        benchmark: One of ``BENCHMARKS``.
        metric: Name of the metric, as the protocol ``paper`` calls it.
        value: Percent.
    """

    table: int
    method: str
    variant: str
    benchmark: str
    metric: str
    value: float


_SINGLE = ("vggsound-single", "vgg-instruments-single", "music-solo")
_MULTI = ("vggsound-duet", "vgg-instruments-multi", "music-duet")
_TWO = ("vggsound-single", "vggsound-duet")

# One row a method: for each of three data sets AP (CAP), success rate and AUC; where a row has six
# numbers, the first of each three is not given.
_TABLE_1: Mapping[str, tuple[float, ...]] = {
    "OTS": (38.9, 43.2, 43.7, 50.9, 56.9, 38.4, 76.2, 57.8, 48.9),
    "CoarsetoFine": (39.4, 43.1, 44.8, 51.1, 57.5, 39.1, 76.3, 58.1, 49.7),
    "LVS": (39.7, 44.6, 45.3, 51.5, 57.9, 39.4, 76.1, 57.1, 49.3),
    "EZ-VSL": (40.6, 45.1, 47.2, 52.3, 58.8, 39.9, 78.4, 58.7, 51.1),
    "Mix-and-Localize": (41.8, 45.6, 47.4, 53.8, 59.3, 41.5, 78.9, 59.9, 52.7),
    "DSOL": (46.8, 47.9, 61.6, 43.7, 62.7, 54.6),
    "MarginNCE": (42.5, 46.9, 48.3, 56.9, 61.8, 44.2, 83.1, 63.3, 55.2),
    "FNAC": (43.3, 48.4, 49.1, 57.2, 63.2, 45.3, 84.6, 64.5, 56.4),
    "AVGN": (44.1, 49.6, 49.5, 59.3, 64.7, 46.1, 85.4, 65.8, 56.9),
    "Alignment": (45.3, 50.8, 50.2, 60.4, 65.8, 48.7, 86.1, 66.4, 57.2),
    "AudioCLIP": (42.8, 47.4, 48.5, 58.3, 62.7, 45.2, 83.8, 63.1, 55.7),
    "Wav2CLIP": (39.3, 43.6, 44.7, 53.8, 57.2, 42.0, 78.9, 59.9, 51.2),
    "T-VSL": (48.1, 53.7, 52.9, 64.6, 69.5, 51.4, 88.2, 68.5, 60.1),
}
_TABLE_2: Mapping[str, tuple[float, ...]] = {
    "OTS": (23.9, 26.4, 27.5, 28.7, 77.8, 18.2, 51.2, 29.4, 24.3),
    "CoarsetoFine": (28.4, 27.9, 78.8, 19.7, 31.8, 24.1),
    "LVS": (31.8, 30.1, 81.1, 23.2, 33.1, 26.9),
    "EZ-VSL": (32.4, 30.6, 80.3, 22.9, 34.3, 26.7),
    "MarginNCE": (27.1, 33.2, 31.2, 33.5, 82.3, 24.7, 55.1, 36.1, 28.5),
    "FNAC": (29.8, 35.1, 33.4, 35.4, 84.1, 26.8, 57.3, 37.9, 30.6),
    "Alignment": (30.4, 35.8, 33.9, 35.6, 84.9, 27.1, 57.8, 38.3, 30.9),
    "Mix-and-Localize": (29.5, 35.6, 34.1, 36.3, 84.5, 26.7, 57.4, 38.1, 30.7),
    "DSOL": (36.9, 34.6, 85.9, 28.4, 38.8, 31.3),
    "AVGN": (31.9, 37.8, 35.4, 38.1, 86.7, 28.8, 59.2, 39.3, 32.4),
    "AudioCLIP": (28.4, 34.9, 32.8, 34.7, 83.8, 25.9, 56.1, 36.9, 29.2),
    "Wav2CLIP": (26.3, 31.4, 28.9, 31.2, 80.3, 22.2, 52.6, 32.2, 27.2),
    "T-VSL": (35.7, 40.1, 37.9, 41.8, 89.6, 31.5, 62.9, 43.2, 35.9),
}
# The rest: AP, IoU@0.5 on VGGSound-Single, CAP, CIoU@0.3 on VGGSound-Duet.
_TABLE_3: Mapping[str, tuple[float, ...]] = {
    "AudioCLIP alone": (42.8, 47.4, 28.4, 34.9),
    "correspondence": (43.9, 48.1, 29.7, 36.3),
    "correspondence, audio conditioning": (45.7, 50.9, 32.8, 38.1),
    "correspondence, image conditioning": (46.2, 51.4, 33.3, 38.6),
    "all three": (48.1, 53.7, 35.7, 40.1),
}
_TABLE_4: Mapping[str, tuple[float, ...]] = {  # by benchmark: one number a method
    "music-duet": (55.8, 50.9, 51.7, 51.2),
    "music-solo": (80.5, 75.1, 77.6, 77.4),
    "vgg-instruments-multi": (81.7, 76.8, 76.5, 76.1),
}
_TABLE_4_METHODS = ("T-VSL", "Mix-and-Localize", "Alignment", "FNAC")
_TABLE_5: Mapping[str, tuple[float, ...]] = {
    "2 sources": (39.6, 36.8, 35.4, 34.1),
    "3 sources": (35.7, 30.8, 28.9, 27.1),
    "4 sources": (29.5, 22.4, 19.3, 18.8),
}
_TABLE_5_METHODS = ("T-VSL", "AVGN", "Alignment", "FNAC")
_TABLE_6: Mapping[str, tuple[float, ...]] = {
    "prompt length 0": (48.1, 53.7, 35.7, 40.1),
    "prompt length 2": (48.5, 54.1, 36.0, 40.4),
    "prompt length 4": (49.2, 54.6, 36.8, 41.3),
    "prompt length 8": (50.3, 55.2, 37.1, 42.5),
    "prompt length 16": (50.2, 55.0, 37.4, 42.9),
    "prompt length 32": (49.7, 54.5, 37.1, 42.7),
}
_TABLE_7: Mapping[tuple[str, str], tuple[float, ...]] = {
    ("AVGN", "one stage"): (44.1, 49.6, 31.9, 37.8),
    ("T-VSL", "one stage"): (46.8, 51.5, 33.7, 38.7),
    ("T-VSL", "two stages"): (48.1, 53.7, 35.7, 40.1),
}


def _main(table: int) -> Iterator[PaperNumber]:
    rows, benchmarks = ((_TABLE_1, _SINGLE), (_TABLE_2, _MULTI))[table - 1]
    average = ("AP", "CAP")[table - 1]
    for method, values in rows.items():
        for place, benchmark in enumerate(benchmarks):
            metrics = (average, PAPER_THRESHOLDS[benchmark], "AUC")[-len(values) // 3 :]
            some = values[place * len(metrics) : (place + 1) * len(metrics)]
            for metric, value in zip(metrics, some, strict=True):
                yield PaperNumber(table, method, "", benchmark, metric, value)


def _ablation(
    table: int, rows: Mapping[tuple[str, str], tuple[float, ...]]
) -> Iterator[PaperNumber]:
    for (method, variant), values in rows.items():
        for place, benchmark in enumerate(_TWO):
            metrics = (("AP", "CAP")[place], PAPER_THRESHOLDS[benchmark])
            for metric, value in zip(metrics, values[2 * place :], strict=False):
                yield PaperNumber(table, method, variant, benchmark, metric, value)


def _of_tvsl(rows: Mapping[str, tuple[float, ...]]) -> dict[tuple[str, str], tuple[float, ...]]:
    return {("T-VSL", variant): values for variant, values in rows.items()}


PAPER_NUMBERS: tuple[PaperNumber, ...] = (
    *_main(1),
    *_main(2),
    *_ablation(3, _of_tvsl(_TABLE_3)),
    *(
        PaperNumber(4, method, "zero-shot transfer", name, PAPER_THRESHOLDS[name], value)
        for name, values in _TABLE_4.items()
        for method, value in zip(_TABLE_4_METHODS, values, strict=True)
    ),
    *(
        PaperNumber(5, method, variant, "vggsound-multi", "CIoU@0.3", value)
        for variant, values in _TABLE_5.items()
        for method, value in zip(_TABLE_5_METHODS, values, strict=True)
    ),
    *_ablation(6, _of_tvsl(_TABLE_6)),
    *_ablation(7, _TABLE_7),
)
"""All of them, table by table."""

_METHODS = MappingProxyType(
    {
        "tvsl": "T-VSL",
        "tvsl-released": "T-VSL",
        "ots": "OTS",
        "coarse-to-fine": "CoarsetoFine",
        "lvs": "LVS",
        "ez-vsl": "EZ-VSL",
        "mix-and-localize": "Mix-and-Localize",
        "dsol": "DSOL",
        "margin-nce": "MarginNCE",
        "fnac": "FNAC",
        "avgn": "AVGN",
        "alignment": "Alignment",
        "audioclip-finetuned": "AudioCLIP",
        "wav2clip": "Wav2CLIP",
    }
)
_WHERE_IT_LIES = frozenset({"root", "lists"})
# Sec. 4.1 counts the test videos of these; of MUSIC it counts videos, of which lists hold frames.
_ITEMS = MappingProxyType(
    {"vggsound-single": 5158, "vggsound-duet": 5158, "vgg-instruments-single": 446}
)


@dataclass(frozen=True)
class PaperRow:
    """The paper's figures to set beside a method.

    Attributes:
        method: Name of the method in the paper.
        benchmark: One of ``BENCHMARKS``.
        table: Number of the table.
        same_data: Whether the paper measured on the same benchmark; other numbers only give an
            idea.
        values: Percent, by metric.
    """

    method: str
    benchmark: str
    table: int
    same_data: bool
    values: Mapping[str, float]


def beside(method: str, data: DataSet, found: int) -> PaperRow | None:
    """The paper's numbers for a method.

    Args:
        method: Its name in the registry.
        data: Data set of the evaluation.
        found: Number of its items that were found.

    Returns:
        Those of the same benchmark, on other data unless all of it was found and no option makes
        another one of it; else those of VGGSound-Single or VGGSound-Duet. None for a method that
        is not in the paper.
    """
    name = _METHODS.get(method)
    if name is None:
        return None
    changed = data.model_fields_set - _WHERE_IT_LIES
    default = {field: data.__class__.model_fields[field].default for field in changed}
    as_it_is = all(getattr(data, field) == value for field, value in default.items())
    whole = found == data.listed_count == _ITEMS.get(data.name, found)
    same = data.name in PAPER_THRESHOLDS and as_it_is and whole
    benchmark = data.name if data.name in PAPER_THRESHOLDS else _TWO[data.several]
    numbers = [
        number
        for number in PAPER_NUMBERS
        if number.table <= 2 and (number.method, number.benchmark) == (name, benchmark)
    ]
    values = {number.metric: number.value for number in numbers}
    return PaperRow(name, benchmark, numbers[0].table, same, values)
