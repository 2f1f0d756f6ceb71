from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.reproduce.made_tables import line, table
from tvsl.reproduce.claims import Claim
from tvsl.reproduce.judging import Expectation, JudgedExpectations
from tvsl.reproduce.plan import Choice
from tvsl.reproduce.report import (
    CSV_HEADER,
    best_cells,
    choice_table,
    csv_text,
    difference_table,
    head_title,
    how,
    json_content,
    markdown,
    order_table,
    remarks,
    text_table,
)
from tvsl.reproduce.results import MeasuredRow, Value
from tvsl.reproduce.run import Provenance, Reproduction
from tvsl.reproduce.specs import DUETS, SINGLES, HeadSpec, Training, reproduce_config
from tvsl.reproduce.tables import FNAC, TVSL, TVSL_MIXTURES, TVSL_UNTRAINED

LINES = [
    line("FNAC", (50.0, 52.0), None, paper=(43.3, 48.4)),
    line("T-VSL", 90.0, 80.0, labels="detected", paper=(48.1, 53.7)),
    line("T-VSL", 95.0, 85.0, labels="given", paper=(48.1, 53.7)),
    line("Odd | one", 10.0, 12.0),
    line("AVGN", None, None, notes=("It cannot.",), paper=(44.1, 49.6)),
    line("Centre", 99.0, 1.0, trivial=True),
]
TABLE = replace(
    table("table1", ("AP", "IoU@0.5"), LINES), left_out={"AUC": "there are no such scenes"}
)
SCORES = (
    (Training(FNAC.single.head, SINGLES, 1e-4, batch=32), 40.0),
    (Training(FNAC.single.head, SINGLES, 1e-3, batch=32), None),
    (Training(FNAC.single.head, DUETS, 1e-3, batch=8), 42.5),
)
CHOICES = (
    Choice(
        FNAC.several,
        SCORES,
        SCORES[2][0],
        decided=(
            {"readout": "text", "exponent": 2.0, "detector": "joint"},
            {"readout": "evidence"},
            {},
        ),
    ),
    Choice(TVSL_UNTRAINED.single, (), Training(TVSL_UNTRAINED.single.head)),
    Choice(TVSL.single, SCORES[1:2], None, "The loss is not finite."),
)


def conditions(real: bool = False, located: bool = True) -> Provenance:
    return Provenance(
        title="a world",
        real=real,
        model="mini",
        encoder="ab" * 32,
        config=reproduce_config("files" if real else "synthetic"),
        clips=11,
        classes=3,
        scenes={"duets": 7},
        located=located,
        beside="VGGSound-Single and VGGSound-Duet",
        warnings=("Beware.",),
    )


def made() -> Reproduction:
    expectations = (
        Expectation("It is so.", True, "3 of 3"),
        Expectation("It is more.", False, "1 of 3"),
    )
    claims = (
        Claim("T-VSL is first.", "Table 1", "contradicted", "a 1.0, b 2.0, difference -1.0"),
        Claim("Two are better.", "Table 7", "not testable here", "table7 was not measured"),
    )
    return Reproduction(
        conditions(),
        (TABLE,),
        (),
        False,
        CHOICES,
        claims,
        JudgedExpectations("on a day", expectations),
    )


def test_a_table_stands_beside_the_paper_s() -> None:
    found = text_table(TABLE)
    assert found.headers == ("method", "labels", "AP", "paper", "IoU@0.5", "paper")
    assert found.rows[0] == ("FNAC", "no labels", "51.0 ± 1.4", "43.3", "", "48.4")
    assert found.rows[2] == ("T-VSL", "labels given", "95.0", "48.1", "85.0", "53.7")
    assert found.rows[3] == ("Odd | one", "no labels", "10.0", "", "12.0", "")
    own = table("twins", ("AP",), [line("a", 1.0)], None)
    assert text_table(own).headers == ("method", "labels", "AP")


def test_the_best_is_found_among_what_is_not_trivial() -> None:
    assert best_cells(TABLE) == {(2, 0), (2, 1)}
    drops = table("table5", ("drop",), [line("a", 3.0), line("b", 2.0), line("c", None)])
    assert best_cells(drops) == {(1, 0)}


def test_differences_from_the_row_of_reference() -> None:
    known = replace(TABLE, reference="T-VSL")
    found = difference_table(known)
    assert found is not None
    assert found.rows == (
        ("FNAC", "no labels", "+39.0", ""),
        ("Odd | one", "no labels", "+80.0", "+68.0"),
        ("AVGN", "no labels", "", ""),
    )
    content = json_content(replace(made(), tables=(known,)))["tables"][0]
    assert content["reference"] == "T-VSL"
    assert content["differences"][1] == {
        "row": "Odd | one",
        "labels": "none",
        "mean": [80.0, 68.0],
        "low": [None, None],
        "high": [None, None],
    }
    assert difference_table(TABLE) is None
    given = replace(known, lines=(*LINES, line("AVGN", 65.0, 95.0, labels="given")))
    assert (difference_table(given) or found).rows[-1][2:] == ("+30.0", "-10.0")


def test_differences_to_a_row_that_is_told_labels_alone() -> None:
    lines = [
        line("T-VSL", 60.0, labels="given"),
        line("AVGN", 58.0, labels="given"),
        line("AVGN", 41.0, labels="detected"),
        line("LVS", 50.5),
        line("Mix-and-Localize", 59.0, labels="assigned"),
    ]
    found = difference_table(replace(table("negatives", ("AP",), lines), reference="T-VSL"))
    assert found is not None
    assert [(row[0], row[-1]) for row in found.rows] == [
        ("AVGN", "+2.0"),
        ("LVS", "+9.5"),
        ("Mix-and-Localize", "+1.0"),
    ]


