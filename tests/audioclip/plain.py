"""AudioCLIP's three encoders once more, plainly: NumPy in float64, one item at a time.

Nothing of the package is used but the names of the public state dict. Written from Radford et al.
(2021) and Guzhov et al. (2021, 2022), with what `golden/README.md` and the public configuration say
of sizes and small constants. Where official numbers exist (224 x 224 pixels, 5 and 2 s of sound)
`test_plain.py` compares this file with them; it then serves where there are none: pictures of other
shapes, sounds of any length.

`python -m tests.audioclip.plain` writes `plain.json`, numbers at full size with the golden weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import get_window
from scipy.special import expit

Array = NDArray[np.float64]
State = Mapping[str, Array]

NUMBERS = Path(__file__).with_name("plain.json")
WINDOW, HOP, HEADS, SIDE = 1654, 561, 32, 7
"""The public checkpoint's: samples of a frame and from frame to frame, heads, training grid."""

LENGTHS = (1, 1653, 1654, 1655, 2776, 2777, 88_201)
"""Samples: one, a frame less one and a frame, two frames from one more on, three and four at the
edge, two seconds and one."""

PICTURES = ((288, 352), (224, 448), (96, 32))
"""Height and width."""


# Layers


def convolve(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> Array:
    """Correlate (C, h, w) with (O, C / groups, kh, kw)."""
    down, across = padding
    x = np.pad(x, ((0, 0), (down, down), (across, across)))
    windows = sliding_window_view(x, weight.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    out, inner = len(weight) // groups, weight.shape[1]
    parts = [
        np.tensordot(
            weight[g * out : (g + 1) * out],
            windows[g * inner : (g + 1) * inner],
            axes=([1, 2, 3], [0, 3, 4]),
        )
        for g in range(groups)
    ]
    result = np.concatenate(parts)
    return result if bias is None else result + bias[:, None, None]


def batch_norm(state: State, name: str, x: Array) -> Array:
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def convolve_and_norm(state: State, convolution: str, norm: str, x: Array, **options: Any) -> Array:
    return batch_norm(state, norm, convolve(x, state[f"{convolution}.weight"], **options))


def mean_pool(x: Array, size: int) -> Array:
    channels, height, width = x.shape
    return x.reshape(channels, height // size, size, width // size, size).mean(axis=(2, 4))


def max_pool(x: Array) -> Array:
    """Maximum of 3 x 3, every second place, padded."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    return sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(3, 4))


def adaptive_max(x: Array, size: tuple[int, int]) -> Array:
    """Maximum of the cells that each of `size` places covers, wholly or in part."""
    result = np.empty((len(x), *size))
    for i in range(size[0]):
        rows = slice(i * x.shape[1] // size[0], math.ceil((i + 1) * x.shape[1] / size[0]))
        for j in range(size[1]):
            columns = slice(j * x.shape[2] // size[1], math.ceil((j + 1) * x.shape[2] / size[1]))
            result[:, i, j] = x[:, rows, columns].max(axis=(1, 2))
    return result


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def softmax(x: Array) -> Array:
    odds = np.exp(x - x.max(axis=-1, keepdims=True))
    total: Array = odds / odds.sum(axis=-1, keepdims=True)
    return total


def linear(state: State, name: str, x: Array) -> Array:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def blocks(state: State, stage: str) -> list[str]:
    """Names of the blocks of a stage."""
    found = []
    while f"{stage}.{len(found)}.conv1.weight" in state:
        found.append(f"{stage}.{len(found)}")
    return found


# Pictures


def image_features(state: State, picture: Array) -> Array:
    """A normalised picture (3, H, W) to the last map, (C, H / 32, W / 32)."""
    x = picture
    for number, stride in ((1, 2), (2, 1), (3, 1)):
        conv, norm = f"visual.conv{number}", f"visual.bn{number}"
        x = relu(convolve_and_norm(state, conv, norm, x, stride=stride, padding=(1, 1)))
    x = mean_pool(x, 2)
    for stage in (1, 2, 3, 4):
        for number, block in enumerate(blocks(state, f"visual.layer{stage}")):
            size = 2 if stage > 1 and number == 0 else 1
            inner = relu(convolve_and_norm(state, f"{block}.conv1", f"{block}.bn1", x))
            inner = relu(
                convolve_and_norm(state, f"{block}.conv2", f"{block}.bn2", inner, padding=(1, 1))
            )
            inner = mean_pool(inner, size)
            inner = convolve_and_norm(state, f"{block}.conv3", f"{block}.bn3", inner)
            if f"{block}.downsample.0.weight" in state:
                short = f"{block}.downsample"
                x = convolve_and_norm(state, f"{short}.0", f"{short}.1", mean_pool(x, size))
            x = relu(inner + x)
    return x


def cubic(distance: float) -> float:
    """Keys' kernel with a = -3/4."""
    d = abs(distance)
    if d < 1:
        return 1.25 * d**3 - 2.25 * d**2 + 1
    if d < 2:
        return -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3
    return 0.0


def resize_matrix(new: int, old: int) -> Array:
    """Weights of `old` places in each of `new`, (new, old): cubic, with the border repeated.

    Places are centres of cells. Enlarging and shrinking use the same kernel, without smoothing.
    """
    result = np.zeros((new, old))
    for row in range(new):
        centre = (row + 0.5) * old / new - 0.5
        for place in range(math.floor(centre) - 1, math.floor(centre) + 3):
            result[row, min(max(place, 0), old - 1)] += cubic(centre - place)
    return result


def positions(state: State, grid: tuple[int, int], side: int) -> Array:
    """Position table of the mean token and of the cells of a grid, (1 + h w, C)."""
    table = state["visual.attnpool.positional_embedding"]
    cells = table[1:].reshape(side, side, -1)
    down, across = resize_matrix(grid[0], side), resize_matrix(grid[1], side)
    stretched = np.einsum("ia,jb,abc->ijc", down, across, cells)
    return np.concatenate([table[:1], stretched.reshape(grid[0] * grid[1], -1)])


def attend(state: State, queries: Array, keys: Array, heads: int) -> Array:
    """Attention of rows (q, C) to rows (k, C), with the projections around it, (q, D)."""
    q, k, v = (
        linear(state, f"visual.attnpool.{part}_proj", rows)
        for part, rows in (("q", queries), ("k", keys), ("v", keys))
    )
    size = q.shape[1] // heads
    mixed = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        weights = softmax(q[:, part] @ k[:, part].T / math.sqrt(size))
        mixed.append(weights @ v[:, part])
    return linear(state, "visual.attnpool.c_proj", np.concatenate(mixed, axis=1))


def image_tokens(state: State, features: Array, mode: str, heads: int, side: int) -> Array:
    """Tokens of a map (C, h, w); with the mode ``pooled`` the one that stands for the picture."""
    grid = (features.shape[1], features.shape[2])
    cells = features.reshape(len(features), -1).T
    if mode == "values":
        inner = linear(state, "visual.attnpool.v_proj", cells)
        return linear(state, "visual.attnpool.c_proj", inner)
    if mode == "released":  # the first row is the mean token's, the others one stretched line
        table = state["visual.attnpool.positional_embedding"]
        places = np.linspace(0, side * side - 1, len(cells) - 1)
        known = np.arange(side * side)
        line = np.stack([np.interp(places, known, row) for row in table[1:].T], axis=1)
        cells = cells + np.concatenate([table[:1], line])
        return attend(state, cells, cells, heads)
    with_mean = np.concatenate([cells.mean(axis=0, keepdims=True), cells])
    with_mean = with_mean + positions(state, grid, side)
    if mode == "pooled":
        return attend(state, with_mean[:1], with_mean, heads)[0]
    return attend(state, with_mean[1:], with_mean, heads)


# Sounds


def filters(state: State, length: int) -> NDArray[np.complex128]:
    """sqrt(fb) sinc(fb t / m)^m exp(-i fc t) on [-pi, pi], over the root of the length."""
    m, fb, fc = (state[f"audio.fbsp.{name}"][:, None] for name in ("m", "fb", "fc"))
    t = np.pi * np.linspace(-1, 1, length)[None] + 1e-8
    spline = np.sinc(fb * t / (m + 1e-8) / np.pi).astype(np.complex128) ** m
    whole: NDArray[np.complex128] = np.sqrt(fb / length) * spline * np.exp(-1j * fc * t)
    return whole


def frames(sound: Array, window: int, hop: int) -> Array:
    """Frames (n, window) of a sound with as much silence before and after as fills the last."""
    count = 1
    while (count - 1) * hop + window < len(sound):
        count += 1
    missing = (count - 1) * hop + window - len(sound)
    padded = np.concatenate([np.zeros(missing // 2), sound, np.zeros(missing - missing // 2)])
    return np.stack([padded[i * hop : i * hop + window] for i in range(count)])


def spectrogram(state: State, sound: Array, window: int, hop: int) -> NDArray[np.complex128]:
    """A sound (S,) in [-1, 1] to complex amplitudes, (bins, frames)."""
    length = 2 * (len(state["audio.fbsp.m"]) - 1)
    shape = get_window("blackmanharris", window, fftbins=True).astype(np.float32)
    left = (length - window) // 2
    columns = filters(state, length)[:, left : left + window]
    amplitudes: NDArray[np.complex128] = columns @ (frames(sound, window, hop) * shape).T
    return amplitudes


def gate(state: State, name: str, x: Array, size: tuple[int, int]) -> Array:
    kernel = state[f"{name}.conv_depth.weight"]
    padding = (kernel.shape[2] // 2, kernel.shape[3] // 2)
    x = convolve(
        adaptive_max(x, size),
        kernel,
        state[f"{name}.conv_depth.bias"],
        padding=padding,
        groups=len(kernel),
    )
    x = convolve(x, state[f"{name}.conv_point.weight"], state[f"{name}.conv_point.bias"])
    return expit(batch_norm(state, f"{name}.bn", x))


def audio_features(state: State, sound: Array, window: int, hop: int) -> Array:
    """A sound (S,) in the 16-bit range to the last map, (C, f, m)."""
    power = np.abs(spectrogram(state, (sound + 32768) * 2 / 65535 - 1, window, hop)) ** 2
    third = len(power) // 3
    decibels = 10 * np.log10(np.where(power > 0, power, 1e-18))
    x = np.stack([decibels[band * third : (band + 1) * third] for band in range(3)])
    x = relu(convolve_and_norm(state, "audio.conv1", "audio.bn1", x, stride=2, padding=(3, 3)))
    x = max_pool(x)
    for stage in (1, 2, 3, 4):
        before = x
        for number, block in enumerate(blocks(state, f"audio.layer{stage}")):
            stride = 2 if stage > 1 and number == 0 else 1
            inner = relu(convolve_and_norm(state, f"{block}.conv1", f"{block}.bn1", x))
            groups = len(inner) // state[f"{block}.conv2.weight"].shape[1]
            inner = relu(
                convolve_and_norm(
                    state,
                    f"{block}.conv2",
                    f"{block}.bn2",
                    inner,
                    stride=stride,
                    padding=(1, 1),
                    groups=groups,
                )
            )
            inner = convolve_and_norm(state, f"{block}.conv3", f"{block}.bn3", inner)
            if f"{block}.downsample.0.weight" in state:
                short = f"{block}.downsample"
                x = convolve_and_norm(state, f"{short}.0", f"{short}.1", x, stride=stride)
            x = relu(inner + x)
        x = x * gate(state, f"audio.att{stage}", before, (x.shape[1], x.shape[2]))
    return x


def audio_tokens(state: State, features: Array) -> Array:
    gated = features * gate(state, "audio.att5", features, (features.shape[1], features.shape[2]))
    return linear(state, "audio.fc", gated.reshape(len(features), -1).T)


def audio_pooled(state: State, features: Array) -> Array:
    mean = features.mean(axis=(1, 2)) * gate(state, "audio.att5", features, (1, 1))[:, 0, 0]
    return linear(state, "audio.fc", mean)


# Text


def layer_norm(state: State, name: str, x: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return centred / spread * state[f"{name}.weight"] + state[f"{name}.bias"]


def text_embedding(state: State, ids: Sequence[int], heads: int) -> Array:
    """Token ids, padded with zeros, to an embedding (D,)."""
    x = state["token_embedding.weight"][list(ids)] + state["positional_embedding"][: len(ids)]
    layer = 0
    while f"transformer.resblocks.{layer}.ln_1.weight" in state:
        name = f"transformer.resblocks.{layer}"
        rows = layer_norm(state, f"{name}.ln_1", x)
        joined = rows @ state[f"{name}.attn.in_proj_weight"].T + state[f"{name}.attn.in_proj_bias"]
        q, k, v = np.split(joined, 3, axis=1)
        size, mixed = q.shape[1] // heads, np.zeros_like(q)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            for row in range(len(x)):  # a token hears itself and those before it
                weights = softmax(k[: row + 1, part] @ q[row, part] / math.sqrt(size))
                mixed[row, part] = weights @ v[: row + 1, part]
        x = x + linear(state, f"{name}.attn.out_proj", mixed)
        inner = linear(state, f"{name}.mlp.c_fc", layer_norm(state, f"{name}.ln_2", x))
        x = x + linear(state, f"{name}.mlp.c_proj", inner * expit(1.702 * inner))
        layer += 1
    end = max(range(len(ids)), key=lambda place: ids[place])
    embedding: Array = layer_norm(state, "ln_final", x)[end] @ state["text_projection"]
    return embedding


# Numbers at full size


def golden_state(fill: Any, shapes: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    """The golden weights by name, without what `fill.py` leaves as it is."""
    made = {name: fill.weight(name, tuple(shape)) for name, shape in shapes.items()}
    return {name: value.astype(np.float64) for name, value in made.items() if value is not None}


def sound_of(fill: Any, samples: int) -> Array:
    """A sound of the goldens' kind in [-1, 1]."""
    sound: Array = fill.audio(1, samples)[0, 0].astype(np.float64)
    return sound


def picture_of(fill: Any, size: tuple[int, int]) -> Array:
    picture: Array = fill.image(1, *size)[0].astype(np.float64)
    return picture


def summary(values: Array) -> dict[str, Any]:
    """Shape, length, length without the mean over the cells, and some entries of an array."""
    rows = values.reshape(-1, values.shape[-1])
    flat = rows.ravel()
    every = max(1, len(flat) // 24)
    return {
        "shape": list(values.shape),
        "norm": float(np.linalg.norm(flat)),
        "norm of cells": float(np.linalg.norm(rows - rows.mean(axis=0))),
        "entries": [float(value) for value in flat[::every]],
    }


def numbers(fill: Any, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Content of `plain.json`."""
    state, result = golden_state(fill, shapes), {}
    for samples in LENGTHS:
        # 32768 times as loud as the goldens' own, as AudioCLIP was trained.
        features = audio_features(state, 32768 * sound_of(fill, samples), WINDOW, HOP)
        result[f"audio {samples} tokens"] = summary(audio_tokens(state, features))
        result[f"audio {samples} pooled"] = summary(audio_pooled(state, features))
    for size in PICTURES:
        features = image_features(state, picture_of(fill, size))
        for mode in ("values", "cells", "released", "pooled"):
            found = image_tokens(state, features, mode, HEADS, SIDE)
            result[f"image {size[0]} x {size[1]} {mode}"] = summary(found)
    return result


if __name__ == "__main__":
    from tests.shared_files import fill, shared

    entries = json.loads(shared("golden", "audioclip_state_dict.json").read_text(encoding="utf-8"))
    text = json.dumps(numbers(fill(), entries), indent=1)
    NUMBERS.write_text(text + "\n", encoding="utf-8")
