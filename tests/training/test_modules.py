from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.data.inputs import make
from tvsl.errors import DivergedError, UsageError
from tvsl.methods import METHODS
from tvsl.methods.tvsl import TVSL, TVSLConfig
from tvsl.tokens import Vocabulary
from tvsl.training.config import TrainConfig, recipe
from tvsl.training.modules import (
    BatchPlan,
    HeadTraining,
    SharedTokenBatch,
    TokenData,
    TrainingShare,
    require_training,
)

SIZES = {1: 40, 2: 25, 3: 4}


def vocabulary(names: str = "abcdefgh", size: int = 4) -> Vocabulary:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(len(names), size, generator=generator)
    return Vocabulary(tuple(names), torch.nn.functional.normalize(rows, dim=-1))


def small_head() -> TVSL:
    torch.manual_seed(0)
    return TVSL(TVSLConfig(embedding=4, token_projectors="slow"))


# Which mixtures when


@given(
    st.dictionaries(st.integers(1, 8), st.integers(0, 50), min_size=1).filter(
        lambda sizes: any(sizes.values())
    ),
    st.integers(1, 20),
    st.integers(0, 99),
)
def test_an_epoch_sees_each_mixture_once(sizes: dict[int, int], batch: int, seed: int) -> None:
    plan = BatchPlan(sizes, batch, seed)
    seen: Counter[tuple[int, int]] = Counter()
    for step in range(plan.steps_of_epoch):
        sources, rows = plan.at(step)
        assert len(rows) == min(batch, sizes[sources])
        seen.update((sources, row) for row in rows.tolist())
    assert max(seen.values()) == 1
    for sources, size in sizes.items():
        left = size - sum(number == sources for number, _ in seen)
        assert 0 <= left < batch
        assert left < size or size == 0


def test_a_batch_depends_on_the_seed_and_the_step_alone() -> None:
    plan = BatchPlan(SIZES, 8, seed=3)
    batches = [plan.at(step) for step in range(3 * plan.steps_of_epoch)]
    again = BatchPlan(SIZES, 8, seed=3)
    for step in reversed(range(len(batches))):
        sources, rows = again.at(step)
        assert sources == batches[step][0]
        assert rows.tolist() == batches[step][1].tolist()
    other = BatchPlan(SIZES, 8, seed=4)
    assert any(other.at(n)[1].tolist() != batches[n][1].tolist() for n in range(9))
    first, second = (
        [(number, rows.tolist()) for number, rows in batches[start : start + 9]] for start in (0, 9)
    )
    assert sorted(number for number, _ in first) == sorted(number for number, _ in second)
    assert first != second


def test_the_epochs_of_lightning_follow_each_other(tmp_path: Path) -> None:
    config = TrainConfig(batch=8, validate_every=3, steps=8)
    data = TokenData(config, make(tmp_path), [])
    assert data.steps == 8
    expected = [data.store.batch(*map(_row, data.plan.at(step))) for step in range(8)]
    found = []
    for epoch in range(3):
        data.trainer = SimpleNamespace(current_epoch=epoch)  # type: ignore[assignment]
        loader = data.train_dataloader()
        assert len(loader) == (3, 3, 2)[epoch]
        found += list(loader)
    for (one, share), other in zip(found, expected, strict=True):
        assert share is None
        assert torch.equal(one.tokens.visual, other.tokens.visual)
        assert torch.equal(one.labels, other.labels)


def test_processes_read_their_rows_of_each_batch(tmp_path: Path) -> None:
    config, store = TrainConfig(batch=8, steps=3), make(tmp_path)
    whole = list(TokenData(config, store, []).train_dataloader())
    shares = [TrainingShare(rank, 3) for rank in range(3)]
    parts = [list(TokenData(config, store, [], share).train_dataloader()) for share in shares]
    for (batch, _), *own in zip(whole, *parts, strict=True):
        joined = torch.cat([part.tokens.visual for part, _ in own])
        assert torch.equal(joined, batch.tokens.visual)
        assert [len(part.labels) for part, _ in own] == [2, 3, 3]
    alone = TrainingShare(0, 3, None)  # of a method that does not share its batches
    assert next(iter(TokenData(config, store, [], alone).train_dataloader())).share is None


def _row(value: object) -> object:
    return value if isinstance(value, int) else torch.from_numpy(value)  # type: ignore[arg-type]


def test_steps_follow_from_epochs(tmp_path: Path) -> None:
    store = make(tmp_path)  # 40 of 1, 20 of 2, 12 of 3
    assert store.mixtures() == {1: 40, 2: 20, 3: 12}
    assert TokenData(recipe(batch=10), store, []).steps == 2 * (4 + 2 + 1)
    assert TokenData(recipe(batch=10, epochs=0.5), store, []).steps == 4
    assert TokenData(recipe(batch=100, epochs=0.01), store, []).steps == 1


# A step


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    monkeypatch.setattr(HeadTraining, "log_dict", lambda _, given, **__: values.update(given))
    return values


def test_the_loss_is_the_sum_of_the_method_s(tmp_path: Path, logged: dict[str, Tensor]) -> None:
    head, batch = small_head(), make(tmp_path).batch(2, range(6))
    loss = HeadTraining(head, vocabulary(), TrainConfig(), 10).training_step(
        SharedTokenBatch(batch, None), 0
    )
    losses = head.losses(batch.tokens, batch.labels, vocabulary())
    assert float(loss.detach()) == pytest.approx(sum(float(x.detach()) for x in losses.values()))
    assert logged.keys() == {"train/loss", *(f"train/{name}" for name in losses)}
    for name, value in losses.items():
        assert float(logged[f"train/{name}"]) == pytest.approx(float(value.detach()))


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path, logged: object) -> None:
    head, batch = small_head(), make(tmp_path).batch(1, [0, 1])
    with torch.no_grad():
        next(head.parameters()).fill_(torch.nan)
    with pytest.raises(DivergedError, match=r"step 0 is not finite.*lower learning rate"):
        HeadTraining(head, vocabulary(), TrainConfig(), 10).training_step(
            SharedTokenBatch(batch, None), 0
        )


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_rates(schedule: str) -> None:
    head = small_head()
    config = recipe(schedule=schedule, learning_rate=0.1)
    made = HeadTraining(head, vocabulary(), config, steps=10).configure_optimizers()
    optimizer = made if schedule == "constant" else made[0][0]
    assert type(optimizer) is torch.optim.Adam
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert known == {id(p) for p in head.parameters()}
    if schedule == "constant":
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.01, 1.0])
        return
    step = made[1][0]
    assert step["interval"] == "step"
    for number in range(12):
        share = 0.5 * (1 + math.cos(math.pi * min(1, number / 10)))
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([0.1 * share, 0.01 * share, share], abs=1e-12)
        optimizer.step()
        step["scheduler"].step()


@pytest.mark.parametrize("name", METHODS)
def test_methods_without_parameters_need_no_training(name: str) -> None:
    kind = METHODS[name]
    method = kind.from_config(kind.config_for(kind.config_type(), vocabulary()))
    if list(method.parameters()):
        require_training(method)
    else:
        with pytest.raises(UsageError, match=f"'{name}' needs no training"):
            require_training(method)
