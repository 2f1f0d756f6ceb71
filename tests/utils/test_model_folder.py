from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tvsl.errors import OutputError, WeightsError
from tvsl.utils.model_folder import (
    CARD_TITLES,
    OWN_FILES,
    ModelKind,
    check_tensors,
    existing_folder,
    read_json,
    read_tensors,
    storable,
    write_tensors,
    writing,
    writing_bundle,
)


def write(folder: Path, *names: str, force: bool = False) -> None:
    with writing(folder, force, "encoder") as work:
        for name in names:
            (work / name).write_text(json.dumps({"new": name}))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_files_appear_together_and_the_config_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        moved.append(target.name)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    folder = tmp_path / "deep" / "m"
    with writing(folder, False, "encoder") as work:
        for name in ("config.json", "model.safetensors", "README.md"):
            (work / name).write_text(name)
        assert not names(folder) & {"config.json", "model.safetensors", "README.md"}
    assert names(folder) == {"config.json", "model.safetensors", "README.md", "tvsl.json"}
    assert moved[-1] == "config.json"
    assert names(tmp_path / "deep") == {"m"}


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "of others"}', "[" * 100_000])
def test_what_is_no_model_of_this_kind_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(OutputError, match="not written by tvsl"):
        write(tmp_path, "config.json", force=True)
    assert names(tmp_path) == {"config.json"}
    assert (tmp_path / "config.json").read_text() == text


@pytest.mark.parametrize("config", [{"embedding": 768, "model_type": "bert"}, {"method": "lora"}])
@pytest.mark.parametrize("kind", ["encoder", "head"])
def test_models_of_others_are_not_replaced(
    tmp_path: Path, config: dict[str, object], kind: ModelKind
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_text("mine")
    with (
        pytest.raises(OutputError, match="not written by tvsl"),
        writing(tmp_path, True, kind),
    ):
        pytest.fail("the work began")
    assert names(tmp_path) == {"config.json", "model.safetensors"}


@pytest.mark.parametrize("kind", ["encoder", "head"])
def test_force_replaces_what_was_written_and_nothing_else(tmp_path: Path, kind: ModelKind) -> None:
    with writing(tmp_path, False, kind) as work:
        for name in ("config.json", "README.md", "inner/words.txt"):
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text("first")
    mine = [name for name in OWN_FILES if name not in ("config.json", "README.md")]
    for name in mine:
        (tmp_path / name).write_text("mine")
    with writing(tmp_path, True, kind) as work:
        for name in ("config.json", "tokenizer.json"):
            (work / name).write_text("mine" if name in mine else "second")
    assert {path.read_text() for path in map(tmp_path.joinpath, mine)} == {"mine"}
    assert names(tmp_path) == {*mine, "config.json", "tvsl.json"}
    assert (tmp_path / "config.json").read_text() == "second"


def test_a_file_of_the_user_s_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path, "config.json")
    (tmp_path / "NOTICE").write_text("mine")
    with pytest.raises(OutputError, match="no earlier run wrote it") as caught:
        write(tmp_path, "config.json", "NOTICE", force=True)
    assert caught.value.path == tmp_path / "NOTICE"
    assert (tmp_path / "NOTICE").read_text() == "mine"
    assert json.loads((tmp_path / "config.json").read_text()) == {"new": "config.json"}


def test_no_tokenizer_of_the_user_s_becomes_that_of_a_model_without_one(tmp_path: Path) -> None:
    write(tmp_path, "config.json")
    (tmp_path / "tokenizer.json").write_text("mine")
    with pytest.raises(OutputError, match="tokenizer of the encoder"):
        write(tmp_path, "config.json", force=True)
    assert (tmp_path / "tokenizer.json").read_text() == "mine"


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "{}",
        '{"tvsl": "1", "kind": "head", "files": []}',
        '{"tvsl": "1", "kind": "encoder", "files": ["../notes.txt"]}',
        '{"tvsl": "1", "kind": "encoder", "files": "notes.txt"}',
    ],
)
def test_a_record_that_is_none_permits_nothing(tmp_path: Path, record: str) -> None:
    write(tmp_path, "config.json")
    (tmp_path / "tvsl.json").write_text(record)
    with pytest.raises(OutputError, match="not written by tvsl"):
        write(tmp_path, "config.json", force=True)
    assert (tmp_path / "tvsl.json").read_text() == record


