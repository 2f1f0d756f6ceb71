from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MOST_FILES = 40
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "walk.py"


def test_a_row_of_an_evaluation_touches_few_files() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "evaluate"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    files = {line for line in done.stdout.splitlines() if line.endswith(".py")}
    walk = {"evaluator", "batch", "predict", "score", "scorers", "results"}
    assert {f"evaluation/{name}.py" for name in walk} <= files
    assert int(done.stdout.splitlines()[-1].split()[0]) <= MOST_FILES
    # Nothing is kept, and the scenes lie in no files.
    assert not {"utils/atomic.py", "utils/run_folder.py", "data/files.py"} & files
