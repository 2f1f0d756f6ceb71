from __future__ import annotations

import errno
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.data.inputs import NoiseClips, PlainEncoder, make, members, summary
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.data.synthetic import SyntheticClips
from tvsl.data.token_store import TokenStore, make_store, read_shard, shard_path, store_key
from tvsl.errors import OutputError, StoreError, UsageError
from tvsl.training.pretraining import new_mini_model
from tvsl.utils import model_folder
from tvsl.utils.model_folder import write_tensors

FIELDS = ("visual", "audio", "image", "sound")
SHARDS = [f"shard-{number:05d}.safetensors" for number in range(4)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def process(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that makes the same store."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.data.inputs", str(folder), str(seconds)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )


# What it gives


@pytest.mark.parametrize(("stored_as", "tolerance"), [("float32", 1e-5), ("bfloat16", 2.0**-8)])
def test_batches_are_what_the_encoder_gives(
    stored_as: str, tolerance: float, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    encoder = AudioCLIPEncoder(new_mini_model(), flip_average="turn")
    clips = SyntheticClips(count=14, seed=3)
    key = store_key(encoder, clips, stored_as=stored_as, most_sources=3, shard_clips=7)
    store = make_store(tmp_path / "s", key, encoder, clips)
    for sources in (1, 2, 3):
        rows = [3, 0, 2]
        mixed = members(store, sources)[rows]
        read = clips.read(mixed.flatten().tolist(), encoder.sample_rate)
        frames = torch.stack([encoder.prepare(picture) for picture in read.pictures])
        waveforms = torch.from_numpy(read.waveforms).unflatten(0, (3, sources)).sum(dim=1)
        expected = encoder.encode(frames.unflatten(0, (3, sources)), waveforms)
        tokens, labels = store.batch(sources, rows)
        assert (tokens.grid, tokens.panels) == (expected.grid, sources)
        for name in FIELDS:
            found, wanted = getattr(tokens, name), getattr(expected, name)
            assert found.dtype == torch.float32
            largest = wanted.abs().max().item()
            torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance * largest)
        heard = [sorted(set(row)) for row in read.labels.reshape(3, sources).tolist()]
        assert [row.nonzero()[:, 0].tolist() for row in labels] == heard
        assert all(len(row) == sources for row in heard)
    assert store.names == clips.names


def test_mixtures_lie_within_shards_and_differ_between_them(tmp_path: Path) -> None:
    store = make(tmp_path / "s", rounds=2)
    assert store.mixtures() == {1: 40, 2: 40, 3: 24}
    assert sorted(members(store, 1)[:, 0].tolist()) == list(range(40))
    shards = [read_shard(shard_path(store.folder, n), store.key.digest()) for n in range(4)]
    local = [shard.mixtures[2].members.tolist() for shard in shards]
    assert local[0] != local[1]
    for number in range(4):
        held = set(shards[number].clips.tolist())
        rows = slice(10 * number, 10 * number + 10)
        assert set(members(store, 2)[rows].flatten().tolist()) <= held


def test_batches_do_not_depend_on_the_order_of_reading(tmp_path: Path) -> None:
    store = make(tmp_path / "s")
    rows = torch.tensor([17, 2, 11, 3, 19])
    together = store.batch(2, rows)
    for place, row in enumerate(rows.tolist()):
        alone = store.batch(2, [row])
        for name in FIELDS:
            one = getattr(alone.tokens, name)[0]
            assert torch.equal(getattr(together.tokens, name)[place], one)
        assert torch.equal(together.labels[place], alone.labels[0])


def test_tokens_of_a_batch_are_one_s_own(tmp_path: Path) -> None:
    store = make(tmp_path / "s")
    first = store.batch(1, [0]).tokens.visual.clone()
    store.batch(1, [0]).tokens.visual.fill_(7)
    assert torch.equal(store.batch(1, [0]).tokens.visual, first)


@pytest.mark.parametrize(("sources", "rows"), [(4, [0]), (0, [0]), (2, [20]), (2, [-1]), (2, [])])
def test_mixtures_that_do_not_exist(sources: int, rows: list[int], tmp_path: Path) -> None:
    store = make(tmp_path / "s")
    with pytest.raises(UsageError, match="20 of 2"):
        store.batch(sources, rows)


def test_progress_ends_at_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    encoder, clips = PlainEncoder(), NoiseClips(count=70)
    key = store_key(encoder, clips, most_sources=1, shard_clips=50)
    for _ in range(2):
        make_store(
            tmp_path / "s", key, encoder, clips, lambda done, total: told.append((done, total))
        )
    assert told == [(32, 70), (35, 70), (67, 70), (70, 70), (35, 70), (70, 70)]


# Interruptions


class StoppedError(Exception):
    pass


def test_an_interrupted_store_is_finished_and_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(tmp_path / "whole")
    read, calls = NoiseClips.read, []

    def failing(self: NoiseClips, numbers: Any, rate: int) -> Any:
        calls.append(numbers)
        if len(calls) == 3:
            raise StoppedError
        return read(self, numbers, rate)

    with monkeypatch.context() as patch:
        patch.setattr(NoiseClips, "read", failing)
        with pytest.raises(StoppedError):
            make(tmp_path / "part")
    first = (tmp_path / "part" / SHARDS[0]).stat().st_mtime_ns
    with pytest.raises(StoreError, match="2 of 4 files are still to be made"):
        TokenStore(tmp_path / "part", whole.key)
    again = make(tmp_path / "part")
    assert (tmp_path / "part" / SHARDS[0]).stat().st_mtime_ns == first
    assert files(tmp_path / "part") == files(tmp_path / "whole")
    assert summary(again) == summary(whole)


def test_a_killed_process_costs_nothing_but_its_work(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    killed = process(folder, 0.6)
    deadline = time.monotonic() + 60
    while not (folder / SHARDS[1]).is_file() and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (folder / SHARDS[3]).exists()
    assert summary(make(folder)) == summary(make(tmp_path / "whole"))


def test_several_processes_make_and_read_one_store(tmp_path: Path) -> None:
    running = [process(tmp_path / "s", 0.3) for _ in range(2)]
    told = [one.communicate(timeout=60)[0] for one in running]
    expected = summary(make(tmp_path / "whole"))
    assert [eval(text) for text in told] == [expected, expected]  # noqa: S307
    assert files(tmp_path / "s") == files(tmp_path / "whole")


def test_a_store_travels_to_other_processes_by_its_place(tmp_path: Path) -> None:
    store = make(tmp_path / "s")
    sent = pickle.dumps(store)
    assert len(sent) < 5000
    assert summary(pickle.loads(sent)) == summary(store)  # noqa: S301


def test_a_full_disk_is_said_and_what_is_there_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(tensors: Any, path: Path, stated: Any) -> None:
        written.append(path)
        if len(written) == 3:
            path.write_bytes(b"beginning")
            raise OSError(errno.ENOSPC, "No space left on device")
        write_tensors(tensors, path, stated)

    with monkeypatch.context() as patch:
        patch.setattr(model_folder, "write_tensors", full)
        with pytest.raises(OutputError, match="No space left") as caught:
            make(tmp_path / "s")
    assert caught.value.path == tmp_path / "s" / SHARDS[2]
    assert "Make room" in caught.value.remedy
    assert set(files(tmp_path / "s")) == {"manifest.json", *SHARDS[:2]}
    assert summary(make(tmp_path / "s")) == summary(make(tmp_path / "whole"))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        make(tmp_path / "file" / "s")


# What is refused


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 1}, "seed 0, not 1"),
        ({"rounds": 2}, "rounds 1, not 2"),
        ({"stored_as": "bfloat16"}, "stored_as float32, not bfloat16"),
        ({"most_sources": 2}, "most_sources 3, not 2"),
        ({"encoder": "0" * 64}, "encoder ffffffffffff…, not 000000000000…"),
        ({"image_tokens": "cells"}, "image_tokens values, not cells"),
        ({"flip_average": "turn"}, "flip_average none, not turn"),
        ({"precision": "bfloat16"}, "precision float32, not bfloat16"),
        ({"count": 41}, "clips.count 40, not 41"),
        ({"clips": {"data": "other"}}, "clips.data noise, not other"),
    ],
)
def test_a_store_for_something_else_is_refused(
    change: dict[str, Any], says: str, tmp_path: Path
) -> None:
    store = make(tmp_path / "s")
    before = files(store.folder)
    with pytest.raises(StoreError) as caught:
        make(store.folder, **change)
    assert says in str(caught.value)
    assert caught.value.path == store.folder
    assert "another folder" in caught.value.remedy
    assert files(store.folder) == before


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        stated = file.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, stated)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-7]), "truncated or damaged"),
        (lambda path: path.write_bytes(b""), "truncated or damaged"),
        (lambda path: path.write_bytes(b"\x80\x04\x95" * 99), "truncated or damaged"),
        (flip, "have changed"),
        (lambda path: rewrite(path, lambda t: t.pop("visual")), "have changed"),
        (lambda path: save_file({"x": torch.ones(1)}, path), "something else"),
    ],
)
def test_damaged_files_are_named(
    damage: Callable[[Path], object], says: str, tmp_path: Path
) -> None:
    store = make(tmp_path / "s")
    path = store.folder / SHARDS[2]
    expected = summary(store)
    damage(path)
    with pytest.raises(StoreError, match=says) as caught:
        make(store.folder)
    assert caught.value.path == path
    with pytest.raises(StoreError, match=says):
        TokenStore(store.folder, store.key, thorough=True)
    path.unlink()  # the remedy
    assert summary(make(store.folder)) == expected


