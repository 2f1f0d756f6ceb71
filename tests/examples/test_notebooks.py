"""The notebooks, executed in a kernel of their own, as a reader does from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
SAID = {
    "first_steps": ["man speaking: score", "sea waves: score", "'horse'", "image/png"],
    "own_data_and_method": ["8 items of", "| halfway (", "| text-only (untrained) | detected |"],
    "foreign_maps": ["| maps | none |", "median", "better"],
}


def test_there_are_three() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SAID)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[] if path.stem == "first_steps" else [pytest.mark.slow])
        for path in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
def test_it_runs_from_top_to_bottom(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
    outputs = [out for cell in notebook.cells if "outputs" in cell for out in cell.outputs]
    said = "\n".join(out.get("text", "") or str(out.get("data", "")) for out in outputs)
    for expected in SAID[path.stem]:
        assert expected in said
