from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.data.made_files import clip, folders, media, real_lists, rows, vggss
from tvsl.data import find_data
from tvsl.errors import UsageError

LABELS = ("elk bugling", "dog bow-wow", "cat purring", "singing choir")


def made(root: Path) -> Path:
    entries = {clip(n): (LABELS[n % 4], [[0.0, 0.0, 0.5, 1.0]]) for n in range(13)}
    entries[clip(12)] = (LABELS[0], [[0.0, 1.0, 1.0, 1.0]])
    vggss(root / "metadata", entries)
    lines = [f"{name},{label.replace(' ', '_')}" for name, (label, _) in entries.items()]
    rows(root / "metadata" / "vggsound_single_test.csv", lines)
    return folders(root)


@pytest.mark.parametrize("sources", [3, 4])
def test_it_loads_from_its_public_layout(tmp_path: Path, sources: int) -> None:
    root = made(tmp_path)
    media(root, [clip(n) for n in range(12)])
    data = find_data("vggsound-multi", root=root, sources=sources)
    assert data.several
    assert len(data.items) == 12 // sources
    for item in data.items:
        sample = data.read(item, 8_000)
        assert len(sample.pictures) == item.panels == len(set(item.labels)) == sources
        for place, map_ in enumerate(sample.targets):
            assert map_[:, 224 * place : 224 * place + 112].all()
            assert map_.sum() == 224 * 112
    used = [name for item in data.items for name in item.id.split("+")]
    assert len(used) == len(set(used))
    assert clip(12) not in used  # its box vanishes


def test_clips_in_no_mixture_are_counted(tmp_path: Path) -> None:
    root = made(tmp_path)
    path = root / "metadata" / "vggsound_single_test.csv"
    path.write_text("\n".join(path.read_text().split()[1:]))
    data = find_data("vggsound-multi", root=folders(root), sources=4)
    assert len(data.items) == 2
    assert list(data.dropped.values()) == [1, 3]  # one box vanishes, 11 clips make two mixtures
    told = dict(data.notes)["Not used"]
    assert told == "1 test clips without boxes, 3 test clips that no mixture of 4 has."


def test_the_seed_decides_and_missing_files_do_not(tmp_path: Path) -> None:
    root = made(tmp_path)
    before = [item.id for item in find_data("vggsound-multi", root=root).items]
    media(root, [clip(n) for n in range(5)])
    assert [item.id for item in find_data("vggsound-multi", root=root).items] == before
    assert [item.id for item in find_data("vggsound-multi", root=root, seed=1).items] != before


def test_there_are_at_most_eight_sources(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sources"):
        find_data("vggsound-multi", root=tmp_path, sources=9)


@pytest.mark.parametrize("sources", [3, 4])
def test_mixtures_of_the_real_list(tmp_path: Path, sources: int) -> None:
    data = find_data("vggsound-multi", root=folders(tmp_path), lists=real_lists(), sources=sources)
    assert len(data.items) == 5156 // sources
    used = Counter(name for item in data.items for name in item.id.split("+"))
    assert set(used.values()) == {1}
    assert all(len(item.sources) == sources for item in data.items)
