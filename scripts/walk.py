"""Files of ``src`` that the walk of one row touches: those in which a function runs.

``python scripts/walk.py evaluate`` scores T-VSL's head of the mini on eight scenes of the made-up
world; ``python scripts/walk.py reproduce`` trains, chooses and measures T-VSL's row of table 2,
with few steps. Encoder and data set are loaded before; imports do not count. What the encoder and
the made-up world do for themselves is told apart, since other models and data have other files:
their own, and those that nothing but they call.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from inspect import CO_OPTIMIZED
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType

import tvsl

SOURCE = Path(tvsl.__file__).resolve().parent
APART = ("audioclip/", "everyday/", "synthetic/", "scenes.py")
_FOLDERS = tuple(f"{SOURCE}/{name}" for name in APART)
SMALL = {"clips": 24, "validation_scenes": 4, "test_scenes": 4, "steps": 2, "batches": (4,)}


def evaluate_row(_: Path) -> Callable[[], None]:
    """Scores of one head on eight scenes of two sources."""
    model = tvsl.load("mini")
    data = tvsl.data.make_data(tvsl.data.DATA_SETS["synthetic"], {"sources": 2, "count": 8})
    return lambda: print(tvsl.evaluate(model, data).table)


def reproduce_row(folder: Path) -> Callable[[], None]:
    """One row of table 2 with one seed and one learning rate, in a new folder."""
    from tvsl.reproduce.experiment import Experiment, ExperimentConfig
    from tvsl.reproduce.report import markdown
    from tvsl.reproduce.run import reproduce, select
    from tvsl.reproduce.specs import reproduce_config
    from tvsl.reproduce.tables import TVSL
    from tvsl.utils.processes import no_stages

    config = reproduce_config("synthetic", "quick", **SMALL, learning_rates=(1e-3,), seeds=1)
    selection = select(["table2"])
    selection = replace(selection, tables=(replace(selection.tables[0], rows=(TVSL,)),))
    experiment = Experiment(ExperimentConfig(config, "mini", "synthetic", {}, folder, "cpu"))
    experiment.encoder, experiment.benchmark.clips  # noqa: B018  (loaded)
    return lambda: print(markdown(reproduce(selection, experiment, no_stages)))


def touched(walk: Callable[[], None]) -> dict[str, bool]:
    """Files in which a function runs, in the order of the first one.

    Args:
        walk: The work.

    Returns:
        By path below ``src/tvsl``, whether the encoder and the world alone run it.
    """
    found: dict[str, bool] = {}
    seen: set[CodeType] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or code in seen:
            return
        ours = code.co_filename.startswith(f"{SOURCE}/") and code.co_flags & CO_OPTIMIZED
        if not ours:
            seen.add(code)
        elif not _is_importing(frame):
            apart = _is_apart(frame)
            if not apart:  # else it may be called by others later
                seen.add(code)
            file = Path(code.co_filename).relative_to(SOURCE).as_posix()
            found[file] = found.get(file, True) and apart

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        walk()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def _is_apart(frame: FrameType | None) -> bool:
    """Tell whether the encoder or the made-up world is at work."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_FOLDERS):
            return True
        frame = frame.f_back
    return False


def _is_importing(frame: FrameType | None) -> bool:
    """Tell whether a module is being executed, or looked up by a package's lazy names."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(f"{SOURCE}/") and (
            code.co_name == "<module>" or code.co_filename.endswith("utils/lazy.py")
        ):
            return True
        frame = frame.f_back
    return False


WALKS = {"evaluate": evaluate_row, "reproduce": reproduce_row}


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        files = touched(WALKS[sys.argv[1]](Path(place) / "run"))
    apart = [file for file, alone in files.items() if alone]
    print(*(file for file in files if file not in apart), "", *apart, "", sep="\n")
    print(f"{len(files) - len(apart)} files, and {len(apart)} of encoder and world")
