from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tvsl.audioclip.image_encoder import AttentionPool
from tvsl.audioclip.model import AudioCLIP


def pool() -> AttentionPool:
    torch.manual_seed(1)
    made = AttentionPool(side=3, channels=8, heads=2, embedding=6)
    with torch.no_grad():
        made.positional_embedding.mul_(3)
        made.q_proj.weight.mul_(4)
    return made.requires_grad_(False)


def naive_attention(made: AttentionPool, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Head by head and query by query, (q, C) and (k, C) to (q, D)."""
    q, k, v = made.q_proj(queries), made.k_proj(keys), made.v_proj(keys)
    outputs = []
    for row in q:
        heads = []
        for head in range(made.heads):
            part = slice(4 * head, 4 * head + 4)
            weights = (k[:, part] @ row[part] / math.sqrt(4)).softmax(dim=0)
            heads.append(weights @ v[:, part])
        outputs.append(torch.cat(heads))
    return made.c_proj(torch.stack(outputs))


def test_pooling_asks_with_the_mean() -> None:
    made, features = pool(), torch.randn(1, 8, 3, 3)
    cells = features[0].flatten(1).T
    keys = torch.cat([cells.mean(0, keepdim=True), cells]) + made.positional_embedding
    expected = naive_attention(made, keys[:1], keys)
    torch.testing.assert_close(made(features), expected)


@given(
    batch=st.integers(1, 3),
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    heads=st.sampled_from([1, 2, 4, 8]),
    spread=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 1_000),
)
@settings(max_examples=40)
def test_pooling_is_multi_head_attention_of_torch(
    batch: int, grid: tuple[int, int], heads: int, spread: float, seed: int
) -> None:
    torch.manual_seed(seed)
    made = AttentionPool(side=3, channels=8, heads=heads, embedding=6).double()
    features = (spread * torch.randn(batch, 8, *grid, dtype=torch.float64)).requires_grad_()
    cells = features.flatten(2).permute(2, 0, 1)
    cells = torch.cat([cells.mean(dim=0, keepdim=True), cells]) + made._positions(*grid)[:, None]
    expected, _ = F.multi_head_attention_forward(
        query=cells[:1],
        key=cells,
        value=cells,
        embed_dim_to_check=8,
        num_heads=heads,
        in_proj_weight=None,
        in_proj_bias=torch.cat([made.q_proj.bias, made.k_proj.bias, made.v_proj.bias]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=made.c_proj.weight,
        out_proj_bias=made.c_proj.bias,
        use_separate_proj_weight=True,
        q_proj_weight=made.q_proj.weight,
        k_proj_weight=made.k_proj.weight,
        v_proj_weight=made.v_proj.weight,
    )
    found = made(features)
    torch.testing.assert_close(found, expected[0])
    weights = torch.randn(batch, 6, dtype=torch.float64)
    ours = torch.autograd.grad((found * weights).sum(), [features, made.q_proj.weight])
    torchs = torch.autograd.grad((expected[0] * weights).sum(), [features, made.q_proj.weight])
    for one, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_cells_ask_for_themselves_and_the_mean_stays_among_the_keys() -> None:
    made, features = pool(), torch.randn(1, 8, 3, 3)
    cells = features[0].flatten(1).T
    keys = torch.cat([cells.mean(0, keepdim=True), cells]) + made.positional_embedding
    expected = naive_attention(made, keys[1:], keys)
    torch.testing.assert_close(made.tokens(features, "cells")[0], expected)


def test_values_do_not_mix_cells() -> None:
    made, features = pool(), torch.randn(1, 8, 3, 3)
    tokens = made.tokens(features, "values")
    torch.testing.assert_close(tokens[0, 4], made.c_proj(made.v_proj(features[0, :, 1, 1])))
    changed = features.clone()
    changed[0, :, 0, 0] += 1
    others = made.tokens(changed, "values")
    torch.testing.assert_close(others[:, 1:], tokens[:, 1:], rtol=0, atol=0)
    assert not torch.allclose(others[:, 0], tokens[:, 0])


def test_released_positions_are_a_stretched_sequence() -> None:
    made, features = pool(), torch.randn(1, 8, 3, 6)
    mean, rows = made.positional_embedding[0], made.positional_embedding[1:]
    stretched = [rows[0] + 0 * rows[0]]
    for step in range(1, 17):
        place = step * 8 / 16
        low = min(int(place), 7)
        stretched.append(rows[low] + (place - low) * (rows[low + 1] - rows[low]))
    positions = torch.stack([mean, *stretched])
    cells = features[0].flatten(1).T + positions
    expected = naive_attention(made, cells, cells)
    torch.testing.assert_close(made.tokens(features, "released")[0], expected)


def test_position_table_of_another_grid_keeps_rows_and_columns_apart() -> None:
    made = pool()
    gradient = torch.linspace(-1, 1, 3)[:, None].expand(3, 3)  # grows with the row alone
    with torch.no_grad():
        made.positional_embedding[1:, 0] = gradient.flatten()
    table = made._positions(6, 4)[1:, 0].view(6, 4)
    torch.testing.assert_close(table, table[:, :1].expand(6, 4))
    assert bool((table[1:, 0] - table[:-1, 0] > 0).all())


@pytest.mark.parametrize("mode", ["values", "cells", "released"])
def test_token_shapes(mode: str, small_model: AudioCLIP) -> None:
    tokens = small_model.image_tokens(torch.randn(2, 3, 64, 96), mode)  # type: ignore[arg-type]
    assert tokens.shape == (2, 6, 16)


def test_features_halve_five_times(small_model: AudioCLIP) -> None:
    features = small_model.visual.features(torch.randn(1, 3, 64, 128))
    assert features.shape == (1, 8 * 8 * 4, 2, 4)
    assert bool((features >= 0).all())


def test_tokens_move_with_the_picture(small_model: AudioCLIP) -> None:
    """``values`` has no positions: a picture moved by whole cells moves its inner tokens."""
    picture = F.pad(torch.randn(1, 3, 64, 64), (96, 96, 96, 96))
    tokens = small_model.image_tokens(picture, "values").view(8, 8, 16)
    moved = small_model.image_tokens(picture.roll(32, dims=3), "values").view(8, 8, 16)
    torch.testing.assert_close(moved[3:5, 4:6], tokens[3:5, 3:5], rtol=1e-4, atol=1e-5)