def test_differences_are_paired_by_scene() -> None:
    """Two rows that vary widely, and together, differ by what is left of it."""
    shared = 20 * np.random.default_rng(0).standard_normal(1000)
    ours, other = (
        MeasuredRow(row, "detected", (Value((mean,), (mean + shared,)),), {}, ("",))
        for row, mean in (("T-VSL", 50.0), ("FNAC", 47.0))
    )
    found = difference_table(replace(table("table2", ("AP",), [ours, other]), reference="T-VSL"))
    assert found is not None
    assert found.rows == (("FNAC", "labels detected", "+3.0 (3.0 to 3.0)"),)


def test_the_order_is_told_in_numbers() -> None:
    found = order_table(TABLE)
    assert found is not None
    assert [row[:4] for row in found.rows] == [("AP", "VGGSound", "labels detected", "2"),
                                               ("AP", "VGGSound", "labels given", "2")]  # fmt: skip
    assert found.rows[0][4:] == ("1.00", "1", "1", "0", "0")
    assert order_table(table("twins", ("AP",), [line("a", 1.0)], None)) is None


def test_what_is_missing_is_explained() -> None:
    assert remarks(TABLE) == ["No column 'AUC': there are no such scenes.", "AVGN: It cannot."]
    both = replace(TABLE, lines=(line("AVGN", 1.0, 2.0, notes=("Diverged.", "It cannot.")),))
    assert remarks(both)[1:] == ["AVGN: Diverged.", "AVGN: It cannot."]


def test_choices_are_told_with_all_candidates() -> None:
    first, failed = choice_table(CHOICES).rows
    assert first == (
        "FNAC",
        "several sources",
        "duets, 8 at 0.001",
        "text, joint; evidence",
        (
            "single sources, 32 at 0.0001: 40.0; single sources, 32 at 0.001: failed; "
            "duets, 8 at 0.001: 42.5"
        ),
    )
    assert failed[2] == "none: The loss is not finite."


@pytest.mark.parametrize(
    ("head", "title"),
    [
        (TVSL.single.head, "T-VSL"),
        (TVSL_MIXTURES.single.head, "T-VSL"),
        (FNAC.single.head, "FNAC"),
        (HeadSpec("tvsl", "paper"), "tvsl (paper)"),
        (HeadSpec("tvsl", None, (("stages", 1),)), "tvsl (stages 1)"),
        (HeadSpec("whole-frame"), "Whole frame"),
    ],
)
def test_heads_have_titles(head: HeadSpec, title: str) -> None:
    assert head_title(head) == title


def test_how_it_was_measured_follows_the_conditions() -> None:
    told = dict(how(conditions()))
    assert "11 clips of 3 classes as 9,600 mixtures, 300 steps of 32" in told["Training"]
    assert "7 of duets" in told["Measured on"]
    assert "0.0003, 0.001" in told["Tuning"]
    assert "Validation chooses" in told["Tuning"]
    assert "values cannot" in told["Beside the paper"]
    assert "avgn: dimension 64" in told["Sizes"]
    other = dict(how(conditions(real=True, located=False)))
    assert "by the loss" in other["Tuning"]
    assert "values cannot" not in other["Beside the paper"]
    assert "Sizes" not in other


def test_markdown_holds_everything() -> None:
    text = markdown(made())
    for part in (
        "# The paper's tables on a world",
        "**Beware.**",
        "- Holds: It is so. (3 of 3)",
        "- Does not hold: It is more. (1 of 3)",
        "## Table 1: Table1",
        "| FNAC | no labels | 51.0 ± 1.4 | 43.3 |  | 48.4 |",
        "| Odd \\| one |",
        "- AVGN: It cannot.",
        "## What validation chose",
        "**Training.** ",
    ):
        assert part in text
    assert text.endswith("\n")


def test_csv_has_a_line_for_every_cell(tmp_path: Path) -> None:
    path = tmp_path / "tables.csv"
    path.write_text(csv_text(made()))
    with path.open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert tuple(header) == CSV_HEADER
    cells = sum(value is not None for one in LINES for value in one.values)
    assert len(rows) == cells
    first = dict(zip(header, rows[0], strict=True))
    assert (first["row"], first["column"], first["seeds"]) == ("FNAC", "AP", "2")
    assert float(first["mean"]) == 51
    assert float(first["deviation"]) == pytest.approx(2**0.5)
    assert float(first["paper"]) == 43.3


def test_json_holds_every_seed() -> None:
    content = json.loads(json.dumps(json_content(made()), allow_nan=False))
    assert content["conditions"]["config"]["steps"] == 300
    (found,) = content["tables"]
    assert found["lines"][0]["seeds"] == [[50.0, 52.0], None]
    assert found["lines"][0]["paper"] == {"VGGSound": [43.3, 48.4]}
    assert found["agreements"][0]["tau"] == pytest.approx(1)
    assert found["sentences"][0].startswith("AP: first is T-VSL")
    assert content["claims"][0]["verdict"] == "contradicted"
    assert content["expectations"]["stated"] == "on a day"
    assert content["expectations"]["items"][1] == {
        "says": "It is more.",
        "holds": False,
        "numbers": "1 of 3",
    }
    chosen = content["choices"][0]
    assert chosen["chosen"] == chosen["candidates"][2]["digest"]
    assert [one["validation"] for one in chosen["candidates"]] == [40.0, None, 42.5]
