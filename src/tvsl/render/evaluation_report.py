"""The files of an evaluation: numbers, single pairs and the page."""

from __future__ import annotations

from pathlib import Path

from tvsl.evaluation.cases import show_cases
from tvsl.evaluation.parts import PAGE, RESULTS, SAMPLES, earlier_outputs
from tvsl.evaluation.results import Evaluation
from tvsl.evaluation.run import Run
from tvsl.evaluation.sample_lines import write_samples
from tvsl.localization import write_json
from tvsl.render.evaluation_page import evaluation_page
from tvsl.staging import staged, write_text


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
    with staged(folder, RESULTS, True, earlier_outputs) as work:
        write_samples(evaluation, work / SAMPLES)
        write_text(work / PAGE, page)
        write_json(evaluation.to_dict(), work / RESULTS)
