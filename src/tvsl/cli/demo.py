"""``tvsl demo``: made-up scenes localized by the embedded model, as a table and as a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tvsl.cli.options import AsJson, Force, Seed
from tvsl.cli.output import print_json, print_lines, progress

if TYPE_CHECKING:
    from tvsl.demo.run import Demo, DemoResult
    from tvsl.demo.scores import MapScore
    from tvsl.localizer import Localizer

PAGE = "index.html"
RESULTS = "results.json"
_HEADS = ("scene", "label", "score", "box IoU", "cIoU", "given", "detected")
_NUMBERS = ("score", "box IoU", "cIoU")
_NOTHING = "-"


def command(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the page and the results.")
    ] = Path("tvsl-demo"),
    model: Annotated[
        str, typer.Option(help="mini, or a checkpoint's file or folder that knows the same words.")
    ] = "mini",
    seed: Seed = 0,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Localize made-up scenes that no model was trained on, and write a page to look at.

    Prints what was found of every source, with given and with detected labels. Writes index.html,
    which needs no other file and no network, and results.json.
    """
    from tvsl.utils.atomic import check_free, staged, write_text

    # What is wrong is said before anything is loaded, the program's heavy parts among it.
    check_free(output, force, _earlier_files)

    from tvsl.demo.run import run_demo
    from tvsl.html.demo import demo_page
    from tvsl.loading import check_classes
    from tvsl.synthetic.vocabulary import CLASSES
    from tvsl.utils.files import write_json

    check_classes(model, CLASSES["all"])
    with staged(output, PAGE, force, _earlier_files) as work:
        localizer = _load(model)
        with progress("Localizing scenes") as localized:
            demo = run_demo(localizer, seed, localized)
        content = demo.to_dict()
        write_json(content, work / RESULTS)
        write_text(work / PAGE, demo_page(demo, model))
    if as_json:
        print_json(content)
    else:
        _print(demo, output)


def _load(model: str) -> Localizer:
    from tvsl.localizer import Localizer
    from tvsl.utils.devices import keep_freed_memory

    keep_freed_memory()
    with progress("Fetching weights", is_bytes=True) as fetched:
        # So few scenes are done before a GPU is ready.
        return Localizer.from_pretrained(model, device="cpu", progress=fetched)


def _earlier_files(folder: Path) -> tuple[str, ...]:
    """Files that an earlier demo wrote here, by its own results."""
    from tvsl.errors import OutputError
    from tvsl.utils.atomic import RECORD_REMEDY, foreign_record
    from tvsl.utils.files import LARGEST_LIST, read_small_json

    path = folder / RESULTS
    if not os.path.lexists(path):
        return ()
    content = read_small_json(path, LARGEST_LIST, OutputError, RECORD_REMEDY)
    if not isinstance(content, dict) or not {"encoder_sha256", "scenes"} <= content.keys():
        raise foreign_record(path)
    return PAGE, RESULTS


def _print(demo: Demo, folder: Path) -> None:
    from tvsl.cli.output import print_table
    from tvsl.demo.scores import PROTOCOL

    rows = [row for result in demo.results for row in _rows(result)]
    print_table(_HEADS, rows, _NUMBERS)
    summary = demo.summary
    print_lines("", f"Hit by protocol {PROTOCOL}.", f"Detected: {demo.detection_rule}.", "")
    print_lines(
        f"{demo.model}, seed {demo.seed}: of {summary.sources} sources {summary.given_hits} hit "
        f"with given labels, {summary.detected_hits} with detected ones ({summary.detected} "
        f"detected, {summary.false} falsely).",
        f"Open {folder / PAGE} in a browser.",
    )


def _rows(result: DemoResult) -> list[tuple[str, ...]]:
    rows = []
    for source in result.sources:
        score = source.given_score
        numbers = [f"{value:.2f}" for value in (source.given.score, score.box_iou, score.ciou)]
        marks = (_mark(score), _mark(source.detected_score))
        rows.append((result.shown.kind.title, source.label, *numbers, *marks))
    for found in result.false:
        note = "false (off screen)" if found.label == result.shown.scene.off_screen else "false"
        numbers = [f"{found.score:.2f}", _NOTHING, _NOTHING]
        rows.append((result.shown.kind.title, found.label, *numbers, _NOTHING, note))
    return rows


def _mark(score: MapScore | None) -> str:
    if score is None:
        return "not detected"
    return "hit" if score.hit else "miss"
