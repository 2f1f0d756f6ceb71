from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.demo_models import Models
from tests.html.browser import running_browser
from tests.html.html_page import Page, check_policy, check_self_contained
from tests.html.page_in_browser import check_contrast, check_unscripted, check_width
from tvsl.demo.run import PROTOCOL, Demo, DemoResult
from tvsl.html.demo import demo_page
from tvsl.synthetic.vocabulary import CLASSES

HOSTILE = "<script>alert('x')</script> & \"dogs\" {$style}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def demo(models: Models) -> Demo:
    return models.run()


def laboratory(text: str) -> str:
    """The part of the page that shows made-up scenes."""
    return text[text.index('id="laboratory"') :]


def only(demo: Demo, *results: DemoResult) -> Demo:
    """The same demo, with these results in the laboratory."""
    return replace(demo, laboratory=replace(demo.laboratory, results=results))


@pytest.fixture(scope="module")
def text(demo: Demo) -> str:
    return demo_page(demo, "everyday", "mini")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_holds_all_that_it_shows(page: Page, text: str) -> None:
    check_self_contained(page, text)
    check_policy(page)


def test_in_a_browser_it_is_used_with_and_without_its_script(text: str, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(text, encoding="utf-8")
    with running_browser() as browser:
        with browser.tab(path, script=False) as tab:
            check_unscripted(tab)
            assert tab.value("[...document.images].every((one) => one.naturalWidth > 0)")
        with browser.tab(path, width=390) as tab:
            check_width(tab)
            check_contrast(tab)
            assert tab.value("document.getElementById('controls').checkVisibility()")
            name = tab.value("document.querySelector('[data-switches]').dataset.switches")
            layer = f"document.querySelector('.layer[data-source=\"{name}\"]').checkVisibility()"
            assert tab.value(layer)
            tab.reach("[data-switches]")
            tab.press("Space")
            assert not tab.value(layer)


def scene_ids(page: Page) -> list[str]:
    sections = page.all("section")
    return [found["id"] for found in sections if found["class"].startswith("card scene")]


def test_real_scenes_come_first_and_are_told_apart(page: Page, demo: Demo) -> None:
    ids = [found["id"] for found in page.all("section")]
    real = [result.case.kind.name for result in demo.real.results]
    assert ids[: len(real) + 2] == ["real", *real, "laboratory"]
    assert "".join(page.texts["h2"]).index("Real") < "".join(page.texts["h2"]).index("made-up")


def test_authors_and_licences_of_all_that_is_real_are_named(page: Page, demo: Demo) -> None:
    lines = [" ".join(line.split()) for line in page.texts["li"]]
    named = [one for result in demo.real.results for one in result.case.credits]
    assert len(named) == len(lines) > 30
    for credit, line in zip(named, lines, strict=True):
        for part in (credit.attribution, credit.licence, credit.licence_page, credit.changes):
            assert " ".join(part.split()) in line


def test_all_scenes_are_there_with_their_sounds_and_maps(page: Page, demo: Demo) -> None:
    names = [result.case.kind.name for result in demo.results]
    assert len(set(names)) == len(names) == 15
    assert scene_ids(page) == names
    # One that is all that is heard stands there once.
    sounds = 2 * len(demo.parts)  # one of each part is off screen, and one beside it
    for result in demo.results:
        sounds += 1 + (len(result.sources) if len(result.sources) > 1 else 0)
    assert len(page.all("audio")) == sounds
    assert all("controls" in sound and sound["aria-label"] for sound in page.all("audio"))
    assert len(page.all("table")) == len(demo.results)
    pictures = page.all("img", **{"class": "picture"})
    assert len(pictures) == len(demo.results)
    assert all("alt" in found for found in page.all("img"))


def test_every_box_switches_a_map(page: Page, demo: Demo) -> None:
    layers = [found for found in page.all("img") if "data-source" in found]
    switches = [found for found in page.all("input") if "data-switches" in found]
    rows = sum(len(result.sources) + len(result.false) for result in demo.results)
    assert len({found["data-switches"] for found in switches}) == len(switches) == rows
    assert {found["data-source"] for found in layers} == {f["data-switches"] for f in switches}
    for labels in ("given", "detected"):
        wanted = sum(len(getattr(result, labels).sources) for result in demo.results)
        assert sum(labels in found["class"].split() for found in layers) == wanted


def test_what_was_not_detected_has_no_map_with_detected_labels(page: Page, demo: Demo) -> None:
    missed = {
        f"{result.case.kind.name}-{number}"
        for result in demo.results
        for number, source in enumerate(result.sources)
        if source.detected is None
    }
    assert missed
    assert missed == {f["data-switches"] for f in page.all("input", **{"data-detected": "no"})}
    for found in page.all("img"):
        if found.get("data-source") in missed:
            assert found["class"] == "layer given"


def test_maps_that_differ_are_both_there(demo: Demo) -> None:
    result = demo.laboratory.results[0]
    first, *rest = result.sources
    other = replace(first.given, grid=first.given.grid[::-1].copy())
    changed_source = replace(first, detected=other, detected_score=first.given_score)
    changed = only(demo, replace(result, sources=(changed_source, *rest)))
    row = f"{result.case.kind.name}-0"
    classes = [
        f["class"]
        for f in Page(demo_page(changed, "everyday", "mini")).all("img", **{"data-source": row})
    ]
    assert classes == ["layer given", "layer detected"]


def test_boxes_of_sources_and_twins(text: str, demo: Demo) -> None:
    for result in demo.results:
        start = text.index(f'id="{result.case.kind.name}"')
        part = text[start : text.index("</section>", start)]
        for kind, boxes in (("truth", result.case.boxes), ("twin", result.case.twins)):
            (drawing,) = re.findall(rf'<svg class="{kind}".*?</svg>', part, re.DOTALL)
            found = re.findall(r'x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', drawing)
            wanted = [
                (str(box[0]), str(box[1]), str(box[2] - box[0]), str(box[3] - box[1]))
                for box in boxes
                if box is not None
            ]
            assert found == [box for box in wanted for _ in range(2)]


def test_numbers_stand_in_the_table(page: Page, demo: Demo, text: str) -> None:
    cells = re.findall(r'<td data-name="(Score|Box IoU|cIoU)" class="number">([^<]*)</td>', text)
    wanted = []
    for result in demo.results:
        for source in result.sources:
            score = source.given_score
            numbers = (source.given.score, score.box_iou, score.ciou)
            wanted += [f"{number:.2f}" for number in numbers]
        for found in result.false:
            wanted += [f"{found.score:.2f}", "-", "-"]
    assert [value for _, value in cells] == wanted
    counts = ("given_hits", "detected_hits", "detected", "false")
    wanted = [str(part.summary[name]) for part in demo.parts for name in counts]
    assert page.texts["dd"][:8] == wanted


def test_the_caption_says_what_a_hit_is(page: Page, demo: Demo) -> None:
    assert PROTOCOL in " ".join("".join(page.texts["dd"]).split())
    captions = page.texts["caption"]
    hits = [0.5 if len(result.sources) == 1 else 0.3 for result in demo.results]
    assert captions == [f"A hit is a cIoU of {value} or more here." for value in hits]


def hostile(result: DemoResult) -> DemoResult:
    """The same result, but with a class name that tries to be HTML."""
    scene = result.case.scene
    panels = tuple(
        replace(panel, objects=tuple(replace(thing, label=HOSTILE) for thing in panel.objects))  # type: ignore[type-var]
        for panel in scene.panels
    )
    kind = replace(result.case.kind, title=HOSTILE, description=HOSTILE)
    changed = replace(scene, panels=panels, off_screen=HOSTILE)
    authors = tuple(replace(one, attribution=HOSTILE) for one in result.case.credits)
    case = replace(result.case, scene=changed, kind=kind, credits=authors)
    sources = tuple(replace(source, label=HOSTILE) for source in result.sources)
    false = tuple(replace(source, label=HOSTILE + "!") for source in result.detected.sources)
    detected = replace(result.detected, sources=false)
    return replace(result, case=case, sources=sources, detected=detected)


def test_names_are_escaped(demo: Demo, page: Page) -> None:
    evil = replace(
        demo,
        **{
            part.name: replace(
                part,
                model=HOSTILE,
                encoder_sha256=HOSTILE,
                results=tuple(hostile(result) for result in part.results),
            )
            for part in demo.parts
        },
    )
    text = demo_page(evil, f"/models/{HOSTILE}", HOSTILE)
    found = Page(text)
    assert len(found.all("script")) == 1
    assert found.texts["script"] == page.texts["script"]
    assert HOSTILE not in text
    assert HOSTILE in found.texts["h3"]
    assert HOSTILE in found.texts["code"]
    assert any(HOSTILE in sound["aria-label"] for sound in found.all("audio"))


def test_the_same_demo_gives_the_same_bytes(text: str, models: Models) -> None:
    assert demo_page(models.run(), "everyday", "mini") == text


def test_another_seed_gives_another_page(text: str, models: Models) -> None:
    other = demo_page(models.run(4), "everyday", "mini")
    assert other != text
    assert "seed 4" in other
    assert "--seed 4" in other


def test_commands_can_be_copied(page: Page, demo: Demo) -> None:
    for result, command in zip(demo.laboratory.results, page.texts["pre"], strict=True):
        export, localize = (shlex.split(line) for line in command.split("\n", 1))
        scene = result.case.scene
        assert export[:3] == ["tvsl", "synthetic", "export"]
        assert export[export.index("--scenes") + 1] == str(scene.index + 1)
        assert ("unseen" in export) == (set(scene.labels) <= set(CLASSES["unseen"]))
        assert localize[2] == f"{export[3]}/frames/{result.case.id}.png"
        assert localize[localize.index("--labels") + 1] == ",".join(scene.labels)
        assert localize[localize.index("--panels") + 1] == str(len(scene.panels))


def test_a_scene_without_false_classes_has_no_such_row(demo: Demo) -> None:
    result = demo.laboratory.results[0]
    right = replace(result, detected=replace(result.detected, sources=()))
    assert 'class="false"' not in laboratory(demo_page(only(demo, right), "everyday", "mini"))


@pytest.mark.parametrize(
    ("label", "note"),
    [("off screen", "not in the picture"), ("silent", "but silent"), ("none", "neither seen")],
)
def test_a_false_class_is_told_apart(label: str, note: str, demo: Demo) -> None:
    (result,) = [r for r in demo.laboratory.results if r.case.scene.off_screen]
    scene = result.case.scene
    silent = [thing.label for thing in scene.panels[0].objects if not thing.sounds]
    visible = {*silent, *scene.labels, str(scene.off_screen)}
    names = {
        "off screen": str(scene.off_screen),
        "silent": next(iter(silent)),
        "none": next(name for name in CLASSES["seen"] if name not in visible),
    }
    wrong = replace(result.sources[0].given, label=names[label])
    changed = replace(result, detected=replace(result.detected, sources=(wrong,)))
    text = laboratory(demo_page(only(demo, changed), "everyday", "mini"))
    (row,) = re.findall(r'<tr class="false">.*?</tr>', text, re.DOTALL)
    assert note in row
    assert names[label] in row


def test_a_map_on_the_wrong_twin_is_said(demo: Demo) -> None:
    (result,) = [r for r in demo.laboratory.results if any(r.case.twins)]
    for right, says in ((True, "than on its silent twin"), (False, "on the silent twin than")):
        score = replace(result.sources[0].given_score, right_twin=right)
        source = replace(result.sources[0], given_score=score)
        changed = replace(result, sources=(source,))
        text = laboratory(demo_page(only(demo, changed), "everyday", "mini"))
        assert says in text


def test_a_map_without_contrast_has_no_box(demo: Demo) -> None:
    result = demo.laboratory.results[0]
    flat = replace(result.sources[0].given, grid=np.ones((14, 14), dtype=np.float32))
    source = replace(result.sources[0], given=flat, detected=None, detected_score=None)
    changed = replace(result, sources=(source,), detected=replace(result.detected, sources=()))
    text = laboratory(demo_page(only(demo, changed), "everyday", "mini"))
    (drawing,) = re.findall(r'<svg class="box off".*?</svg>', text, re.DOTALL)
    assert "<rect" not in drawing
