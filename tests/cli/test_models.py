from __future__ import annotations

from tests.cli.running import run
from tvsl.loading import ENCODERS
from tvsl.models import EMBEDDED, embedded_path


def test_every_encoder_of_the_package_is_told_apart() -> None:
    ran = run("models")
    assert ran.code == 0
    for name in (*EMBEDDED, "audioclip"):
        assert name in ENCODERS
        assert f"\n{name}\n" in f"\n{ran.out}"
    assert ran.out.count("licence") == ran.out.count("measured") == len(EMBEDDED) + 1


def test_figures_of_the_everyday_model_are_its_card_s() -> None:
    from tvsl.cli.models import MODELS

    card = (embedded_path("everyday") / "README.md").read_text(encoding="utf-8")
    row = next(line for line in card.splitlines() if "under half the frame: model" in line)
    share = row.split("|")[3].split()[0]
    assert f"{share} % at cIoU 0.5" in MODELS["everyday"].measured
    duet = next(
        line for line in card.splitlines() if line.startswith("| 2 | tvsl (own head) | given")
    )
    assert f"{duet.split('|')[5].split()[0]} % at cIoU 0.3" in MODELS["everyday"].measured
