from __future__ import annotations

import csv
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tvsl.audioclip.encoder import load_audioclip
from tvsl.audioclip.model import AudioCLIP
from tvsl.errors import OutputError, UsageError, WeightsError
from tvsl.synthetic.world import World
from tvsl.training import pretraining
from tvsl.training.pretraining import PretrainingData, pretrain
from tvsl.training.pretraining_data import make_clips
from tvsl.utils.processes import Progress, Stages

from .tiny import WEIGHTS, recipe, same_state, tiny_model


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps an epoch, of a model that takes no time."""
    monkeypatch.setattr(pretraining, "STEPS_OF_EPOCH", 2)
    monkeypatch.setattr(pretraining, "new_mini_model", tiny_model)


class PlugError(Exception):
    """Somebody pulled the plug."""


def until(step: int) -> Stages:
    @contextmanager
    def stages(title: str) -> Iterator[Progress]:
        def report(done: int, total: int | None) -> None:
            if title == "Pre-training" and done == step:
                raise PlugError

        yield report

    return stages


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of six steps."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pretraining, "STEPS_OF_EPOCH", 2)
        patched.setattr(pretraining, "new_mini_model", tiny_model)
        pretrain(recipe(), folder)
    return folder


def checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    weights: dict[str, torch.Tensor] = state["state_dict"]
    return weights


def ended_alike(folder: Path, other: Path) -> bool:
    weights, others = checkpoint(folder), checkpoint(other)
    packed = [path / "model" / "model.safetensors" for path in (folder, other)]
    return (
        weights.keys() == others.keys()
        and all(torch.equal(value, others[name]) for name, value in weights.items())
        and packed[0].read_bytes() == packed[1].read_bytes()
        and (folder / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    )


def test_a_run_leaves_a_model_that_loads(whole: Path) -> None:
    model = load_audioclip(whole / "model")
    for name, value in checkpoint(whole).items():
        if name.startswith("model."):
            found = model.state_dict()[name.removeprefix("model.")]
            torch.testing.assert_close(found, value, rtol=1e-3, atol=1e-4)
    assert model.encode_text(["small red ring"]).shape == (1, 16)


def test_a_run_trains(whole: Path) -> None:
    torch.manual_seed(recipe().seed)
    start = tiny_model()
    trained = load_audioclip(whole / "model")
    assert isinstance(trained, AudioCLIP)
    moved = [
        name
        for name, value in start.named_parameters()
        if (value - trained.get_parameter(name)).abs().max() > 1e-3
    ]
    assert len(moved) > 0.8 * len(list(start.parameters()))


def test_a_run_leaves_its_metrics(whole: Path) -> None:
    with (whole / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    for row in rows:
        loss = sum(weight * float(row[f"validation/{name}"]) for name, weight in WEIGHTS.items())
        assert float(row["validation/loss"]) == pytest.approx(loss)


def test_the_same_seed_makes_the_same_model(whole: Path, tmp_path: Path) -> None:
    pretrain(recipe(), tmp_path / "again")
    assert ended_alike(tmp_path / "again", whole)
    other = load_audioclip(pretrain(recipe(seed=1, steps=2), tmp_path / "other"))
    same = load_audioclip(pretrain(recipe(seed=1, steps=2), tmp_path / "same"))
    assert same_state(same, other)
    assert not same_state(same, load_audioclip(whole / "model"))


@pytest.mark.parametrize("clips", [12, 0])
def test_any_seed_that_a_recipe_allows(clips: int, tmp_path: Path) -> None:
    largest = recipe(seed=2**63 - 1, steps=1, clips=clips)
    assert pretrain(largest, tmp_path / "run").is_dir()


@pytest.mark.parametrize("stops", [(3,), (2,), (5, 6)], ids=str)
def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    stops: tuple[int, ...], whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "torn"
    for number, stop in enumerate(stops):
        with pytest.raises(PlugError):
            pretrain(recipe(), folder, resume=number > 0, stages=until(stop))
        assert not (folder / "model").exists()
    if stops == (2,):  # the epoch that it broke in was the first: there is nothing to go on from
        with pytest.raises(UsageError, match="no run to resume"):
            pretrain(recipe(), folder, resume=True)
    pretrain(recipe(), folder, resume=stops != (2,))
    assert ended_alike(folder, whole)


def test_new_clips_in_each_step_resume_as_well(tmp_path: Path) -> None:
    fresh = recipe(clips=0, steps=4)
    pretrain(fresh, tmp_path / "whole")
    with pytest.raises(PlugError):
        pretrain(fresh, tmp_path / "torn", stages=until(3))
    pretrain(fresh, tmp_path / "torn", resume=True)
    assert ended_alike(tmp_path / "torn", tmp_path / "whole")


def test_a_finished_run_makes_its_model_again(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    pretrain(recipe(), folder)
    (folder / "model" / "model.safetensors").unlink()
    pretrain(recipe(), folder, resume=True)
    assert ended_alike(folder, whole)


def test_a_run_is_not_run_over(whole: Path) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match="already"):
        pretrain(recipe(), whole)
    with pytest.raises(UsageError, match="another recipe"):
        pretrain(recipe(seed=5), whole, resume=True)
    with pytest.raises(UsageError, match="another recipe"):
        pretrain(recipe(steps=8), whole, resume=True)
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_without_a_run_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run to resume"):
        pretrain(recipe(), tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match="file, not a folder"):
            pretrain(recipe(), folder)


def test_a_full_disk_leaves_the_last_checkpoint(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real = tmp_path / "torn", Path.write_bytes
    written: list[int] = []

    def nearly_full(self: Path, content: bytes) -> int:
        if len(content) > 10_000:  # a checkpoint, not a recipe
            written.append(len(content))
        if len(written) == 2:
            real(self, bytes(content)[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", nearly_full)
        with pytest.raises(OutputError, match=r"No space left.*resume it"):
            pretrain(recipe(), folder)
    assert len(written) == 2
    pretrain(recipe(), folder, resume=True)
    assert ended_alike(folder, whole)


def test_a_disk_that_is_full_from_the_beginning_leaves_nothing_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tvsl.training.trainer.WholeCheckpoints.save_checkpoint", full)
    with pytest.raises(OutputError, match=r"No space left.*no checkpoint yet") as caught:
        pretrain(recipe(), tmp_path / "run")
    assert caught.value.path == tmp_path / "run"


def test_a_damaged_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlugError):
        pretrain(recipe(), tmp_path, stages=until(3))
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(WeightsError, match="damaged"):
        pretrain(recipe(), tmp_path, resume=True)


def test_stages_and_steps_are_shown(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []

    @contextmanager
    def stages(title: str) -> Iterator[Progress]:
        yield lambda done, total: told.append((title, done, total))

    pretrain(recipe(steps=3), tmp_path, stages=stages)
    assert told == [("Making clips", 12, 12), *(("Pre-training", n, 3) for n in (1, 2, 3))]


def test_epochs_continue_each_other() -> None:
    clips = make_clips(World("train"), range(6))
    data = PretrainingData(recipe(steps=5), clips, clips)
    seen = []
    for epoch in range(4):
        data.trainer = SimpleNamespace(current_epoch=epoch)  # type: ignore[assignment]
        seen.append([batch.frames for batch in data.train_dataloader()])
    assert [len(batches) for batches in seen] == [2, 2, 1, 0]
    frames = torch.stack([batch for batches in seen for batch in batches]).flatten(1)
    assert len(frames.unique(dim=0)) == 5
    kept = [torch.stack([batch.frames for batch in data.val_dataloader()]) for _ in range(2)]
    assert torch.equal(*kept)


def test_batches_move_to_the_device() -> None:
    clips = make_clips(World("train"), range(6))
    data = PretrainingData(recipe(), clips, clips)
    batch = next(iter(data.train_dataloader()))
    moved = data.transfer_batch_to_device(batch, torch.device("meta"), 0)
    for name, value in vars(moved).items():
        assert value.device.type == "meta", name
        assert value.shape == vars(batch)[name].shape
