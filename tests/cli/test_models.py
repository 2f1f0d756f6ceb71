from __future__ import annotations

from tests.cli.running import run
from tvsl.loading import ENCODERS
from tvsl.models import EMBEDDED


def test_every_encoder_of_the_package_is_told_apart() -> None:
    ran = run("models")
    assert ran.code == 0
    for name in (*EMBEDDED, "audioclip"):
        assert name in ENCODERS
        assert f"\n{name}\n" in f"\n{ran.out}"
    assert ran.out.count("licence") == ran.out.count("measured") == 3
