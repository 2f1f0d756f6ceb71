from __future__ import annotations

from tests.cli.running import run
from tvsl.methods import METHODS


def test_every_method_is_listed_with_what_it_needs() -> None:
    ran = run("methods")
    assert ran.code == 0
    lines = {line.split()[0]: line for line in ran.out.splitlines() if line.strip()}
    assert set(METHODS) <= set(lines)
    assert lines["lvs"].split()[1:4] == ["yes", "none", "clip"]
    assert lines["text-only"].split()[1:4] == ["no", "none", "name"]
    assert "Chen et al., CVPR 2021" in lines["lvs"]
