from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared_files import shared
from tvsl.errors import MediaError
from tvsl.preprocess.finding import read_list
from tvsl.preprocess.layouts import every_second, listed_pictures, split_name

LISTS = ("music_solo_train.txt", "music_duet_train.txt", "music_solo_test.csv")
RATES = (30, 29.97, 25, 24, 23.976, 20, 15, 12, 10, 8, 60, 50, 13, 21, 28, 29, 6)


def test_four_pictures_of_every_second() -> None:
    found = every_second("1Ju4S0qeDqw", 2.5, 30)
    numbers = [0, 7, 14, 21, 30, 37, 44, 51, 60, 67, 74]
    assert list(found) == [f"1Ju4S0qeDqw_{n // 30:03d}_{n:05d}" for n in numbers]
    assert list(found.values()) == pytest.approx([n / 30 for n in numbers])


def test_a_slow_video_gives_what_it_has() -> None:
    assert list(every_second("v", 2, 3)) == [f"v_{n // 3:03d}_{n:05d}" for n in range(6)]
    assert list(every_second("v", 2.5, 0.4)) == ["v_000_00000"]


def test_names_have_room_for_a_thousand_seconds() -> None:
    names = list(every_second("v", 5000, 30))
    assert len(names) == 4000
    assert names[-1] == "v_999_29991"
    assert list(every_second("v", 5000, 1000))[-1] == "v_099_99750"


@given(st.floats(0.01, 300), st.sampled_from(RATES))
def test_every_picture_is_inside_and_can_be_listed(duration: float, rate: float) -> None:
    found = every_second("v", duration, rate)
    times = list(found.values())
    assert times[0] == 0
    assert all(0 <= time < duration for time in times)
    assert times == sorted(set(times))
    listed = listed_pictures(reversed(found), rate)
    assert listed == found
    assert list(listed) == list(found)


@pytest.mark.parametrize("name", LISTS)
def test_the_lists_of_the_field_hold_to_the_rule(name: str) -> None:
    """For all but two videos there is a rate at which every listed picture is one of ours."""
    videos: dict[str, dict[str, int]] = defaultdict(dict)
    for one in read_list(shared("metadata", name)):
        parts = split_name(one.text)
        assert parts is not None
        assert len(parts[0]) == 11
        videos[parts[0]][one.text] = parts[1]
    others = 0
    for video, seconds in videos.items():
        length = max(seconds.values()) + 1
        made = (every_second(video, length, rate) for rate in (30, 25, 24, *range(1, 60)))
        others += not any(seconds.keys() <= names.keys() for names in made)
    assert others <= 2


def test_a_list_for_another_version_of_the_video_is_refused() -> None:
    assert listed_pictures(["v_001_00037"], 29.97) == {"v_001_00037": pytest.approx(37 / 29.97)}
    with pytest.raises(MediaError, match=r"v_002_00037.*25\.00 pictures"):
        listed_pictures(["v_000_00000", "v_001_00037", "v_002_00037"], 25)
    with pytest.raises(MediaError, match="version of the video"):
        listed_pictures(["v_001_00037"], 60)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("1Ju4S0qeDqw_001_00037", ("1Ju4S0qeDqw", 1, 37)),
        ("a_b_001_00037", ("a_b", 1, 37)),
        ("1Ju4S0qeDqw", None),
        ("1Ju4S0qeDqw_1_37", None),
    ],
)
def test_names_of_pictures(name: str, parts: tuple[str, int, int] | None) -> None:
    assert split_name(name) == parts
