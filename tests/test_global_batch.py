from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from tests.group import in_processes
from tvsl.global_batch import (
    BatchDropout,
    BatchShare,
    batch_size,
    draw_normal_like,
    draw_uniform,
    gather_rows,
    own_rows,
    share_of_batch,
    sharing_batch,
    with_global_batch_norm,
)
from tvsl.methods import METHODS
from tvsl.methods.base import Method, Untrained, with_overrides
from tvsl.tokens import Tokens, Vocabulary
from tvsl.utils.processes import processes

SIZE, CLASSES, CLIPS, PANELS = 16, 5, 9, 2
CONFIGS: dict[str, dict[str, Any]] = {
    "ots": {"dimension": 8},
    "coarse-to-fine": {"dimension": 8, "hidden": 16, "most_active": 6},
    "dsol": {"dimension": 8},
    "mix-and-localize": {"dimension": 8},
    "avgn": {"dimension": 8, "depth": 1},
    "audioclip-finetuned": {"text": True},
    "wav2clip": {"hidden": 8},
}
TRAINED = [name for name in METHODS if not issubclass(METHODS[name], Untrained)]


def made(panels: int) -> tuple[Tokens, Tensor, Vocabulary]:
    """A batch of clips with one to three classes each, in float64: only rounding is left."""
    drawn = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=drawn, dtype=torch.float64)

    tokens = Tokens(
        normal(CLIPS, 6 * panels, SIZE),
        normal(CLIPS, 4, SIZE),
        normal(CLIPS, SIZE),
        normal(CLIPS, SIZE),
        (3, 2 * panels),
        panels,
    )
    labels = torch.rand(CLIPS, CLASSES, generator=drawn) < 0.4
    labels[torch.arange(CLIPS), torch.arange(CLIPS) % CLASSES] = True
    words = normal(CLASSES, SIZE)
    names = tuple("abcde")
    return tokens, labels, Vocabulary(names, words / words.norm(dim=1, keepdim=True))


def rows_of(tokens: Tokens, rows: slice) -> Tokens:
    parts = (getattr(tokens, name)[rows] for name in ("visual", "audio", "image", "sound"))
    return Tokens(*parts, grid=tokens.grid, panels=tokens.panels)


def head(name: str) -> Method:
    method = METHODS[name]
    torch.manual_seed(0)
    config = with_overrides(method.config_type(), **CONFIGS.get(name, {}))
    built = method.from_config(method.config_for(config, made(1)[2])).double()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return built


def step(method: Method, panels: int, progress: float, share: BatchShare | None) -> dict[str, Any]:
    """Losses, gradients and buffers after a step of this process's rows."""
    tokens, labels, vocabulary = made(panels)
    rows = slice(None) if share is None else share.rows
    torch.manual_seed(7)
    method.zero_grad()
    method.progress = progress
    with sharing_batch(share):
        losses = method.losses(rows_of(tokens, rows), labels[rows], vocabulary)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
    return {
        "losses": {name: loss.detach() for name, loss in losses.items()},
        "gradients": gradients,
        "buffers": dict(method.named_buffers()),
    }


def compare(names: list[str]) -> dict[str, float]:
    """Largest difference between a step of one process and one that several share, by method."""
    found: dict[str, float] = {}
    with processes() as team:
        for name in names:
            for panels in (1, PANELS):
                for progress in (0.0, 0.9):
                    alone = step(head(name), panels, progress, None)
                    method = head(name)
                    share = share_of_batch(CLIPS, team.rank, team.count, method.rows_together)
                    assert share is not None
                    assert method.shares_batch
                    shared = step(method, panels, progress, share)
                    for gradient in shared["gradients"].values():  # as DDP does
                        distributed.all_reduce(gradient)
                        gradient /= team.count
                    for kind, values in alone.items():
                        assert values.keys() == shared[kind].keys(), (name, kind)
                        for key, value in values.items():
                            apart = float((value - shared[kind][key]).abs().max())
                            place = f"{name}, {panels} panels, {progress}: {kind} {key}"
                            found[place] = apart / max(1.0, float(value.abs().max()))
    return found


Found = tuple[dict[str, float], list[Tensor]]