EARLIER: dict[ModelKind, dict[str, object]] = {
    "encoder": dict.fromkeys(("embedding", "waveform_scale", "image", "audio", "text"), 1),
    "head": dict.fromkeys(("format", "method", "encoder_sha256", "config", "notes"), 1),
}


def earlier(folder: Path, kind: ModelKind, card: str) -> None:
    """Write a model as versions did that kept no record."""
    texts = {"config.json": json.dumps(EARLIER[kind]), "model.safetensors": "old"}
    for name, text in {**texts, "README.md": card, "NOTICE": "mine"}.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("kind", ["encoder", "head"])
def test_models_of_earlier_versions_are_replaced(tmp_path: Path, kind: ModelKind) -> None:
    earlier(tmp_path, kind, CARD_TITLES[kind])
    with writing(tmp_path, True, kind) as work:
        for name in ("config.json", "README.md"):
            (work / name).write_text("new")
    assert names(tmp_path) == {"config.json", "README.md", "NOTICE", "tvsl.json"}
    assert (tmp_path / "NOTICE").read_text() == "mine"
    assert (tmp_path / "README.md").read_text() == "new"


@pytest.mark.parametrize("kind", ["encoder", "head"])
def test_only_the_same_card_takes_the_place_of_one_that_may_be_the_user_s(
    tmp_path: Path, kind: ModelKind
) -> None:
    earlier(tmp_path, kind, "# my card")

    def again(card: str) -> None:
        with writing(tmp_path, True, kind) as work:
            (work / "config.json").write_text("new")
            (work / "README.md").write_text(card)

    with pytest.raises(OutputError, match="no earlier run wrote it"):
        again("# another card")
    assert (tmp_path / "model.safetensors").read_text() == "old"
    again("# my card")
    assert names(tmp_path) == {"config.json", "README.md", "NOTICE", "tvsl.json"}


def test_a_bundle_of_an_earlier_version_is_replaced_with_its_head(tmp_path: Path) -> None:
    (tmp_path / "head").mkdir()
    earlier(tmp_path, "encoder", CARD_TITLES["encoder"])
    earlier(tmp_path / "head", "head", CARD_TITLES["head"])
    with writing_bundle(tmp_path, True) as work:
        for name in ("config.json", "head/config.json"):
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text("new")
    assert names(tmp_path) == {"config.json", "NOTICE", "head", "tvsl.json"}
    assert names(tmp_path / "head") == {"config.json", "NOTICE", "tvsl.json"}
    records = [json.loads((tmp_path / name / "tvsl.json").read_text()) for name in ("", "head")]
    assert [record["files"] for record in records] == [["config.json"]] * 2


def test_what_stands_in_the_way_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"), writing(tmp_path, False, "encoder"):
        pytest.fail("the work began")


def test_the_present_folder_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write(Path(), "config.json")
    assert names(tmp_path) == {"here"}
    assert names(tmp_path / "here") == {"config.json", "tvsl.json"}


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def fail() -> None:
        with writing(tmp_path / "m", False, "encoder") as work:
            (work / "config.json").write_text("{}")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert names(tmp_path) == set()


