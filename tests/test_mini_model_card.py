from __future__ import annotations

from typing import Any

from benchmarks.mini_model import card_tables, markdown_table, seeds_table


def figures(start: float) -> dict[str, float]:
    names = ("AP", "CAP", "IoU@0.3", "IoU@0.5", "AUC", "CIoU@0.3", "CIoU@0.5")
    return {name: start + place for place, name in enumerate(names)}


def row(start: float, detects: bool = True) -> dict[str, Any]:
    return {
        "given": figures(start),
        "detected": figures(start + 10) if detects else None,
        "detection": start + 5.25 if detects else None,
    }


RESULTS: dict[str, Any] = {
    "scenes": 321,
    "methods": {
        "T-VSL": {"single": row(10), "duet": row(30), "twin single": row(50)},
        "centre": {
            "single": row(11, detects=False),
            "duet": row(31, detects=False),
            "twin single": row(51, detects=False),
        },
    },
    "masks": {"single": row(20)},
    "mistakes": {
        "single": {"wrong": 2.0, "surface": 75.04, "shape": 12.5},
        "duet": {"wrong": 0.0, "surface": None, "shape": None},
    },
    "readouts": {"sum": {"single": row(12), "duet": row(32)}},
    "tokens": {"values, flip none": {"single": row(13), "duet": row(33)}},
}
RESULTS["methods"]["T-VSL"]["twin single"]["given"]["right twin"] = 97.5


def tables() -> dict[str, list[list[str]]]:
    """Cells of the rows under each title."""
    found: dict[str, list[list[str]]] = {}
    title = ""
    for line in card_tables(RESULTS).splitlines():
        if line.startswith("### "):
            title = line[4:]
        elif line.startswith("|"):
            found.setdefault(title, []).append([cell.strip() for cell in line.split("|")[1:-1]])
    return found


def test_a_table_has_a_head_and_aligned_columns() -> None:
    made = markdown_table(["a", "b"], [["x", "1"], ["y", "2"]])
    assert made == "| a | b |\n| --- | ---: |\n| x | 1 |\n| y | 2 |"


def test_conditions_stand_first() -> None:
    assert card_tables(RESULTS).startswith("321 test scenes a row, protocol `paper`")


def test_own_rows_hold_every_figure() -> None:
    head, _, single, duet, twin = tables()["The shipped head, on boxes"]
    named = dict(zip(head[:6], single[:6], strict=True))
    expected = ["single", "10.0", "12.0", "13.0", "14.0", ""]
    assert named == dict(
        zip(["row", "AP or CAP", "IoU@0.3", "IoU@0.5", "AUC", "right twin"], expected, strict=True)
    )
    assert single[6:] == ["20.0", "22.0", "23.0", "15.2"]
    assert duet[1:5] == ["31.0", "35.0", "36.0", "34.0"]  # CAP and CIoU where several sound
    assert duet[6:9] == ["41.0", "45.0", "46.0"]
    assert twin[5] == "97.5"
    assert tables()["The same on masks"][2][:2] == ["single", "20.0"]


def test_mistakes_are_told_where_there_are_any() -> None:
    head, _, single, duet = tables()["What is taken for what"]
    assert head == ["row", "wrong", "same surface", "same shape"]
    assert single == ["single", "2.0", "75.0", "12.5"]
    assert duet == ["duet", "0.0", "", ""]


def test_methods_are_compared_by_the_paper_s_figures() -> None:
    head, _, ours, centre = tables()["Methods, true labels given"]
    assert head == ["", "single", "duet", "twin single"]
    assert ours == ["T-VSL", "10.0 / 13.0", "31.0 / 35.0", "50.0 / 53.0"]
    assert centre == ["centre", "11.0 / 14.0", "32.0 / 36.0", "51.0 / 54.0"]


def test_only_what_detects_stands_among_the_detected() -> None:
    _, _, *rows = tables()["Methods, detected labels"]
    assert rows == [["T-VSL", "20.0 / 23.0", "41.0 / 45.0", "60.0 / 63.0"]]


def test_every_table_of_the_card_is_there() -> None:
    found = tables()
    assert found["Readouts of the shipped head, true labels given"][2][0] == "sum"
    given = found["Token modes and flip averages, true labels given"][2]
    assert given == ["values, flip none", "13.0 / 16.0", "34.0 / 38.0"]
    assert found["Readouts of the shipped head, detected labels"][2][:2] == ["sum", "22.0 / 25.0"]
    detected = found["Token modes and flip averages, detected labels"][2]
    assert detected == ["values, flip none", "23.0 / 26.0", "44.0 / 48.0"]
    assert all(len(row) == len(rows[0]) for rows in found.values() for row in rows)


def test_seeds_stand_beside_each_other() -> None:
    def seed(start: float) -> dict[str, Any]:
        decided = {"T-VSL": {"validation": start}}
        return {"decided": decided, "methods": {"T-VSL": {"single": row(start)}}}

    head, _, *rows = seeds_table({"0": seed(10), "1": seed(20)}).splitlines()
    assert head == "| seed | validation | single |"
    assert rows == ["| 0 | 10.0 | 20.0 / 23.0 |", "| 1 | 20.0 | 30.0 / 33.0 |"]
