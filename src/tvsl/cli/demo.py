"""``tvsl demo``: real and made-up scenes localized by embedded models, as tables and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tvsl.cli.options import AsJson, Force, Open, Seed
from tvsl.cli.output import (
    load_localizer,
    open_page,
    print_json,
    print_lines,
    print_table,
    progress,
)

if TYPE_CHECKING:
    from tvsl.demo.run import Demo, DemoPart, DemoResult, MapScore

PAGE = "index.html"
RESULTS = "results.json"
_HEADERS = ("scene", "label", "score", "box IoU", "cIoU", "given", "detected")
_NUMBERS = ("score", "box IoU", "cIoU")
_NOTHING = "-"


def command(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the page and the results.")
    ] = Path("tvsl-demo"),
    model: Annotated[
        str, typer.Option(help="Model of the real mixtures: a name, or a file or folder.")
    ] = "everyday",
    laboratory: Annotated[
        str, typer.Option(help="Model of the made-up scenes, which knows their words.")
    ] = "mini",
    seed: Seed = 0,
    force: Force = False,
    as_json: AsJson = False,
    opens: Open = False,
) -> None:
    """Localize real and made-up scenes, and write a page of them.

    No model was trained on them. Prints what was found of every source, with given and with
    detected labels. Writes index.html, which needs no other file and no network, and results.json.
    The seed is that of the made-up scenes; the real ones are always the same.
    """
    from tvsl.utils.atomic import check_free, staged, write_text

    # Wrong usage ends here, before torch is imported.
    check_free(output, force, _earlier_files, (PAGE, RESULTS))

    from tvsl.demo.run import run_demo
    from tvsl.demo.scenes import real_names
    from tvsl.html.demo import demo_page
    from tvsl.loading import check_classes
    from tvsl.synthetic.vocabulary import CLASSES
    from tvsl.utils.files import write_json

    check_classes(model, real_names())
    check_classes(laboratory, CLASSES["all"])
    with staged(output, PAGE, force, _earlier_files, (PAGE, RESULTS)) as work:
        # So few scenes are done before a GPU is ready.
        localizer = load_localizer(model, device="cpu")
        small = load_localizer(laboratory, device="cpu")
        with progress("Localizing scenes") as localized:
            demo = run_demo(localizer, small, seed, localized)
        content = demo.to_dict()
        write_json(content, work / RESULTS)
        write_text(work / PAGE, demo_page(demo, model, laboratory))
    if as_json:
        print_json(content)
    else:
        _print(demo, output)
    if opens:
        open_page(output / PAGE)


def _earlier_files(folder: Path) -> tuple[str, ...]:
    """Files that an earlier demo wrote here, by its own results."""
    from tvsl.utils.run_folder import read_record

    record = read_record(folder / RESULTS, {"protocol", "box_protocol", "seed"})
    return () if record is None else (PAGE, RESULTS)


def _print(demo: Demo, folder: Path) -> None:
    from tvsl.demo.run import PROTOCOL

    print_lines(f"Real photographs and sounds ({demo.real.model}):")
    _print_part(demo.real)
    print_lines(f"The laboratory, made-up scenes of seed {demo.seed} ({demo.laboratory.model}):")
    _print_part(demo.laboratory)
    print_lines(f"Hit by protocol {PROTOCOL}.", f"Open {folder / PAGE} in a browser.")


def _print_part(part: DemoPart) -> None:
    print_table(_HEADERS, [row for result in part.results for row in _rows(result)], _NUMBERS)
    print_lines(
        "Of {sources} sources {given_hits} hit with given labels, {detected_hits} with detected "
        "ones ({detected} detected, {false} falsely).".format(**part.summary),
        f"Detected: {part.detection_rule}.",
        "",
    )


def _rows(result: DemoResult) -> list[tuple[str, ...]]:
    rows = []
    for source in result.sources:
        score = source.given_score
        numbers = [f"{value:.2f}" for value in (source.given.score, score.box_iou, score.ciou)]
        marks = (_mark(score), _mark(source.detected_score))
        rows.append((result.case.kind.title, source.label, *numbers, *marks))
    for found in result.false:
        note = "false (off screen)" if found.label == result.case.scene.off_screen else "false"
        numbers = [f"{found.score:.2f}", _NOTHING, _NOTHING]
        rows.append((result.case.kind.title, found.label, *numbers, _NOTHING, note))
    return rows


def _mark(score: MapScore | None) -> str:
    if score is None:
        return "not detected"
    return "hit" if score.hit else "miss"
