from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.made_data import MadeData, made_models
from tests.html.html_page import Page, check_policy, check_self_contained
from tvsl.data.base import Item
from tvsl.evaluation.evaluator import Evaluator
from tvsl.evaluation.predict import evaluation_config
from tvsl.evaluation.results import Evaluation, detection_table, notes, result_tables
from tvsl.html.evaluation import Cases, _side_by_side, evaluation_page, show_cases

HOSTILE = "<script>alert('x')</script> & \"dogs\" {$style}"


class HostileData(MadeData):
    """Names and classes that would break a page that does not escape them."""

    classes: tuple[str, ...] = (HOSTILE, "<b>", "dog", "drum", "horn")

    def _item(self, number: int) -> Item:
        item = super()._item(number)
        return Item(f"{item.id}-{HOSTILE}", (), (), item.sources, item.panels)

    def read(self, item: Item, sample_rate: int) -> object:  # type: ignore[override]
        return super().read(Item(item.id[:8], (), (), item.sources, item.panels), sample_rate)


def shown(folder: Path, data: MadeData, name: str, **fields: object) -> tuple[Evaluation, Cases]:
    run = Evaluator(
        made_models(name, "audioclip"),
        data,
        evaluation_config(batch=4, **fields),
        folder,
        skip=True,
    )
    run.run()
    evaluation = run.summarize()
    return evaluation, show_cases(run, evaluation, 2)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Cases]:
    folder = tmp_path_factory.mktemp("page") / "out"
    data = HostileData(count=10, sources=2, broken=(3,), silent=(2,), wide=(4,))
    return shown(folder, data, "text-only", protocols=["paper", "negatives"])


@pytest.fixture(scope="module")
def text(evaluated: tuple[Evaluation, Cases]) -> str:
    return evaluation_page(*evaluated)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_holds_all_that_it_shows(page: Page, text: str) -> None:
    check_self_contained(page, text)
    check_policy(page)


def test_names_are_text_whatever_they_hold(page: Page) -> None:
    assert len(page.texts["script"]) == 1
    assert not page.all("b")
    assert any(HOSTILE in text for text in page.texts["code"])


def test_all_tables_and_notes_are_there(
    page: Page, text: str, evaluated: tuple[Evaluation, Cases]
) -> None:
    evaluation, _ = evaluated
    detection = detection_table(evaluation)
    assert detection is not None
    cells = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", text[: text.index('id="notes"')])
    wanted = []
    for table in (*result_tables(evaluation), detection):
        wanted += [*table.headers, *(cell for row in table.rows for cell in row)]
    assert cells == wanted
    told = list(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert told == notes(evaluation)
    assert "9 of 10 found, with 18 sources, of which 2 are nowhere" in dict(told)["Items"]


def test_what_was_left_out_is_listed_with_its_reason(page: Page) -> None:
    assert page.all("section", id="skipped")
    assert any("The picture is broken. Mend it." in text for text in page.texts["td"])


def test_every_case_has_its_maps_truth_and_sound(
    page: Page, evaluated: tuple[Evaluation, Cases]
) -> None:
    _, cases = evaluated
    assert len(cases.all) == 6
    names = [f"{part}-{number}" for part in ("best", "median", "worst") for number in range(2)]
    cards = [found["id"] for found in page.all("section") if "scene" in found["class"].split()]
    assert cards == names
    assert len(page.all("audio")) == len(page.all("svg", **{"class": "truth"})) == 6
    assert len(page.all("image")) == 12
    layers = [found for found in page.all("img") if "data-source" in found]
    for name, case in zip(names, cases.all, strict=True):
        for number, source in enumerate(case.sources):
            row = f"{name}-{number}"
            kinds = [found["class"].split() for found in layers if found["data-source"] == row]
            assert {kind for found in kinds for kind in found[1:]} == set(source.maps)
            (switch,) = page.all("input", **{"data-switches": row})
            assert switch["data-detected"] == ("yes" if "detected" in source.maps else "no")
    assert len(page.all("input", name="labels", type="radio")) == 2


def test_measures_stand_in_the_table_of_a_case(
    text: str, evaluated: tuple[Evaluation, Cases]
) -> None:
    _, cases = evaluated
    wanted = [
        f"{100 * value:.1f}"
        for case in cases.all
        for source in case.sources
        for measures in source.measures.values()
        for value in measures.values()
    ]
    head = r'<td data-name="(?:AP|cIoU), (?:given|detected)" class="number">([^<]*)</td>'
    assert re.findall(head, text) == wanted


def test_without_classes_there_is_nothing_to_switch_between(tmp_path: Path) -> None:
    data = MadeData(count=3, sources=1, labelled=False)
    evaluation, cases = shown(tmp_path / "out", data, "text-only")
    page = Page(evaluation_page(evaluation, cases))
    (mode,) = page.all("input", name="labels")
    assert (mode["type"], mode["value"]) == ("hidden", "detected")
    assert page.all("body", **{"data-labels": "detected"})
    assert any(text.startswith("Taken for it: ") for text in page.texts["p"])
    assert not page.all("section", id="skipped")


def test_maps_that_were_assigned_can_be_looked_at_too(tmp_path: Path) -> None:
    evaluation, cases = shown(tmp_path / "out", MadeData(count=3, sources=2), "mix-and-localize")
    text = evaluation_page(evaluation, cases)
    page = Page(text)
    switch = page.all("input", name="labels", type="radio")
    assert [one["value"] for one in switch] == ["given", "assigned"]
    for source in (source for case in cases.all for source in case.sources):
        assert set(source.maps) == {"given", "assigned"}
    layers = [found["class"].split()[1:] for found in page.all("img") if "data-source" in found]
    assert {kind for kinds in layers for kind in kinds} == {"given", "assigned"}
    assert "body[data-labels=assigned] .layer:not(.assigned) { display: none; }" in text
    assert 'data-name="AP, assigned"' in text
    assert any("(PIAP)" in told for told in page.texts["dd"])


def test_a_method_without_classes_has_nothing_to_switch_between(tmp_path: Path) -> None:
    evaluation, cases = shown(tmp_path / "out", MadeData(count=3), "audioclip-finetuned")
    page = Page(evaluation_page(evaluation, cases))
    (mode,) = page.all("input", name="labels")
    assert (mode["type"], mode["value"]) == ("hidden", "none")
    layers = [found["class"].split()[1:] for found in page.all("img") if "data-source" in found]
    assert layers
    assert all(kinds == ["none"] for kinds in layers)


def test_the_same_evaluation_gives_the_same_page(
    text: str, evaluated: tuple[Evaluation, Cases]
) -> None:
    assert evaluation_page(*evaluated) == text


@pytest.mark.parametrize("size", [(1, 65_535), (65_535, 1), (40, 60), (300, 9_000)])
def test_pictures_of_any_shape_are_shown_at_a_bounded_size(size: tuple[int, int]) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    shown = _side_by_side([picture, picture])
    assert shown.shape[0] <= 336
    assert shown.shape[1] <= 2 * 2048
    if size == (40, 60):
        assert shown.shape == (336, 2 * 504, 3)
