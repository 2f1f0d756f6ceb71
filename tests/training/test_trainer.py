from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tvsl.errors import OutputError, TvslError, UsageError
from tvsl.training.trainer import build_trainer, fit
from tvsl.utils.processes import Progress, no_progress
from tvsl.utils.run_folder import last_checkpoint

STEPS_OF_EPOCH = 3


class Rows(Dataset[Tensor]):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return STEPS_OF_EPOCH

    def __getitem__(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(STEPS_OF_EPOCH * self.epoch + number)
        return torch.randn(4, generator=generator)


class Data(LightningDataModule):
    def train_dataloader(self) -> DataLoader[Tensor]:
        assert self.trainer is not None
        return DataLoader(Rows(self.trainer.current_epoch), batch_size=1)

    def val_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(Rows(100), batch_size=STEPS_OF_EPOCH)


class Line(LightningModule):
    """Learns that all sums are 1; fails at a step with an error."""

    def __init__(self, fails: int | None = None, error: BaseException | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 1)
        self.fails = fails
        self.error = error
        self.seen: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        if self.error is not None and self.global_step == self.fails:
            raise self.error
        self.seen.append(float(batch[0, 0]))
        loss: Tensor = (self.layer(batch) - 1).square().mean()
        self.log("train/loss", loss.detach())
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("validation/loss", (self.layer(batch) - 1).square().mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.1)


def run(folder: Path, module: Line, steps: int = 12, report: Progress = no_progress) -> Line:
    resume = last_checkpoint(folder, (folder / "checkpoints" / "last.ckpt").exists())
    best = ModelCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor="validation/loss",
        mode="max",  # it falls, so that the best is an early one
        enable_version_counter=False,
    )
    options = {"accelerator": "cpu", "log_every_n_steps": 1}
    fit(build_trainer(folder, steps, 2.0, report, best, **options), module, Data(), resume)
    return module


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(folder: Path, name: str) -> list[float]:
    return [float(row[name]) for row in rows(folder) if row.get(name)]


@pytest.fixture
def whole(tmp_path: Path) -> tuple[Path, Line]:
    """An uninterrupted run."""
    return tmp_path / "whole", run(tmp_path / "whole", Line())


def test_a_run_writes_metrics_and_its_last_state(whole: tuple[Path, Line]) -> None:
    folder, module = whole
    losses = column(folder, "train/loss")
    assert len(losses) == 12
    assert len(column(folder, "validation/loss")) == 4
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 12
    assert torch.equal(state["state_dict"]["layer.weight"], module.layer.weight)
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt"]


def test_each_epoch_has_data_of_its_own(whole: tuple[Path, Line]) -> None:
    _, module = whole
    drawn = [float(Rows(epoch)[number][0]) for epoch in range(4) for number in range(3)]
    assert module.seen == pytest.approx([*drawn])  # in any order they would be shuffled


@pytest.mark.parametrize("stops", [(4,), (3,), (7,), (4, 5, 8), (11,)], ids=str)
def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    stops: tuple[int, ...], whole: tuple[Path, Line], tmp_path: Path
) -> None:
    folder = tmp_path / "torn"
    for stop in stops:
        with pytest.raises(ValueError, match="the plug"):
            run(folder, Line(stop, ValueError("the plug")))
    resumed = run(folder, Line())
    assert torch.equal(resumed.layer.weight, whole[1].layer.weight)
    assert torch.equal(resumed.layer.bias, whole[1].layer.bias)
    assert rows(folder) == rows(whole[0])
    best = [
        torch.load(path / "checkpoints" / "best.ckpt", weights_only=True)
        for path in (folder, whole[0])
    ]
    assert best[0]["global_step"] == best[1]["global_step"] < 12
    assert torch.equal(*(state["state_dict"]["layer.weight"] for state in best))


@pytest.mark.parametrize("cut", [1, 4, 10])
def test_a_row_that_a_full_disk_cut_off_is_left_out(
    cut: int, whole: tuple[Path, Line], tmp_path: Path
) -> None:
    folder = tmp_path / "torn"
    with pytest.raises(ValueError, match="the plug"):
        run(folder, Line(8, ValueError("the plug")))
    path = folder / "metrics.csv"
    path.write_bytes(path.read_bytes()[: -cut - 1])
    run(folder, Line())
    assert rows(folder) == rows(whole[0])


def test_a_finished_run_is_read(whole: tuple[Path, Line]) -> None:
    folder, module = whole
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = run(folder, Line())
    assert torch.equal(again.layer.weight, module.layer.weight)
    assert again.seen == []
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_steps_are_reported(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    run(tmp_path, Line(), 4, lambda *done: told.append(done))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
    ids=["disk", "numpy", "processor", "device"],
)
def test_what_runs_out_is_an_error_and_the_run_can_go_on(
    error: BaseException, whole: tuple[Path, Line], tmp_path: Path
) -> None:
    folder = tmp_path / "torn"
    with pytest.raises(TvslError, match=r"last checkpoint is whole"):
        run(folder, Line(5, error))
    assert torch.equal(run(folder, Line()).layer.weight, whole[1].layer.weight)


def test_other_errors_are_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes differ"):
        run(tmp_path, Line(1, RuntimeError("shapes differ")))


def test_training_is_silent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    with pytest.raises(ValueError, match="plug"):
        run(tmp_path, Line(4, ValueError("plug")))
    run(tmp_path, Line())
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert [str(warning.message) for warning in recwarn] == []


def test_a_run_is_not_run_over(whole: tuple[Path, Line], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="already"):
        last_checkpoint(whole[0], resume=False)
    assert last_checkpoint(whole[0], resume=True) == whole[0] / "checkpoints" / "last.ckpt"
    assert last_checkpoint(tmp_path / "none", resume=False) is None
    with pytest.raises(UsageError, match="no run to resume"):
        last_checkpoint(tmp_path / "none", resume=True)
