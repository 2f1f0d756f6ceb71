"""``tvsl evaluate`` on files of which some are missing or broken, and on wrong roots."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.running import Ran, run, written
from tests.data.made_files import folders
from tests.data.real_benchmarks import VGGSOUND
from tvsl.evaluation.result_cache import OUTPUTS

pytestmark = pytest.mark.usefixtures("one_thread")

IDS = [name for name, _ in VGGSOUND.values()]


@pytest.fixture
def root(real_benchmark: Callable[[str], Path], tmp_path: Path) -> Path:
    """Six clips of VGGSound, to be damaged."""
    return Path(shutil.copytree(real_benchmark("vggsound-multi"), tmp_path / "vggsound"))


def evaluate(model: Path, root: Path, out: Path, *options: str | Path) -> Ran:
    fixed = ("--device", "cpu", "--threads", "1", "--cases", "1", "--data", "vggsound-single")
    return run("evaluate", "--model", model, *fixed, "--root", root, "-o", out, *options)


def results(folder: Path) -> set[str]:
    return {name for name in written(folder) if not name.startswith(".parts")}


def remove_half(root: Path) -> list[Path]:
    gone = [root / "frames" / f"{IDS[n]}.jpg" for n in (1, 3)] + [root / "audio" / f"{IDS[4]}.ogg"]
    for path in gone:
        path.unlink()
    return gone


def test_half_of_the_files_are_missing(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    out, gone = tmp_path / "out", remove_half(root)
    stopped = evaluate(checkpoint, root, out)
    assert stopped.code == 1
    assert stopped.out == ""
    (line,) = (line for line in stopped.err.splitlines() if line.startswith("tvsl: "))
    assert line.startswith(f"tvsl: {gone[0]}: ")
    assert "3 of 12" in line
    assert "--on-error skip" in line
    assert results(out) == set()
    skipped = evaluate(checkpoint, root, out, "--on-error", "skip")
    assert skipped.code == 1
    assert "3 of 6 found, with 3 sources;" in skipped.out
    told = [line for line in skipped.out.splitlines() if line.startswith("Left out: ")]
    for line, number, path in zip(told, (1, 3, 4), gone, strict=True):
        assert line.startswith(f"Left out: {IDS[number]}: {path.with_suffix('')}.")
    assert results(out) == set(OUTPUTS)
    content = json.loads((out / "results.json").read_text())
    assert [one["id"] for one in content["skipped"]] == [IDS[n] for n in (1, 3, 4)]
    assert {(row["found"], row["listed"]) for row in content["results"]} == {(3, 6)}
    assert "3 items were left out" in (out / "page.html").read_text()


def test_files_that_are_there_again_are_measured(
    checkpoint: Path, root: Path, real_benchmark: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = evaluate(checkpoint, root, tmp_path / "whole", "--batch", "1")
    assert whole.code == 0, whole.err
    out, gone = tmp_path / "out", remove_half(root)
    assert evaluate(checkpoint, root, out, "--on-error", "skip", "--batch", "1").code == 1
    for path in gone:
        shutil.copyfile(real_benchmark("vggsound-multi") / path.relative_to(root), path)
    again = evaluate(checkpoint, root, out, "--batch", "1")
    assert again.code == 0, again.err
    for name in OUTPUTS:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])


def test_pictures_and_sounds_are_broken(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    cut(root / "frames" / f"{IDS[0]}.jpg", 0.5)
    (root / "frames" / f"{IDS[1]}.jpg").write_text("no picture")
    cut(root / "audio" / f"{IDS[2]}.ogg", 0.5)
    (root / "audio" / f"{IDS[3]}.ogg").write_bytes(b"")
    out = tmp_path / "out"
    stopped = evaluate(checkpoint, root, out)
    assert stopped.code == 1
    assert f"{IDS[0]}.jpg: The picture is broken" in stopped.err
    assert results(out) == set()
    skipped = evaluate(checkpoint, root, out, "--on-error", "skip", "--json")
    assert skipped.code == 1
    content = json.loads(skipped.out)
    reasons = {one["id"]: one["reason"] for one in content["skipped"]}
    assert list(reasons) == IDS[:4]
    for name, reason in zip(
        IDS,
        ("jpg: The picture is broken", "no known format. Convert", "cut off", "empty (0 bytes)"),
        strict=False,
    ):
        assert f"{name}." in reasons[name]
        assert reason in reasons[name]
        assert reasons[name].count(str(root)) == 1
    assert (content["found"], content["listed"]) == (2, 6)


def test_what_is_left_out_stays_in_the_count(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    remove_half(root)
    gone = tmp_path / "gone.txt"
    checked = run("data", "check", "vggsound-single", root, "-o", gone)
    assert checked.code == 1
    out, option = tmp_path / "out", ("--option", f"leave_out={gone}")
    ran = evaluate(checkpoint, root, out, *option)
    assert ran.code == 0, ran.err
    sha256 = hashlib.sha256(gone.read_bytes()).hexdigest()
    told = f"3 of 6 listed items by {gone} (SHA-256 {sha256})"
    page = (out / "page.html").read_text()
    for part in ("3 of 6 items", "3 of 6 found", f"Left out: {told}"):
        assert part in ran.out
    for part in ("3 of 6 items found, 3 left out", "Protocol paper, 3 of 6 items", told):
        assert part in page
    content = json.loads((out / "results.json").read_text())
    assert (content["found"], content["listed"]) == (3, 6)
    expected = {"file": str(gone), "sha256": sha256, "items": 3, "unknown_ids": 0}
    assert content["left_out"] == expected
    assert {(row["found"], row["listed"]) for row in content["results"]} == {(3, 6)}
    assert not any(row["paper"] and row["paper"]["same_data"] for row in content["results"])
    again = run("data", "check", "vggsound-single", root, *option)
    assert again.code == 0
    assert again.out.splitlines()[2].split()[-2:] == ["left", "out"]
    assert again.out.splitlines()[3].split() == ["all", "6", "3", "0", "0", "0", "3"]
    assert f"Left out: {told}" in again.out


def test_long_lists_of_what_is_left_out_are_cut_short(
    checkpoint: Path, tmp_path: Path, real_benchmark: Callable[[str], Path]
) -> None:
    root = tmp_path / "many"
    folders(root)
    (source,) = {one.parent.parent for one in real_benchmark("vggsound-multi").glob("frames/*")}
    shutil.copyfile(source / "frames" / f"{IDS[0]}.jpg", root / "frames" / "here.jpg")
    shutil.copyfile(source / "audio" / f"{IDS[0]}.ogg", root / "audio" / "here.ogg")
    lines = [
        {"id": name, "frame": f"frames/{name}.jpg", "audio": f"audio/{name}.ogg", "labels": ["dog"]}
        for name in ("here", *(f"gone-{number:03d}" for number in range(60)))
    ]
    lines = [{**line, "boxes": {"dog": [[0, 0, 1, 0.5]]}} for line in lines]
    (root / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    fixed = ("--device", "cpu", "--threads", "1", "--labels", "given", "--on-error", "skip")
    out = tmp_path / "out"
    ran = run(
        "evaluate", "--model", checkpoint, "--data", "folder", "--root", root, "-o", out, *fixed
    )
    assert ran.code == 1
    told = [line for line in ran.out.splitlines() if line.startswith("Left out: ")]
    assert len(told) == 10
    assert f"and 50 more; see {out / 'results.json'}" in ran.out
    assert len(json.loads((out / "results.json").read_text())["skipped"]) == 60
    assert (out / "page.html").read_text().count(">gone-") == 60


@pytest.mark.parametrize(
    ("place", "problem"),
    [("nowhere", "There is no such folder. Check the root"), ("frames", "fetch-lists")],
)
def test_a_wrong_root(
    place: str, problem: str, checkpoint: Path, root: Path, tmp_path: Path
) -> None:
    ran = evaluate(checkpoint, root / place, tmp_path / "out")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert problem in ran.err
    assert str(root / place) in ran.err
    assert not (tmp_path / "out").exists()


def test_a_root_of_another_kind(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    other = folders(tmp_path / "other", "video_frames", "audio")
    ran = evaluate(checkpoint, other, tmp_path / "out", "--lists", root / "metadata")
    assert ran.code == 1
    assert "in no layout that is known. Lay its files out so: frames/ID.jpg" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_root_without_any_of_the_files_and_then_the_right_one(
    checkpoint: Path, root: Path, tmp_path: Path
) -> None:
    out, lists = tmp_path / "out", ("--lists", root / "metadata")
    other = folders(tmp_path / "other")
    stopped = evaluate(checkpoint, other, out, *lists)
    assert stopped.code == 1
    assert str(other / "frames" / f"{IDS[0]}.jpg") in stopped.err
    skipped = evaluate(checkpoint, other, out, *lists, "--on-error", "skip")
    assert skipped.code == 1
    assert "None of the 6 items could be read. Check the root" in skipped.err
    assert results(out) == set()
    found = evaluate(checkpoint, root, out, *lists)
    assert found.code == 0, found.err
    assert results(out) == set(OUTPUTS)
