from __future__ import annotations

import math
from pathlib import Path

import pytest

from tvsl.errors import OutputError
from tvsl.evaluation.parts import OUTPUTS, Detected, MeasuredGroup, Part, PartFiles

RECORD = {"tvsl": "0", "conditions": {}, "data": "made", "batch": 4}
OURS = '{"tvsl": "0", "protocols": []}'


def part(batch: int, failures: dict[int, str] | None = None) -> Part:
    values = [1 / 3, math.nan, 1e-17]
    group = MeasuredGroup(
        items=[batch],
        sounding=[True, False, True],
        measured={"a": {"given": {"paper": {"ap": values}}}},
        detected={"a": Detected(scores="AACAPw==", chosen=[[2, 1]])},
    )
    return Part(batch=batch, failures=failures or {}, groups=[group])


def write(files: PartFiles, *parts: Part, rank: int = 0) -> None:
    with files.writer(rank) as writer:
        for one in parts:
            writer.write(one)


def test_parts_keep_every_digit(tmp_path: Path) -> None:
    files = PartFiles(tmp_path / "out")
    files.begin(RECORD, False)
    write(files, part(1, {7: "broken"}), part(0))
    found = files.all()
    assert list(found) == [0, 1]
    assert found[1].failures == {7: "broken"}
    kept = found[0].groups[0]
    values = kept.measured["a"]["given"]["paper"]["ap"]
    assert values[0] == 1 / 3
    assert math.isnan(values[1])
    assert values[2] == 1e-17
    assert kept.detected["a"].chosen == [[2, 1]]


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_a_torn_line_does_not_count(cut: int, tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    files.begin(RECORD, False)
    write(files, part(0), part(1))
    path = tmp_path / ".parts" / "process-0.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    torn = lines[1].rstrip(b"\n")
    path.write_bytes(lines[0] + torn[:cut])
    assert list(files.all()) == [0]
    files.begin(RECORD, False)
    assert files.done() == {0}
    write(files, part(1))
    assert list(files.all()) == [0, 1]


def test_an_interrupted_evaluation_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    files.begin(RECORD, False)
    for rank in range(3):
        write(files, part(rank), part(rank + 3), rank=rank)
    files.begin(RECORD, False)
    assert files.done() == set(range(6))
    write(files, part(6))
    files.begin(RECORD, False)
    assert files.done() == set(range(7))
    assert {path.name for path in (tmp_path / ".parts").iterdir()} == {"record.json", "kept.jsonl"}


def test_batches_with_broken_items_are_done_again(tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    files.begin(RECORD, False)
    write(files, part(0), part(1, {4: "broken"}))
    files.begin(RECORD, False)
    assert files.done() == {0}


def test_another_evaluation_is_not_mixed_in(tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    files.begin(RECORD, False)
    write(files, part(0))
    with pytest.raises(OutputError, match="its batch, seed differ"):
        files.begin({**RECORD, "batch": 8, "seed": 1}, False)
    assert list(files.all()) == [0]
    for name in OUTPUTS:
        (tmp_path / name).write_text(OURS)
    files.begin({**RECORD, "batch": 8}, True)
    assert files.all() == {}
    assert {path.name for path in tmp_path.iterdir()} == {".parts", *OUTPUTS}  # until there are new


def test_a_record_under_which_nothing_was_measured_is_replaced(tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    files.begin(RECORD, False)
    with files.writer(0) as writer:
        writer.write(Part(batch=0, failures={0: "missing"}, groups=[]))
    other = {**RECORD, "data": "mended"}
    files.begin(other, False)
    assert files.all() == {}
    write(files, part(0))
    with pytest.raises(OutputError, match="its data differ"):
        files.begin(RECORD, False)
    files.begin(other, False)
    assert files.done() == {0}


def test_results_that_were_written_are_not_removed_for_another_record(tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    files.begin(RECORD, False)
    (tmp_path / OUTPUTS[0]).write_text(OURS)
    with pytest.raises(OutputError, match="differ"):
        files.begin({**RECORD, "data": "other"}, False)
    assert (tmp_path / OUTPUTS[0]).read_text() == OURS


def test_what_others_wrote_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        PartFiles(tmp_path).begin(RECORD, False)
    PartFiles(tmp_path).begin(RECORD, True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_damaged_record(tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    files.begin(RECORD, False)
    for text in ("{", "[]", "{}"):
        (tmp_path / ".parts" / "record.json").write_text(text)
        for force in (False, True):  # what is not recorded as ours is not replaced
            with pytest.raises(OutputError, match=r"record\.json"):
                files.begin(RECORD, force)
        assert (tmp_path / ".parts" / "record.json").read_text() == text


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("text", ["mine", "{}", '{"tvsl": 1}'])
def test_files_of_others_where_results_belong_are_named_first(
    text: str, name: str, force: bool, tmp_path: Path
) -> None:
    files = PartFiles(tmp_path)
    files.begin(RECORD, False)
    (tmp_path / name).write_text(text)
    with pytest.raises(OutputError) as caught:
        files.check(RECORD, force)
    assert caught.value.path == tmp_path / name
    assert (tmp_path / name).read_text() == text
    assert (tmp_path / ".parts" / "record.json").is_file()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        PartFiles(tmp_path / "file" / "out").begin(RECORD, False)