@pytest.mark.parametrize("number", [-1, 10**6])
def test_members_that_are_not_there_are_refused_without_a_checksum(
    number: int, tmp_path: Path
) -> None:
    store = make(tmp_path / "s")
    path = store.folder / SHARDS[1]
    rewrite(path, lambda tensors: tensors["members.2"].view(-1)[:1].fill_(number))
    with pytest.raises(StoreError, match="damaged") as caught:
        TokenStore(store.folder, store.key)
    assert caught.value.path == path


def test_a_file_of_another_store_is_refused(tmp_path: Path) -> None:
    store, other = make(tmp_path / "s"), make(tmp_path / "other", seed=1)
    (store.folder / SHARDS[0]).write_bytes((other.folder / SHARDS[0]).read_bytes())
    with pytest.raises(StoreError, match="something else"):
        TokenStore(store.folder, store.key)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": 2}', "\ud800"])
def test_a_broken_manifest_is_refused(content: str, tmp_path: Path) -> None:
    store = make(tmp_path / "s")
    path = store.folder / "manifest.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(StoreError, match="damaged") as caught:
        make(store.folder)
    assert caught.value.path == path


def test_there_is_no_store(tmp_path: Path) -> None:
    key = store_key(PlainEncoder(), NoiseClips(count=3))
    with pytest.raises(StoreError, match="no token store"):
        TokenStore(tmp_path, key)


def test_too_few_clips_to_mix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="as many, and there are 2"):
        make(tmp_path / "s", count=2)


# The world as a data set


def test_the_world_s_clips_are_labelled_and_described() -> None:
    clips = SyntheticClips(count=5, off_screen=0.0)
    read = clips.read([4, 0], 16_000)
    again = clips.read([0], 32_000)
    assert read.waveforms.shape == (2, 20_480)
    assert again.waveforms.shape == (1, 40_960)
    assert np.corrcoef(again.waveforms[0, ::2], read.waveforms[1])[0, 1] > 0.99
    assert [clips.names[label] for label in read.labels] == [
        clips.world.scene(number).labels[0] for number in (4, 0)
    ]
    described = clips.description()
    assert described["data"] == "synthetic"
    assert described == SyntheticClips(count=5, off_screen=0.0).description()
    assert described != SyntheticClips(count=5, off_screen=0.0, seed=1).description()