def test_tensors_are_stored_in_one_type(tmp_path: Path) -> None:
    whole = torch.arange(6.0).view(2, 3)
    given = {"a": whole.T, "b": whole[0], "count": torch.tensor(3), "c": whole.double() / 3}
    write_tensors(storable(given, torch.float16, tmp_path), tmp_path / "t.safetensors")
    found = load_file(tmp_path / "t.safetensors")
    assert {name: value.dtype for name, value in found.items()} == {
        "a": torch.float16,
        "b": torch.float16,
        "c": torch.float16,
        "count": torch.int64,
    }
    assert found["a"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["c"][0, 1] == torch.tensor(1 / 3).half()
    assert read_tensors(tmp_path / "t.safetensors", "Get it.")[0].keys() == given.keys()


def test_tensors_are_always_the_same_bytes_and_as_the_library_reads_them(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    given = {
        "half": torch.randn(3, 5, generator=draw).half(),
        "brain": torch.randn(7, generator=draw).bfloat16(),
        "single": torch.randn(2, 0, 3, generator=draw),
        "double": torch.randn((), generator=draw).double(),
        "é": torch.arange(4),
        "flags": torch.tensor([True, False, True]),
        "turned": torch.arange(6, dtype=torch.int16).view(2, 3).T,
        "small": torch.tensor([-3], dtype=torch.int8),
        "bytes": torch.tensor([3, 4], dtype=torch.uint8),
        "whole": torch.tensor([3, -4], dtype=torch.int32),
    }
    stated = {"b": "1", "a": '{"x": [2]}', "format": "pt"}
    write_tensors(given, tmp_path / "a", stated)
    turned = dict(reversed(list(given.items())))
    write_tensors(turned, tmp_path / "b", dict(reversed(list(stated.items()))))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with safe_open(tmp_path / "a", "pt") as file:
        assert file.metadata() == stated
    found = load_file(tmp_path / "a")
    assert found.keys() == given.keys()
    for name, value in given.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_a_model_without_tensors(tmp_path: Path) -> None:
    write_tensors({}, tmp_path / "t.safetensors")
    assert read_tensors(tmp_path / "t.safetensors", "Get it.")[0] == {}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({}, "2 tensors missing, 0 unknown, among them 'a'"),
        ({"a": torch.zeros(2)}, "1 tensors missing, 0 unknown, among them 'b'"),
        (
            {"a": torch.zeros(2), "b": torch.zeros(1), "c": torch.zeros(1)},
            "0 tensors missing, 1 unknown, among them 'c'",
        ),
        ({"a": torch.zeros(2), "b": torch.zeros(3)}, r"'b' has shape \(3,\), not \(1,\)"),
        ({"a": torch.tensor([0, torch.nan]), "b": torch.zeros(1)}, "not finite, among them a"),
        ({"a": torch.tensor([0, 1e300]).double(), "b": torch.zeros(1)}, "not finite"),
        *(
            ({"a": torch.zeros(2, dtype=dtype), "b": torch.zeros(1)}, f"'a' holds {name}, not")
            for name, dtype in (
                ("complex64", torch.complex64),
                ("int8", torch.int8),
                ("int64", torch.int64),
                ("bool", torch.bool),
                ("float8_e4m3fn", torch.float8_e4m3fn),
            )
        ),
        ({"a": torch.zeros(2, device="meta"), "b": torch.zeros(1)}, "'a' holds"),
        ({"a": torch.zeros(2).to_sparse(), "b": torch.zeros(1)}, "'a' holds"),
    ],
)
def test_other_tensors_are_named(found: dict[str, torch.Tensor], says: str) -> None:
    expected = {"a": torch.zeros(2), "b": torch.zeros(1)}
    with pytest.raises(WeightsError, match=says):
        check_tensors(expected, found, Path("x"), "Another model", "Get it.")
    check_tensors(expected, expected, Path("x"), "Another model", "Get it.")


def test_finite_values_may_have_an_infinite_sum() -> None:
    given = {"a": torch.full((2,), 3e38)}
    check_tensors(given, given, Path("x"), "Another model", "Get it.")


def test_integers_stay_integers_and_variances_positive() -> None:
    expected = {"n.running_var": torch.ones(2), "n.num_batches_tracked": torch.tensor(3)}
    path = Path("x")
    for wrong in (torch.tensor(3.0), torch.tensor(True), torch.tensor(3, dtype=torch.int8)):
        with pytest.raises(WeightsError, match="num_batches_tracked"):
            check_tensors(expected, {**expected, "n.num_batches_tracked": wrong}, path, "No", "No.")
    with pytest.raises(WeightsError, match="below 0"):
        check_tensors(expected, {**expected, "n.running_var": -torch.ones(2)}, path, "No", "No.")
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        check_tensors(
            expected, {**expected, "n.running_var": torch.ones(2, dtype=dtype)}, path, "No", "No."
        )


def test_a_config_must_be_readable_and_small(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(WeightsError, match="no such file"):
        read_json(path, "Get it.")
    path.write_text("[" + "0," * (1 << 23) + "0]")
    with pytest.raises(WeightsError, match="too large"):
        read_json(path, "Get it.")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.write_text("x"), "file, not a folder"),
        (lambda path: path.mkdir(), "lacks config.json"),
    ],
)
def test_folders_that_are_none(make, says: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "m")
    with pytest.raises(WeightsError, match=says) as caught:
        existing_folder(tmp_path / "m", "a head")
    assert caught.value.path == tmp_path / "m"
    assert "a head" in caught.value.remedy
