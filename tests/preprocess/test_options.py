from __future__ import annotations

from typing import Any

import pytest

from tvsl.errors import UsageError
from tvsl.media import DEFAULT_LIMITS, DEFAULT_RATE, limits
from tvsl.preprocess import options as preparing_options
from tvsl.preprocess.layouts import VIDEO_LAYOUTS
from tvsl.preprocess.options import HIGHEST_RATE, LOWEST_RATE, Options, make_options


def test_layouts_have_options_of_their_own() -> None:
    chosen = {name: make_options(name) for name in VIDEO_LAYOUTS}
    assert chosen["vggsound"].at == chosen["acav"].at == chosen["folder"].at == "middle"
    assert chosen["music"].at is None
    assert [options.window for options in chosen.values()] == ["whole", "whole", "whole", 10.0]
    assert all(options.rate == 44_100 for options in chosen.values())


def test_rates_are_those_that_media_allow() -> None:
    allowed = (DEFAULT_LIMITS.min_sample_rate, DEFAULT_LIMITS.max_sample_rate)
    assert allowed == (LOWEST_RATE, HIGHEST_RATE)
    assert make_options().rate == DEFAULT_RATE
    assert preparing_options.LATEST_MOMENT == limits.LATEST_MOMENT


def test_options_come_back_from_json() -> None:
    chosen = make_options("vggsound", at=2, window=5, rate=16_000, short_side=256)
    assert chosen.to_dict() == {
        "layout": "vggsound",
        "at": 2.0,
        "window": 5.0,
        "rate": 16_000,
        "short_side": 256,
    }
    assert Options(**chosen.to_dict()) == chosen


@pytest.mark.parametrize(
    "given",
    [
        {"layout": "imagenet"},
        {"at": -1.0},
        {"at": float("nan")},
        {"at": 1e18},
        {"window": 1e18},
        {"at": float("inf")},
        {"at": "end"},
        {"window": 0.0},
        {"window": -5.0},
        {"rate": 0, "window": 1.0},
        {"rate": 10},
        {"rate": 10**7},
        {"short_side": 0},
        {"layout": "music", "at": 1.0},
        {"layout": "music", "at": "middle"},
        {"layout": "music", "window": 5.0},
    ],
)
def test_options_that_cannot_be_meant(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make_options(**given)
