from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.html.html_page import Page, check_policy, check_self_contained
from tests.reproduce.made_tables import line, table
from tests.reproduce.test_report_written import conditions, made
from tvsl.html.reproduction import reproduction_page
from tvsl.render.colors import source_color
from tvsl.reproduce.figures import SHEETS, Sheet, SheetCase
from tvsl.reproduce.judging import JudgedExpectations
from tvsl.reproduce.results import MeasuredTable
from tvsl.reproduce.run import Reproduction
from tvsl.reproduce.specs import DUET, Column

HOSTILE = "<script>alert('x')</script> & \"dogs\" {$style}"


def case() -> SheetCase:
    rng = np.random.default_rng(0)
    truth = np.zeros((2, 24, 48), dtype=np.bool_)
    truth[0, 4:14, 3:15] = truth[1, 6:16, 30:44] = True
    maps = rng.random((2, 24, 48)).astype(np.float32)
    picture = np.full((24, 48, 3), 90, dtype=np.uint8)
    return SheetCase(picture, ("red star", HOSTILE), truth, (maps, maps[:1], None))


def success(made_table: MeasuredTable) -> MeasuredTable:
    """The same with its first column as the success rate that bars are drawn of."""
    first = replace(made_table.columns[0], figure="success")
    return replace(made_table, columns=(first, *made_table.columns[1:]))


BARS = [
    success(
        table(
            name,
            ("IoU@0.5",),
            [
                line("FNAC", (40.0, 60.0)),
                line("T-VSL", 75.0, labels="detected"),
                line("T-VSL", 99.0, labels="given"),
                line("AVGN", None, notes=("It cannot.",)),
                line("Centre", 0.0, trivial=True),
            ],
        )
    )
    for name in ("table1", "table2")
]


@pytest.fixture(scope="module")
def found() -> Reproduction:
    odd = table("twins", ("AP",), [line(HOSTILE, 1.0), line("b", 2.0)], None)
    sheet = Sheet(SHEETS["figure3"], ("Alignment", "AVGN", "T-VSL"), (case(), case()))
    return replace(made(), tables=(*BARS, odd), sheets=(sheet,), bars=True)


@pytest.fixture(scope="module")
def text(found: Reproduction) -> str:
    return reproduction_page(found)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_holds_all_that_it_shows(page: Page, text: str) -> None:
    check_self_contained(page, text)
    check_policy(page)
    assert HOSTILE not in text
    assert "&lt;script&gt;alert" in text


def test_the_page_is_the_same_for_the_same_numbers(found: Reproduction, text: str) -> None:
    assert reproduction_page(found) == text


def test_every_part_can_be_reached(page: Page, found: Reproduction) -> None:
    links = [one["href"] for one in page.all("a")]
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert links == ["#table1", "#table2", "#twins", "#figure3"]
    assert {link[1:] for link in links} | {
        "claims",
        "expectations",
        "choices",
        "how",
        "figure1",
    } <= ids


def test_bars_are_as_long_as_their_values(page: Page) -> None:
    bars = [one for name, one in page.elements if name == "rect" and "bar-" in one["class"]]
    assert [one["class"] for one in bars[:3]] == ["bar-other", "bar-ours", "bar-trivial"]
    widths = [float(one["width"]) for one in bars[:3]]
    assert widths[0] / widths[1] == pytest.approx(50 / 75, abs=1e-3)
    assert widths[2] == 0
    assert len(bars) == 2 * 3  # what has no value has no bar
    whiskers = page.all("line", **{"class": "whisker"})
    assert len(whiskers) == 2
    spread = float(whiskers[0]["x2"]) - float(whiskers[0]["x1"])
    assert spread / widths[1] == pytest.approx(2 * 200**0.5 / 75, abs=1e-3)


def test_the_best_value_stands_out(page: Page) -> None:
    assert page.texts["b"] == ["99.0", "99.0", "2.0"]


def decoded(address: str) -> np.ndarray:
    content = base64.b64decode(address.split(",", 1)[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_sheet_has_a_picture_for_every_method_that_answers(page: Page) -> None:
    pictures = page.all("img")
    assert len(pictures) == 2 * 3  # truth and two methods
    assert "cannot answer" in page.texts["td"]
    truth, two, one = (decoded(found["src"]) for found in pictures[:3])
    assert truth.shape == two.shape == one.shape == (24, 48, 3)
    assert tuple(truth[4, 3]) == source_color(0)
    assert tuple(truth[6, 30]) == source_color(1)
    assert tuple(truth[9, 9]) == (90, 90, 90)  # inside of the line
    assert not (two[..., 0] == two[..., 1]).all()
    assert (one[..., 0] == one[..., 2]).all()  # one map for all is white


def test_expectations_and_warnings_are_told(text: str) -> None:
    assert re.search(r'class="good">✓</span> It is so\. <small>3 of 3', text)
    assert re.search(r'class="bad">✗</span> It is more\.', text)
    assert "Stated on a day." in text
    assert '<p class="warning">Beware.</p>' in text


def test_claims_stand_first(text: str) -> None:
    assert text.index('id="claims"') < text.index('id="expectations"') < text.index('id="table1"')
    assert "contradicted" in text
    assert "table7 was not measured" in text


def test_a_page_of_one_table_has_nothing_empty() -> None:
    plain = Reproduction(
        replace(conditions(), warnings=()),
        (table("twins", ("AP",), [line("a", 1.0), line("b", 2.0)], None),),
        (),
        False,
        (),
        (),
        JudgedExpectations(),
    )
    page = Page(reproduction_page(plain))
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert not ids & {"claims", "expectations", "choices", "figure1"}
    assert not page.all("p", **{"class": "warning"})


def test_columns_of_a_figure_need_not_be_there() -> None:
    column = Column("AP", DUET, "AP", "several")
    bare = replace(BARS[0], columns=(column,))
    page = Page(reproduction_page(replace(made(), tables=(bare,), bars=True)))
    assert not page.all("svg")
