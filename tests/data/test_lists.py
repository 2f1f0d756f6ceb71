from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

import pytest

from tests.data.made_files import real_lists, write
from tvsl.data import DATA_SETS, lists
from tvsl.data.files import ListedData
from tvsl.data.lists import PUBLIC_LISTS, fetch_lists, find_list
from tvsl.errors import DataError

# What no public repository has.
BY_HAND = {"vggsound_single_train.txt"}


@pytest.mark.parametrize("file", PUBLIC_LISTS)
def test_checksums_are_those_of_the_real_lists(file: str) -> None:
    content = (real_lists() / file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == PUBLIC_LISTS[file].sha256


def test_addresses_name_a_commit_and_the_file() -> None:
    for file, entry in PUBLIC_LISTS.items():
        assert re.fullmatch(
            rf"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{{40}}/metadata/{file}",
            entry.url,
        )


def test_every_list_of_every_set_is_public_or_known_not_to_be() -> None:
    needed = {
        file
        for data in DATA_SETS.values()
        if issubclass(data, ListedData)
        for file in (*data.files, *data.train_files)
    }
    assert needed - set(PUBLIC_LISTS) == BY_HAND
    assert set(PUBLIC_LISTS) <= needed


def test_lists_are_looked_for_in_order(tmp_path: Path, home: Path) -> None:
    places = [tmp_path / "given", tmp_path / "root" / "metadata", tmp_path / "root"]
    for folder in [home / "lists", *reversed(places)]:
        path = write(folder / "vggss.json", "[]")
        assert find_list(["vggss.json"], places, "vggsound-single") == path


def test_the_first_of_several_lists_is_preferred(tmp_path: Path) -> None:
    other = write(tmp_path / "b.csv", "x")
    assert find_list(["a.txt", "b.csv"], [tmp_path], "set") == other
    first = write(tmp_path / "a.txt", "x")
    assert find_list(["a.txt", "b.csv"], [tmp_path], "set") == first


def test_a_missing_list_says_how_to_get_it(tmp_path: Path, home: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_list(["vggss.json"], [tmp_path], "vggsound-duet")
    for part in ("vggss.json", "tvsl data fetch-lists vggsound-duet", str(tmp_path),
                 str(home / "lists"), PUBLIC_LISTS["vggss.json"].url):  # fmt: skip
        assert part in str(caught.value)


def test_a_missing_list_that_is_not_public_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be fetched") as caught:
        find_list(["vggsound_single_train.txt"], [tmp_path], "vggsound-single")
    assert "fetch-lists" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_lists_that_are_here_need_no_network(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"a,b\n"
    entry = dataclasses.replace(
        PUBLIC_LISTS["vggss.json"],
        url="http://127.0.0.1:9/vggss.json",
        sha256=hashlib.sha256(content).hexdigest(),
    )
    monkeypatch.setattr(lists, "PUBLIC_LISTS", {"vggss.json": entry})
    with pytest.raises(DataError, match="by hand"):
        fetch_lists(["vggss.json"])
    path = write(home / "lists" / "vggss.json", content)
    seen: list[tuple[int, int | None]] = []
    assert fetch_lists(["vggss.json"], lambda *counts: seen.append(counts)) == [path]
    assert seen == [(1, 1)]
