"""The page ``docs/foreign-maps.md``, run literally."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from tests.test_add_pages import blocks, run_shell

PAGE = "foreign-maps.md"


@pytest.mark.slow
def test_the_page_gives_the_same_numbers_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    make, lines, more = blocks(PAGE, "python")
    exec(compile(make, PAGE, "exec"), {})
    (commands,) = blocks(PAGE, "sh")
    run_shell(commands)
    used: dict[str, Any] = {}
    exec(compile(lines, PAGE, "exec"), used)
    row = json.loads((tmp_path / "scored" / "results.json").read_text())["results"][0]
    assert (row["name"], row["label_source"]) == ("maps", "none")
    assert {name: float(value) for name, value in used["figures"].items()} == pytest.approx(
        row["values"], abs=1e-9
    )
    for name, interval in used["intervals"].items():
        ends = {"low": interval.low, "high": interval.high}
        assert ends == pytest.approx(row["intervals"][name], abs=1e-9)
    exec(compile(more, PAGE, "exec"), used)
    assert (tmp_path / "figures.png").is_file()
    spread = used["spread"].compute()
    assert 0 < float(spread["std"]) < float(spread["mean"]) < 1
    body = lines.split("ProtocolMetric\n\n")[1].strip().splitlines()
    assert len(body) == 8
