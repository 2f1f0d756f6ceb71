from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MOST_FILES = {"evaluate": 30, "reproduce": 60}
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "walk.py"


def walked(command: str) -> set[str]:
    """Files that a row of a command's table touches, no more than may be."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), command], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1].split()[0]) <= MOST_FILES[command]
    return {line for line in done.stdout.splitlines() if line.endswith(".py")}


def test_a_row_of_an_evaluation_touches_few_files() -> None:
    files = walked("evaluate")
    walk = {"evaluator", "batch", "predict", "score", "results"}
    assert {f"evaluation/{name}.py" for name in walk} <= files
    # Nothing is kept, and the scenes lie in no files.
    assert not {"evaluation/result_cache.py", "utils/atomic.py", "data/files.py"} & files


def test_a_row_of_a_reproduced_table_touches_few_files() -> None:
    walk = {"run", "experiment", "benchmark", "train", "results", "report"}
    assert {f"reproduce/{name}.py" for name in walk} <= walked("reproduce")
