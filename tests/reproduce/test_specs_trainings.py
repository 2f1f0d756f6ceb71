from __future__ import annotations

from dataclasses import replace

import pytest

from tvsl.reproduce.specs import (
    DUETS,
    MIXTURES,
    SINGLES,
    SINGLES_THEN_DUETS,
    HeadSpec,
    TokenMode,
    Training,
)

BASE = Training(HeadSpec("tvsl"), SINGLES, 1e-3, 0)


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, head=HeadSpec("fnac")),
        replace(BASE, head=HeadSpec("tvsl", "paper")),
        replace(BASE, head=HeadSpec("tvsl", None, (("stages", 1),))),
        replace(BASE, curriculum=DUETS),
        replace(BASE, curriculum=replace(SINGLES, half=True)),
        replace(BASE, curriculum=None),
        replace(BASE, learning_rate=1e-4),
        replace(BASE, seed=1),
        replace(BASE, mode=TokenMode("cells")),
        replace(BASE, mode=TokenMode(flip_average="turn")),
    ],
)
def test_every_field_changes_the_digest(changed: Training) -> None:
    assert changed.digest != BASE.digest
    assert len(changed.digest) == len(BASE.digest) == 16


def test_the_same_training_has_the_same_digest() -> None:
    again = Training(HeadSpec("tvsl"), replace(SINGLES), 1e-3, 0)
    assert again == BASE
    assert again.digest == BASE.digest


def test_regimes_end_at_the_end() -> None:
    for curriculum in (SINGLES, DUETS, SINGLES_THEN_DUETS, MIXTURES):
        shares = [stage.until for stage in curriculum.stages]
        assert shares == sorted(set(shares))
        assert shares[-1] == 1
    assert [one.most_sources for one in (SINGLES, DUETS, SINGLES_THEN_DUETS, MIXTURES)] == [
        1,
        2,
        2,
        4,
    ]
