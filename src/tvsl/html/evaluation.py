"""The page of an evaluation: tables, what they mean, and some items to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tvsl.data.base import resampled
from tvsl.evaluation.cases import Case, Cases, CaseSource, show_cases
from tvsl.evaluation.result_cache import OUTPUTS, PAGE, RESULTS, SAMPLES
from tvsl.evaluation.results import Evaluation, write_samples
from tvsl.evaluation.run import Run
from tvsl.evaluation.tables import PAPER_HEAD, Table, detection_table, notes, result_tables
from tvsl.html.data_uris import heat_uri, outline_uri, photo_uri, picture_uri, sound_uri
from tvsl.html.page import Markup, color_rules, fill_page, joined, tag, template
from tvsl.localization import SoundSource, write_json
from tvsl.metrics import LabelSource
from tvsl.render.colors import Picture, source_color
from tvsl.render.spectrogram import LOWEST, spectrogram_picture
from tvsl.utils.atomic import staged, write_text

MEASURES = {"ap": "AP", "ciou": "cIoU", "iou": "IoU", "confidence": "confidence"}
_SHOWN_HEIGHT = 336
_SHOWN_RATE = 16_000
_SPECTROGRAM = (96, 360)
_UNNAMED = "the source"


def case_card(case: Case, name: str, sample_rate: int) -> Markup:
    """A section of the page.

    Args:
        case: The item.
        name: What switches on the page call it.
        sample_rate: Samples per second of its sound.

    Returns:
        The section.
    """
    panels = case.item.panels
    kind = f"k{panels}" if panels <= 2 else "many"
    title = tag("h3", f"{100 * case.score:.1f} ", tag("code", case.item.id))
    return tag(
        "section",
        tag("header", title),
        _stage(case, name),
        _sound(case, sample_rate),
        tag("div", _table(case, name), *_also_detected(case), class_="found"),
        class_=f"card scene {kind}",
        id=name,
    )


def _stage(case: Case, name: str) -> Markup:
    labels = ", ".join(source.label or _UNNAMED for source in case.sources)
    layers = [layer for number in range(len(case.sources)) for layer in _layers(case, name, number)]
    outlines = [
        tag("image", href=outline_uri(source.target > 0), preserveAspectRatio="none")
        for source in case.sources
    ]
    picture = photo_uri(_picture(case))
    return tag(
        "div",
        tag("img", class_="picture", src=picture, alt=f"What sounds: {labels}"),
        *layers,
        tag("svg", *outlines, class_="truth", aria_hidden="true"),
        class_="stage",
    )


def _layers(case: Case, name: str, number: int) -> list[Markup]:
    """The different maps of a source, each under the sources of labels that it is for."""
    source = case.sources[number]
    kinds: list[tuple[list[str], SoundSource]] = []
    for labels, grid in source.maps.items():
        same = next((kind for kind in kinds if np.array_equal(kind[1].grid, grid)), None)
        if same is not None:
            same[0].append(labels)
        else:
            height, width = source.target.shape
            found = SoundSource(source.label or "", 0.0, grid, (height, width))
            kinds.append(([labels], found))
    return [
        tag(
            "img",
            class_=f"layer {' '.join(shown)}",
            data_row=f"{name}-{number}",
            src=heat_uri(found, source_color(number)),
            alt="",
        )
        for shown, found in kinds
    ]


def _picture(case: Case) -> Picture:
    """The panels side by side, as high as is shown, each as wide as the first."""
    height, width = case.sample.pictures[0].shape[:2]
    shown_width = max(round(_SHOWN_HEIGHT * width / height), 1)
    panels = [
        Image.fromarray(picture).resize((shown_width, _SHOWN_HEIGHT), Image.Resampling.LANCZOS)
        for picture in case.sample.pictures
    ]
    return np.concatenate([np.array(panel) for panel in panels], axis=1)


def _sound(case: Case, sample_rate: int) -> Markup:
    rate = min(sample_rate, _SHOWN_RATE)
    wave = resampled(case.sample.waveform, sample_rate, rate)
    picture = spectrogram_picture(wave, rate, _SPECTROGRAM)
    loudest = max(float(np.abs(wave).max()), 1.0)  # the sum of several sounds may be too loud
    samples = np.rint(wave / loudest * 32767).astype(np.int16)
    pitch = f"{LOWEST:.0f} Hz to {rate / 2000:.0f} kHz"
    image = tag("img", src=picture_uri(picture), alt="Its spectrogram")
    player = tag(
        "audio",
        controls=True,
        preload="metadata",
        src=sound_uri(samples, rate),
        aria_label="The sound",
    )
    caption = f"The sound. {len(wave) / rate:.2f} s from left to right, {pitch}."
    return tag(
        "figure",
        tag("div", image, tag("span", class_="head")),
        player,
        tag("figcaption", caption),
        class_="sound",
    )


def _table(case: Case, name: str) -> Markup:
    kinds = list(case.sources[0].measures)
    measures = list(case.sources[0].measures[kinds[0]])
    alone = kinds == ["none"]
    heads = ["Source", *(_head(measure, kind, alone) for kind in kinds for measure in measures)]
    rows = [
        _row(source, f"{name}-{number}", number, heads[1:])
        for number, source in enumerate(case.sources)
    ]
    head = tag("tr", *(tag("th", text, scope="col") for text in heads))
    return tag("table", tag("thead", head), tag("tbody", *rows))


def _head(measure: str, labels: LabelSource, alone: bool) -> str:
    return MEASURES[measure] if alone else f"{MEASURES[measure]}, {labels}"


def _row(source: CaseSource, switches: str, number: int, heads: Sequence[str]) -> Markup:
    missed = "detected" in source.measures and "detected" not in source.maps
    box = tag(
        "input",
        type="checkbox",
        checked=True,
        data_switches=switches,
        data_detected="no" if missed else "yes",
    )
    note = joined(" ", tag("small", "not detected")) if missed else Markup()
    swatch = tag("span", class_=f"swatch c{number}")
    label = tag("label", box, swatch, tag("span", source.label or _UNNAMED, note))
    values = [value for some in source.measures.values() for value in some.values()]
    cells = [
        tag("td", "-" if np.isnan(value) else f"{100 * value:.1f}", data_name=head, class_="number")
        for head, value in zip(heads, values, strict=True)
    ]
    return tag("tr", tag("th", label, scope="row"), *cells, class_="missed" if missed else None)


def _also_detected(case: Case) -> list[Markup]:
    true = {source.label for source in case.sources}
    others = [label for label in case.detected if label not in true]
    if not others:
        return []
    verb = "Taken for it" if true == {None} else "Falsely detected"
    return [tag("p", f"{verb}: {', '.join(others)}.", class_="quiet")]


def evaluation_page(evaluation: Evaluation, cases: Cases) -> str:
    """Write the page.

    Args:
        evaluation: The numbers.
        cases: The items to be shown.

    Returns:
        The HTML, the same for the same evaluation.
    """
    listing, entries = evaluation.measurer.listing, evaluation.measurer.entries
    rate = entries.encoder.sample_rate
    detection = detection_table(evaluation)
    tables = [*result_tables(evaluation), *([] if detection is None else [detection])]
    most = max((len(case.sources) for case in cases.all), default=1)
    style = "\n".join((template("page.css"), template("evaluation.css"), color_rules(most)))
    labels = evaluation.measurer.sources[cases.entry]
    values = {
        "title": joined(listing.data.title),
        "labels": labels[0],
        "lead": _lead(evaluation),
        "tables": joined(*(_evaluation_page_table(table) for table in tables)),
        "notes": joined(*(part for note in notes(evaluation) for part in _note(*note))),
        "skipped": _skipped(evaluation.skipped),
        "chosen": joined(f"Shown for {cases.entry}, chosen by nothing but the {cases.chosen_by}."),
        "switch": _switch(labels),
        "cases": joined(
            _part("Best", cases.best, rate),
            _part("Median", cases.median, rate),
            _part("Worst", cases.worst, rate),
        ),
    }
    return fill_page("evaluation.html", style, template("page.js"), values)


def _lead(evaluation: Evaluation) -> Markup:
    entries = evaluation.measurer.entries
    gone = evaluation.listed - evaluation.found
    missing = f", {gone:,} left out" if gone else ""
    return joined(
        "Encoder ",
        tag("code", entries.model),
        f"; {evaluation.found:,} of {evaluation.listed:,} items found{missing}. Percent.",
    )


def _evaluation_page_table(table: Table) -> Markup:
    heads = [
        tag("th", head, scope="col", class_=_cell_class(table, column))
        for column, head in enumerate(table.heads)
    ]
    rows = [tag("tr", *_cells(table, row)) for row in table.rows]
    body = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="results")
    return joined(tag("h3", table.title), tag("div", body, class_="scroll"))


def _cells(table: Table, row: Sequence[str]) -> list[Markup]:
    first, *rest = row
    others = [
        tag("td", text, class_=_cell_class(table, column + 1)) for column, text in enumerate(rest)
    ]
    return [tag("th", first, scope="row"), *others]


def _cell_class(table: Table, column: int) -> str | None:
    if column < table.words:
        return None
    return "number of-paper" if table.heads[column] == PAPER_HEAD else "number"


def _note(name: str, text: str) -> tuple[Markup, Markup]:
    return tag("dt", name), tag("dd", text)


def _skipped(skipped: Sequence[tuple[str, str]]) -> Markup:
    if not skipped:
        return Markup()
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", why)) for name, why in skipped]
    table = tag("table", tag("tbody", *rows))
    return tag(
        "section",
        tag("header", tag("h2", f"{len(skipped)} items were left out")),
        tag("div", table, class_="reasons"),
        class_="card",
        id="skipped",
    )


def _switch(labels: Sequence[str]) -> Markup:
    """A switch between the sources of labels, where there are several."""
    if len(labels) < 2:
        return tag("input", type="hidden", name="labels", value=labels[0])
    choices = [
        tag(
            "label",
            tag("input", type="radio", name="labels", value=value, checked=value == labels[0]),
            tag("span", value),
        )
        for value in labels
    ]
    return tag("fieldset", tag("legend", "Labels"), *choices, class_="switch")


def _part(title: str, cases: Sequence[Case], rate: int) -> Markup:
    if not cases:
        return Markup()
    cards = [
        case_card(case, f"{title.lower()}-{number}", rate) for number, case in enumerate(cases)
    ]
    return joined(tag("h2", title, class_="part"), *cards)


def write_report(run: Run, evaluation: Evaluation, cases: int, folder: Path) -> None:
    """Write results.json, samples.csv and page.html: all of them, or none.

    Args:
        run: The evaluation's run.
        evaluation: Its numbers.
        cases: How many best, median and worst items the page shows.
        folder: Where to; earlier files of these names are replaced.

    Raises:
        OutputError: The folder cannot be written.
        TvslError: An item that shall be shown cannot be read any more.
    """
    page = evaluation_page(evaluation, show_cases(run, evaluation, cases))
    with staged(folder, RESULTS, True, lambda _: OUTPUTS) as work:
        write_samples(evaluation, work / SAMPLES)
        write_text(work / PAGE, page)
        write_json(evaluation.to_dict(), work / RESULTS)
