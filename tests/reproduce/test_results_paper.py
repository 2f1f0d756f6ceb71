from __future__ import annotations

import pytest

from tvsl.reproduce.results import PAPER_SETS, paper_numbers
from tvsl.reproduce.tables import TABLES


@pytest.mark.parametrize(
    ("table", "row", "column", "value"),
    [
        (1, "T-VSL", "vggsound-single: AP", 48.1),
        (1, "Alignment", "music-solo: IoU@0.5", 66.4),
        (1, "DSOL", "vgg-instruments-single: IoU@0.3", 61.6),
        (2, "T-VSL", "vggsound-duet: CIoU@0.3", 40.1),
        (2, "AVGN", "vgg-instruments-multi: CIoU@0.1", 86.7),
        (3, "T-VSL, correspondence, audio conditioning", "vggsound-duet: CAP", 32.8),
        (4, "FNAC", "music-duet: CIoU@0.3", 51.2),
        (5, "AVGN", "3 sources", 30.8),
        (6, "T-VSL, prompt length 16", "vggsound-duet: CAP", 37.4),
        (7, "T-VSL, one stage", "vggsound-single: IoU@0.5", 51.5),
    ],
)
def test_numbers_as_printed(table: int, row: str, column: str, value: float) -> None:
    assert paper_numbers(table)[row][column] == value


def test_the_drop_is_a_share_of_the_first_number() -> None:
    rows = paper_numbers(5)
    assert rows["T-VSL"]["drop"] == pytest.approx(100 * (39.6 - 29.5) / 39.6)
    assert rows["FNAC"]["drop"] == pytest.approx(100 * (34.1 - 18.8) / 34.1)


def test_columns_name_the_benchmark_and_its_own_success_rate() -> None:
    first, second = TABLES["table1"].columns[1], TABLES["table2"].columns[1]
    assert [sets.key(first) for sets in PAPER_SETS.values()] == [
        "vggsound-single: IoU@0.5",
        "vgg-instruments-single: IoU@0.3",
        "music-solo: IoU@0.5",
    ]
    assert [sets.key(second) for sets in PAPER_SETS.values()] == [
        "vggsound-duet: CIoU@0.3",
        "vgg-instruments-multi: CIoU@0.1",
        "music-duet: CIoU@0.3",
    ]
    assert PAPER_SETS["VGGSound"].key(TABLES["twins"].columns[0]) is None
