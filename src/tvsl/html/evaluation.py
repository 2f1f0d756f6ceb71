"""The page of an evaluation: tables, what they mean, and some items to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tvsl.boxes import reduced_size
from tvsl.evaluation.cases import Case, Cases, CaseSource, show_cases
from tvsl.evaluation.evaluator import Evaluator
from tvsl.evaluation.result_cache import PAGE, RESULTS, earlier_outputs
from tvsl.evaluation.results import Evaluation
from tvsl.evaluation.stored_results import write_results
from tvsl.evaluation.tables import detection_table, notes, result_tables
from tvsl.html.page import (
    distinct_maps,
    heat_uri,
    jpeg_uri,
    outline_uri,
    sound_values,
    table_values,
)
from tvsl.html.rendering import Values, render_page
from tvsl.localization import SoundSource
from tvsl.media.waveform import resampled
from tvsl.render.colors import RGBImage, source_color
from tvsl.render.overlay import LONGEST_SIDE
from tvsl.utils.atomic import staged, write_text

MEASURES = {"ap": "AP", "ciou": "cIoU", "iou": "IoU", "confidence": "confidence"}
_SHOWN_HEIGHT = 336
_SHOWN_RATE = 16_000
_UNNAMED = "the source"


def write_report(run: Evaluator, evaluation: Evaluation, cases: int, folder: Path) -> None:
    """Write figures, scores and the page: all files, or none.

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
    with staged(folder, RESULTS, True, earlier_outputs) as work:
        write_text(work / PAGE, page)
        write_results(evaluation, work)


def evaluation_page(evaluation: Evaluation, cases: Cases) -> str:
    """Write the page.

    Args:
        evaluation: The numbers.
        cases: The items to be shown.

    Returns:
        The HTML, the same for the same evaluation. It asks no network for anything.
    """
    scorer = evaluation.scorer
    detection = detection_table(evaluation)
    tables = [*result_tables(evaluation), *([] if detection is None else [detection])]
    rate = cases.sample_rate
    shown = {"Best": cases.best, "Median": cases.median, "Worst": cases.worst}
    values: Values = {
        "title": scorer.data.dataset.title,
        "model": scorer.describe()["model"],
        "found": evaluation.found,
        "listed": evaluation.listed,
        "tables": [table_values(table) for table in tables],
        "notes": notes(evaluation),
        "skipped": evaluation.skipped,
        "method": cases.model,
        "chosen_by": cases.chosen_by,
        "labels": scorer.sources[cases.model],
        "groups": [
            (title, [_case(case, f"{title.lower()}-{n}", rate) for n, case in enumerate(group)])
            for title, group in shown.items()
            if group
        ],
    }
    return render_page(
        "evaluation.html",
        values,
        styles=["page.css", "evaluation.css"],
        colors=max((len(case.sources) for case in cases.all), default=1),
        script="page.js",
    )


def _case(case: Case, name: str, sample_rate: int) -> Values:
    true = {source.label for source in case.sources}
    return {
        "name": name,
        "id": case.item.id,
        "score": f"{100 * case.score:.1f}",
        "panels": case.item.panels,
        "picture": jpeg_uri(_side_by_side(case.sample.pictures)),
        "labels": [source.label or _UNNAMED for source in case.sources],
        "outlines": [outline_uri(source.target > 0) for source in case.sources],
        "sound": _sound(case.sample.waveform, sample_rate),
        "columns": _columns(case.sources[0]),
        "sources": [_source(source, number) for number, source in enumerate(case.sources)],
        "no_classes": true == {None},
        "others": [label for label in case.detected if label not in true],
    }


def _side_by_side(pictures: Sequence[RGBImage]) -> RGBImage:
    """Panels as high as is shown, each as wide as the first.

    Very wide ones are less high: none has more than 2048 pixels along a side.
    """
    height, width = pictures[0].shape[:2]
    wanted = (_SHOWN_HEIGHT, max(round(_SHOWN_HEIGHT * width / height), 1))
    high, wide = reduced_size(wanted, LONGEST_SIDE)
    panels = (
        Image.fromarray(picture).resize((wide, high), Image.Resampling.LANCZOS)
        for picture in pictures
    )
    return np.concatenate([np.array(panel) for panel in panels], axis=1)


def _sound(waveform: NDArray[np.float32], sample_rate: int) -> Values:
    rate = min(sample_rate, _SHOWN_RATE)
    wave = resampled(waveform, sample_rate, rate)
    loudest = max(float(np.abs(wave).max()), 1.0)  # the sum of several sounds may be too loud
    samples = np.rint(wave / loudest * 32767).astype(np.int16)
    return sound_values(wave, samples, rate, "The sound")


def _columns(source: CaseSource) -> list[str]:
    """Titles of the columns of a case's table, which are the same for all of its sources."""
    if source.measures.keys() == {"none"}:
        return [MEASURES[measure] for measure in source.measures["none"]]
    return [
        f"{MEASURES[measure]}, {labels}"
        for labels, measures in source.measures.items()
        for measure in measures
    ]


def _source(source: CaseSource, number: int) -> Values:
    height, width = source.target.shape
    maps: dict[str, SoundSource] = {
        labels: SoundSource(source.label or "", 0.0, grid, (height, width))
        for labels, grid in source.maps.items()
    }
    values = [value for measures in source.measures.values() for value in measures.values()]
    texts = ["-" if np.isnan(value) else f"{100 * value:.1f}" for value in values]
    return {
        "label": source.label or _UNNAMED,
        "missed": "detected" in source.measures and "detected" not in source.maps,
        "layers": [
            {"labels": labels, "image": heat_uri(found, source_color(number))}
            for labels, found in distinct_maps(maps)
        ],
        "numbers": list(zip(_columns(source), texts, strict=True)),
    }