def both() -> Found:
    """All that two processes are started for: it takes them seconds to start."""
    with processes():
        return compare(TRAINED), normalise()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    return in_processes(2, tmp_path_factory.mktemp("two"), both)


def test_every_method_has_the_same_gradients_in_two_processes(two: list[Found]) -> None:
    for found, _ in two:
        assert {place: apart for place, apart in found.items() if apart > 1e-10} == {}
        assert {place.partition(",")[0] for place in found} == set(TRAINED)


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 4])
def test_every_method_has_the_same_gradients_in_more(count: int, tmp_path: Path) -> None:
    for found in in_processes(count, tmp_path, compare, TRAINED):
        assert {place: apart for place, apart in found.items() if apart > 1e-10} == {}


def test_shares_of_a_batch() -> None:
    shares = [share_of_batch(9, rank, 4) for rank in range(4)]
    assert [share and (share.rows.start, share.rows.stop, share.size) for share in shares] == [
        (0, 2, 9),
        (2, 4, 9),
        (4, 6, 9),
        (6, 9, 9),
    ]
    pairs = [share_of_batch(9, rank, 2, together=2) for rank in range(2)]
    assert [share and share.rows for share in pairs] == [slice(0, 4), slice(4, 9)]
    assert share_of_batch(9, 0, 1) is None
    assert share_of_batch(3, 0, 4) is None  # each does all of it
    assert share_of_batch(5, 0, 3, together=2) is None


def test_a_method_that_redefines_its_losses_says_anew_whether_it_shares() -> None:
    class Other(METHODS["ez-vsl"]):  # type: ignore[misc]
        name = "other"

        def losses(self, *args: Any) -> dict[str, Tensor]:
            return super().losses(*args)

    class Renamed(METHODS["ez-vsl"]):  # type: ignore[misc]
        name = "renamed"

    assert not Other.shares_batch
    assert Renamed.shares_batch


@pytest.fixture
def rows() -> Tensor:
    return torch.arange(12.0).view(6, 2)


def test_without_a_share_the_rows_are_the_batch(rows: Tensor) -> None:
    assert gather_rows(rows) is rows
    assert own_rows(rows) is rows
    assert batch_size(6) == 6


def draws(rank: int) -> list[Tensor]:
    """Draws for the rows of a process."""
    share = share_of_batch(6, rank, 2)
    assert share is not None
    own = torch.ones(3, 4)
    dropout = BatchDropout(0.5)
    with sharing_batch(share):
        torch.manual_seed(1)
        return [draw_normal_like(own), draw_uniform((3, 2), own.device), dropout(own)]


def test_what_is_random_is_drawn_for_the_whole_batch() -> None:
    torch.manual_seed(1)
    whole = torch.ones(6, 4)
    expected = [draw_normal_like(whole), torch.rand(6, 2), BatchDropout(0.5)(whole)]
    for one, first, second in zip(expected, draws(0), draws(1), strict=True):
        torch.testing.assert_close(torch.cat([first, second]), one)


def normalise() -> list[Tensor]:
    with processes() as team:
        torch.manual_seed(0)
        values = torch.randn(6, 3, 4, 4, dtype=torch.float64)
        module = nn.Sequential(nn.BatchNorm2d(3)).double()
        with_global_batch_norm(module)
        share = share_of_batch(6, team.rank, team.count)
        assert share is not None
        with sharing_batch(share):
            given = values[share.rows].requires_grad_()
            whole = gather_rows(module(given))
        (whole * values).pow(2).sum().backward()  # type: ignore[no-untyped-call]
        assert given.grad is not None
        return [whole.detach(), given.grad / team.count, *module.state_dict().values()]


def test_batch_normalisation_sees_the_whole_batch(two: list[Found]) -> None:
    torch.manual_seed(0)
    values = torch.randn(6, 3, 4, 4, dtype=torch.float64)
    module, given = nn.BatchNorm2d(3).double(), values.clone().requires_grad_()
    whole = module(given)
    (whole * values).pow(2).sum().backward()
    (_, first), (_, second) = two
    assert given.grad is not None
    torch.testing.assert_close(first[0], whole.detach())
    torch.testing.assert_close(torch.cat([first[1], second[1]]), given.grad)
    for one, other in zip(first[2:], module.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)
